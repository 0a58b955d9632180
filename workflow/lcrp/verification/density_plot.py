"""The verification as a picture: score against measured sensitivity."""

import os

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lcrp.plotting import MAP, STYLE
from lcrp.verification.compared_methods import METHODS


def draw_density(
    points: pd.DataFrame, summary: pd.DataFrame, path: str | os.PathLike, most: int = 40
) -> None:
    """Draw score against measured sensitivity, a panel per layer and method, as density.

    Args:
        points: of `verify`.
        summary: of `verify`.
        path: PNG.
        most: of more layers than that, so many are drawn, evenly spread from the first to the
            last.
    """
    known = list(dict.fromkeys(points["layer"]))
    chosen = np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int)
    layers = [known[place] for place in chosen]
    columns, rows = len(METHODS), max(1, len(layers))
    width, height = 1.9 * columns + 0.6, 2.1 * rows + 0.5
    with matplotlib.rc_context(STYLE):
        # No layout engine and no shared axes: either takes minutes for hundreds of panels.
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=0.7 / width, right=1 - 0.1 / width, bottom=0.5 / height, top=1 - 0.5 / height,
            wspace=0.15, hspace=0.3,
        )  # fmt: skip
        if len(layers) < len(known):
            told = f"{len(layers)} of {len(known)} layers"
            figure.text(0.1 / width, 1 - 0.15 / height, told, fontsize=8)
        for row, layer in zip(panels, layers, strict=False):
            own = points[points["layer"] == layer]
            for panel, method in zip(row, METHODS, strict=True):
                _density(panel, own[method].to_numpy(), own["sensitivity"].to_numpy())
                found = summary[(summary["layer"] == layer) & (summary["method"] == method)]
                error, correlation = found[["rmse", "correlation"]].iloc[0]
                panel.set_title(
                    f"{method}\nRMSE {error:.2f}, r {correlation:.2f}", fontsize=8, loc="left"
                )
            row[0].set_ylabel(f"{layer}\nsensitivity", fontsize=8)
        for panel in panels[:, 1:].flat:
            panel.tick_params(labelleft=False)
        for panel in panels[:-1].flat:
            panel.tick_params(labelbottom=False)
        for panel in panels[-1]:
            panel.set_xlabel("context score", fontsize=8)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _density(panel, score, truth):
    known = np.isfinite(score) & np.isfinite(truth)
    counts, *_ = np.histogram2d(score[known], truth[known], bins=24, range=[[0, 1], [0, 1]])
    # Faint cells count: the root keeps them visible beside the full ones.
    shown = np.ma.masked_equal(np.sqrt(counts.T), 0)
    panel.imshow(shown, origin="lower", extent=(0, 1, 0, 1), cmap=MAP.reversed(), aspect="equal")
    panel.plot([0, 1], [0, 1], color="#555555", linewidth=0.8, linestyle="--")
    panel.set_xticks([0, 0.5, 1])
    panel.set_yticks([0, 0.5, 1])
