"""The concepts of an explanation: words, heatmap and reference images of each."""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.patches import Rectangle

from lcrp.render.colours import RELEVANCE, dimmed, relevance_picture
from lcrp.render.explanation import ConceptPart, Reference
from lcrp.render.page import GAP, LEFT, MARGIN, WIDTH, within, write_heading
from lcrp.render.pictures import draw_heat
from lcrp.render.text import BODY, LARGE, LINE, SMALL, fit_text, percent, text_width, wrapped

LAYERS_ABREAST = 4


def draw_concepts(page, explanation, top, left):
    layers = explanation.layers
    start = MARGIN + LEFT + GAP
    room = WIDTH - MARGIN - start
    if not layers:
        page.text(start, top, "No concepts were asked for.", BODY)
        return top + BODY * LINE
    rows = -(-len(layers) // LAYERS_ABREAST)
    abreast = -(-len(layers) // rows)
    width = (room - GAP * (abreast - 1)) / abreast
    bottom = top
    for number, layer in enumerate(layers):
        column = number % abreast
        if column == 0:
            top = bottom + (0.2 if number else 0)
        x = start + column * (width + GAP)
        heading = f"Concepts of {layer}"
        if text_width(heading, LARGE, True) > width:
            heading = layer
        y = top + write_heading(page, x, top, heading, width)
        parts = [part for part in explanation.concepts if part.layer == layer]
        largest = max(max(abs(part.relevance) for part in parts), 1e-12)
        height = min((left - y) / len(parts) - 0.22, 3.2)  # fills the height of the left column
        for part in parts:
            y = _concept(page, explanation, part, x, y, width, height, largest) + 0.22
        bottom = max(bottom, y)
    return bottom


def _concept(page, explanation, part: ConceptPart, x, y, width, height, largest):
    height_px, width_px = explanation.picture.shape[:2]
    colours = relevance_picture(part.heatmap, explanation.picture)
    window = (0, 0, width_px, height_px)
    text_width = 2.25
    if width > 7:  # words, heatmap and references beside each other
        w, h = within(width_px, height_px, 2.6, max(2.1, min(height, 2.6)))
        room = width - text_width - 0.3
        rows_height = max(h, height, 1.7)
        # What the references leave of the width, the heatmap takes.
        needed = _grid_width(len(part.references), room - w, rows_height)
        largest_width = min(max(w, room - needed), 4.2)
        w, h = within(width_px, height_px, largest_width, max(h, min(rows_height, 3.2)))
        bottom = _words(page, part, x, y, text_width, largest)
        draw_heat(page.axes(x + text_width + 0.15, y, w, h), explanation, colours, window)
        start = x + text_width + 0.15 + w + 0.15
        room = x + width - start
        grid = _references(page, part.references, start, y, room, rows_height)
        return max(y + h, bottom, y + grid)
    if width < 2.9:  # too narrow for words beside the heatmap
        w, h = within(width_px, height_px, width, 1.9)
        draw_heat(page.axes(x, y, w, h), explanation, colours, window)
        below = _words(page, part, x, y + h + 0.08, width, largest) + 0.08
        return below + _references(
            page, part.references, x, below, width, max(1.9, y + height - below)
        )
    w, h = within(width_px, height_px, width * 0.45, 1.9)
    draw_heat(page.axes(x, y, w, h), explanation, colours, window)
    bottom = _words(page, part, x + w + 0.12, y, width - w - 0.12, largest)
    below = max(y + h, bottom) + 0.1
    room = max(1.9, y + height - below)
    return below + _references(page, part.references, x, below, width, room)


def _words(page, part, x, y, width, largest):
    y += write_heading(page, x, y, f"concept {part.concept}", width) - 0.03
    page.text(x, y, fit_text(f"relevance {percent(part.relevance)}", width, BODY), BODY)
    y += BODY * LINE
    axes = page.axes(x, y + 0.02, width, 0.13)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    share = abs(part.relevance) / largest
    colour = RELEVANCE(0.9 if part.relevance >= 0 else 0.1)
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="#E8E8E8", edgecolor="none"))
    axes.add_patch(Rectangle((0, 0), share, 1, facecolor=colour, edgecolor="none"))
    y += 0.22
    if part.activation is not None:
        page.text(x, y, fit_text(f"activation {part.activation:.3g}", width, BODY), BODY)
        y += BODY * LINE
    words = f"outside the object {percent(part.outside)}"
    if text_width(words, BODY, False) > width:
        words = f"outside {percent(part.outside)}"
    page.text(x, y, fit_text(words, width, BODY), BODY)
    y += BODY * LINE
    if part.outside is not None:
        axes = page.axes(x, y + 0.02, width, 0.13)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        edges = {"edgecolor": "#333333", "linewidth": 0.8}
        axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="white", **edges))
        outside = min(max(part.outside, 0), 1)
        axes.add_patch(
            Rectangle((1 - outside, 0), outside, 1, facecolor="white", hatch="//////", **edges)
        )
        axes.add_patch(Rectangle((0, 0), 1 - outside, 1, facecolor="#333333", **edges))
        y += 0.24
    for name, share in part.lies_on[:3]:
        ending = f" {percent(share)}"
        room = width - text_width(f"on {ending}", SMALL, False)
        page.text(x, y, f"on {fit_text(name, room, SMALL)}{ending}", SMALL, color="#444444")
        y += SMALL * LINE
    return y


