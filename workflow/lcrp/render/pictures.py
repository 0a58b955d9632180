"""An image or a heatmap with the outlines of objects on it."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import Rectangle

from lcrp.render.colours import OTHER, PREDICTION, TRUTH
from lcrp.render.explanation import Marked
from lcrp.render.page import LEFT, within
from lcrp.render.text import SMALL, fit_text


def show(axes, picture, window, smooth=True):
    x1, y1, x2, y2 = window
    height, width = picture.shape[:2]
    axes.imshow(
        picture,
        extent=(0, width, height, 0),
        aspect="auto",
        interpolation="auto" if smooth else "nearest",
    )
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#999999", linewidth=0.8)
    )


def draw_objects(axes, explanation, picture, window, labels):
    show(axes, picture, window)
    others = [m for m in explanation.predictions if not m.explained]
    truth = explanation.truth or []
    for marked in others:
        _outline(axes, marked, "white", 2.2, "-", alpha=0.5)
        _outline(axes, marked, OTHER, 1.0, "-")
    for marked in truth:
        if not marked.explained:
            _outline(axes, marked, "white", 1.6, "-", alpha=0.35)
            _outline(axes, marked, TRUTH, 1.0, (0, (4, 2)))
    for marked in explanation.predictions:
        if marked.explained:
            _outline(axes, marked, "white", 4.8, "-", alpha=0.6)
            _outline(axes, marked, PREDICTION, 3.0, "-")
    # Dashed and on top, so that neither hides the other where they agree.
    for marked in truth:
        if marked.explained:
            _outline(axes, marked, "white", 3.0, (0, (3.4 * 1.9 / 3, 3.4 * 1.9 / 3)), alpha=0.8)
            _outline(axes, marked, TRUTH, 1.9, (0, (3.4, 3.4)))
    if labels:
        for marked in explanation.predictions:
            if marked.explained:
                _label(axes, marked, window)
                break


def draw_heat(axes, explanation, colours, window):
    """A heatmap with the outline that its share outside the object refers to."""
    show(axes, colours, window)
    marks = explanation.truth if explanation.object_from == "annotation" else None
    for marked in marks or explanation.predictions:
        if marked.explained:
            _outline(axes, marked, "#222222", 0.9, "-", alpha=0.8)


def _outline(axes, marked: Marked, colour, width, style, alpha=1.0):
    if marked.mask is not None:
        if marked.mask.any():
            # A border of zeros closes the contour of an object that touches the image's edge.
            padded = np.pad(marked.mask.astype(np.float32), 1)
            rows = np.arange(padded.shape[0]) - 0.5
            columns = np.arange(padded.shape[1]) - 0.5
            axes.contour(
                columns,
                rows,
                padded,
                levels=[0.5],
                colors=[colour],
                linewidths=width,
                linestyles=[style],
                alpha=alpha,
            )
    elif marked.box is not None:
        x1, y1, x2, y2 = marked.box
        axes.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor=colour,
                linewidth=width,
                linestyle=style,
                alpha=alpha,
            )
        )


def _label(axes, marked, window):
    """The label of the explained object, moved to where it stays inside the picture."""
    box = marked.box
    if box is None:
        rows, columns = np.nonzero(marked.mask)
        if not len(rows):
            return
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    x1, y1, x2, y2 = window
    shares = [(x2 - x1), (y2 - y1)]
    across, down = (box[0] - x1) / shares[0], (box[1] - y1) / shares[1]
    right = across > 0.55
    below = down < 0.12
    score = "" if marked.score is None else f" {marked.score:.2f}"
    picture_width = within(*shares, LEFT, 4.6)[0]
    room = max(0.6 * picture_width - 0.4, 0.5)
    axes.annotate(
        fit_text(marked.label, room, SMALL, bold=True) + score,
        xy=(
            min(max((box[2] if right else box[0]), x1), x2),
            min(max((box[3] if below else box[1]), y1), y2 - 0.1 * shares[1] * below),
        ),
        xytext=(0, -3 if below else 3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top" if below else "bottom",
        fontsize=SMALL,
        weight="bold",
        color="white",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": PREDICTION, "edgecolor": "none"},
        annotation_clip=False,
    )


def zoom_window(explanation):
    """A square around the explained object if it is too small to be seen, else None."""
    height, width = explanation.picture.shape[:2]
    boxes = [_bounds(marked) for marked in explanation.predictions if marked.explained]
    boxes = [box for box in boxes if box is not None]
    if not boxes:
        return None
    x1, y1, x2, y2 = boxes[0]
    extent = max(x2 - x1, y2 - y1)
    if extent > 0.14 * max(height, width):
        return None
    side = min(max(4 * extent, 24), height, width)
    left = min(max((x1 + x2 - side) / 2, 0), width - side)
    upper = min(max((y1 + y2 - side) / 2, 0), height - side)
    return left, upper, left + side, upper + side


def _bounds(marked):
    if marked.box is not None:
        return marked.box
    rows, columns = np.nonzero(marked.mask)
    if not len(rows):
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
