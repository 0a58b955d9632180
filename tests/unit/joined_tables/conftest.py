"""The small stores that these tests read."""

from support.small_stores import build_store, harbour, random_store

__all__ = ["build_store", "harbour", "random_store"]
