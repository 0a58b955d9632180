"""Text that fits: measured, shortened, broken into lines."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from lcrp import plotting  # noqa: F401  (no warning for every letter that the font lacks)

SMALL, BODY, LARGE, TITLE = 10.5, 12.0, 13.5, 16.0  # points
LINE = 1.32 / 72  # height of a line of text in inches per point


@cache
def text_width(text: str, size: float, bold: bool) -> float:
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size)
    # Hinted glyphs on screen are a little wider than their outlines.
    return 1.03 * TextToPath().get_text_width_height_descent(text, font, False)[0] / 72


def fit_text(text: str, width: float, size: float = BODY, bold: bool = False) -> str:
    """The text, with its middle left out where it is wider than `width` inches."""
    if text_width(text, size, bold) <= width:
        return text
    low, high = 1, len(text)
    while low < high:  # the largest number of kept characters that fits
        keep = (low + high + 1) // 2
        if text_width(_shortened(text, keep), size, bold) <= width:
            low = keep
        else:
            high = keep - 1
    return _shortened(text, low)


def _shortened(text, keep):
    head = (keep + 1) // 2
    tail = keep - head
    return text[:head] + "…" + (text[-tail:] if tail else "")


def wrapped(text, width, size):
    """Words in lines of at most `width` inches; a longer word loses its middle."""
    lines, line = [], ""
    for word in text.split():
        word = fit_text(word, width, size)
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size, False) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines


def percent(value: float | None) -> str:
    """A share for people: 41 %, 4.1 %, 0.04 %; a dash where it is undefined."""
    if value is None or not np.isfinite(value):
        return "–"
    value *= 100
    digits = 0 if abs(value) >= 10 or value == 0 else 1 if abs(value) >= 0.1 else 2
    value += np.copysign(1e-9, value)  # halves are rounded up, as the report's scripts do
    return f"{value:.{digits}f} %".replace("-", "−")
