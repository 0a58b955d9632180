"""Weights from files in the wild, read without executing anything they contain."""

from lcrp.checkpoints.reading import read_checkpoint

__all__ = ["read_checkpoint"]
