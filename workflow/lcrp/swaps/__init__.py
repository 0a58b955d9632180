"""Swapped contexts: what a model says of the same drawn objects on another context."""

from lcrp.swaps.drawing import draw_examples
from lcrp.swaps.following import choose_examples, follow_swaps, summarise_swaps, swap_following

__all__ = ["choose_examples", "draw_examples", "follow_swaps", "summarise_swaps", "swap_following"]