def _references(page, references: list[Reference], x, y, width, height):
    """A grid of reference tiles in the given width; returns its height in inches."""
    if not references:
        page.text(x, y, "no reference images in the store", SMALL, color="#444444")
        return SMALL * LINE
    columns, side = _grid(len(references), width, height)
    pixels = 180
    gap = 6
    rows = -(-len(references) // columns)
    canvas = np.full(
        (rows * pixels + (rows - 1) * gap, columns * pixels + (columns - 1) * gap, 3),
        255,
        np.uint8,
    )
    axes_width = side * canvas.shape[1] / pixels
    axes_height = side * canvas.shape[0] / pixels
    axes = page.axes(x, y, axes_width, axes_height)
    for number, reference in enumerate(references):
        row, column = divmod(number, columns)
        upper, left = row * (pixels + gap), column * (pixels + gap)
        if reference.picture is None:
            canvas[upper : upper + pixels, left : left + pixels] = 225
            text = "\n".join(wrapped(reference.problem or "no picture", side * 0.9, 8)[:5])
            axes.text(
                left + pixels / 2, upper + pixels / 2, text, fontsize=8, ha="center", va="center"
            )
        else:
            canvas[upper : upper + pixels, left : left + pixels] = reference_tile(reference, pixels)
    axes.imshow(canvas, aspect="auto", interpolation="auto")
    return axes_height


def _grid_width(count, width, height):
    """Width in inches of the tiles that `_references` draws."""
    if not count:
        return min(width, 2.6)  # words instead
    columns, side = _grid(count, width, height)
    return columns * side + (columns - 1) * side * 6 / 180


def _grid(count, width, height):
    """Columns and tile size: the largest tiles that fit, 2 inches at most."""
    gap = 6 / 180
    best = (count, 0.0)
    for rows in range(1, count + 1):
        columns = -(-count // rows)
        side = min(width / (columns + gap * (columns - 1)), height / (rows + gap * (rows - 1)), 2.0)
        # Never so small that nothing is recognised: then the grid grows down instead.
        side = max(side, min(0.5, width / (columns + gap * (columns - 1))))
        if side > best[1] + 1e-6:
            best = (columns, side)
    return best


def reference_tile(reference: Reference, pixels: int) -> np.ndarray:
    """A reference crop, dimmed where the concept finds nothing, as a square (p, p, 3) uint8.

    The crop keeps its aspect; what is missing to a square stays white.
    """
    height, width = reference.picture.shape[:2]
    factor = pixels / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(reference.picture, size, interpolation=method)
    relevant = cv2.resize(
        reference.relevant.astype(np.float32), size, interpolation=cv2.INTER_LINEAR
    )
    tile = np.full((pixels, pixels, 3), 255, np.uint8)
    upper, left = (pixels - size[1]) // 2, (pixels - size[0]) // 2
    tile[upper : upper + size[1], left : left + size[0]] = dimmed(picture, relevant > 0.5)
    return tile
