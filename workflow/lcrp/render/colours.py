"""Relevance as colour: symmetric around zero, and told apart with any colour vision."""

from __future__ import annotations

import matplotlib
import numpy as np

# Red against blue over white (ColorBrewer RdBu) differs in lightness and in the blue-yellow
# axis, so that no common colour deficiency merges the signs.
RELEVANCE = matplotlib.colormaps["RdBu_r"]
# Okabe and Ito's palette; the line styles differ as well, for readers without colour.
PREDICTION = "#D55E00"
TRUTH = "#0072B2"
OTHER = "#4D4D4D"


def scale(heatmap: np.ndarray, percentile: float = 99.8) -> float:
    """The relevance that is drawn in the deepest colour, never zero.

    A percentile of the absolute values instead of their maximum, so that one bright pixel does
    not turn the rest white.
    """
    magnitude = np.abs(heatmap[np.isfinite(heatmap)])
    largest = float(magnitude.max(initial=0.0))
    if largest == 0.0:
        return 1.0
    robust = float(np.percentile(magnitude, percentile))
    return robust if robust > 0.05 * largest else largest


def relevance_picture(heatmap: np.ndarray, picture: np.ndarray | None = None) -> np.ndarray:
    """A heatmap as colours: (h, w) -> (h, w, 3) uint8.

    heatmap: white is zero, red positive, blue negative, symmetric. picture: (h, w, 3) uint8,
    shaded faintly underneath so that one sees where in the image a colour lies.
    """
    values = np.nan_to_num(heatmap) / scale(heatmap)
    colours = RELEVANCE(np.clip(values, -1, 1) * 0.5 + 0.5)[..., :3]
    if picture is not None:
        grey = picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) / 255
        colours = colours * (0.82 + 0.18 * grey)[..., None]
    return np.rint(colours * 255).astype(np.uint8)


def dimmed(picture: np.ndarray, relevant: np.ndarray, light: float = 0.38) -> np.ndarray:
    """A picture with everything irrelevant darkened: (h, w, 3) uint8, (h, w) bool -> uint8.

    A thin light line separates the two, so that a dark picture still shows what counts.
    """
    kept = np.where(relevant[..., None], picture, picture * np.float32(light))
    inner = relevant.copy()
    inner[1:-1, 1:-1] &= (
        relevant[:-2, 1:-1] & relevant[2:, 1:-1] & relevant[1:-1, :-2] & relevant[1:-1, 2:]
    )
    edge = relevant & ~inner
    edge[[0, -1], :] = False
    edge[:, [0, -1]] = False
    kept[edge] = 0.35 * kept[edge] + 0.65 * 255
    return kept.astype(np.uint8)
