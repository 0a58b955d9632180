"""Objects before and after their context was swapped, as pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lcrp.datasets.sample import Dataset


def draw_examples(rows: pd.DataFrame, test: Dataset, swapped: Dataset, folder: Path) -> None:
    """Draw a picture `<class>_<outcome>.png` of each of the chosen objects.

    Args:
        rows: objects of `choose_examples`.
        test: the held-out scenes.
        swapped: their swapped variants.
        folder: is made.
    """
    folder.mkdir()
    for row in rows.to_dict("records"):
        before, after = test[row["original"]].image(), swapped[row["image"]].image()
        draw_example(row, before, after, folder / f"{row['class']}_{row['outcome']}.png")


def draw_example(row: dict, before: np.ndarray, after: np.ndarray, path: Path) -> None:
    """Draw one object before and after its context was swapped, with what the model says of it.

    Args:
        row: of `follow_swaps`.
        before: (h, w, 3) uint8, the original scene.
        after: (h, w, 3) uint8, the swapped one.
        path: PNG.
    """
    figure = Figure(figsize=(5.2, 3.1), layout="constrained")
    panels = figure.subplots(1, 2)
    facts = ((before, row["from"], row["before"]), (after, row["to"], row["after"]))
    corner = row["x1"] - 2, row["y1"] - 2
    width, height = row["x2"] - row["x1"] + 3, row["y2"] - row["y1"] + 3
    for panel, (image, context, said) in zip(panels, facts, strict=True):
        panel.imshow(image, interpolation="nearest")
        for colour, line in (("white", 3), ("black", 1.2)):
            panel.add_patch(Rectangle(corner, width, height, fill=False, ec=colour, lw=line))
        panel.set_title(f"on {context}: {said or 'nothing'}", fontsize=11)
        panel.set_axis_off()
    figure.suptitle(f"{row['class']}: {row['outcome']}", fontsize=12, weight="bold")
    figure.savefig(path, dpi=120, metadata={"Software": None})
