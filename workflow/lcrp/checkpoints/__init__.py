"""Weights from files in the wild, read without executing anything they contain."""

from lcrp.checkpoints.conversion import convert, manifest_of
from lcrp.checkpoints.reading import read_checkpoint

__all__ = ["convert", "manifest_of", "read_checkpoint"]
