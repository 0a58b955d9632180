"""One explanation as a figure: PNG at a chosen width, PDF and SVG with text as text."""

from __future__ import annotations

import io
import json
import os
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath

from lcrp.errors import InputError
from lcrp.render.colours import OTHER, PREDICTION, RELEVANCE, TRUTH, dimmed, relevance_picture
from lcrp.render.explanation import ConceptPart, Explanation, Marked, Reference

FORMATS = ("png", "pdf", "svg")
SUMMARY_KEY = "lcrp"

# The page is laid out in inches for a width of 16 and scaled to the chosen width as a whole.
WIDTH = 16.0
MARGIN = 0.3
LEFT = 4.7
LAYERS_ABREAST = 4
GAP = 0.35
SMALL, BODY, LARGE, TITLE = 10.5, 12.0, 13.5, 16.0  # points
LINE = 1.32 / 72  # height of a line of text in inches per point

_STYLE = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "lcrp",
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "axes.linewidth": 0.8,
}


def save_figure(explanation: Explanation, path, width: int = 1600) -> Path:
    """Draws an explanation into a file and returns its path.

    path: ends in .png, .pdf or .svg; the same explanation gives the same bytes. width: pixels
    (PNG). A PNG carries `Explanation.summary()` as text, see `read_summary`.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise InputError(f"{path}: no figure format .{kind}; use one of {', '.join(FORMATS)}")
    data = figure_bytes(explanation, kind, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def figure_bytes(explanation: Explanation, kind: str = "png", width: int = 1600) -> bytes:
    """The figure as bytes of a PNG (`width` pixels wide), PDF or SVG file."""
    if not 200 <= width <= 20000:
        raise InputError(f"width: {width} pixels; use 200 to 20000")
    figure, panels = _drawn(explanation)
    summary = explanation.summary() | {"panels": panels}
    metadata = {
        "png": {"Software": None, SUMMARY_KEY: json.dumps(summary, separators=(",", ":"))},
        "pdf": {"Creator": "lcrp", "Producer": None, "CreationDate": None},
        "svg": {"Creator": "lcrp", "Date": None},
    }[kind]
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format=kind, dpi=width / WIDTH, metadata=metadata)
    return buffer.getvalue()


def read_summary(path) -> dict:
    """What a PNG of `save_figure` says about itself.

    `Explanation.summary()`, and under "panels" where the input and the heatmap are drawn: left,
    top, width and height as shares of the figure's.
    """
    from PIL import Image

    with Image.open(path) as image:
        text = image.info.get(SUMMARY_KEY)
    if text is None:
        raise InputError(f"{path}: no explanation is described in this picture; draw it again")
    return json.loads(text)


def draw_figure(explanation: Explanation) -> Figure:
    """The figure as a matplotlib Figure, 16 inches wide and as high as its content asks."""
    return _drawn(explanation)[0]


def _drawn(explanation):
    """The figure, and where its main panels are."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, 10))
        FigureCanvasAgg(figure)
        page = _Page(figure)
        top = _title(page, explanation)
        left = _left_column(page, explanation, top)
        right = _right_block(page, explanation, top, left)
        panels = page.finish(max(left, right) + MARGIN * 0.6)
    return figure, panels


class _Page:
    """Places axes and text in inches from the top left; the height is settled at the end."""

    def __init__(self, figure):
        self.figure = figure
        self.items = []
        self.panels = {}

    def axes(self, x, y, width, height, panel=None):
        if panel is not None:
            self.panels[panel] = (x, y, width, height)
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        self.items.append((axes, x, y, width, height))
        return axes

    def text(self, x, y, text, size=BODY, **style):
        item = self.figure.text(0, 0, text, fontsize=size, va="top", **style)
        self.items.append((item, x, y, None, None))

    def finish(self, height):
        self.figure.set_size_inches(WIDTH, height)
        for item, x, y, w, h in self.items:
            if w is None:
                item.set_position((x / WIDTH, 1 - y / height))
            else:
                item.set_position((x / WIDTH, 1 - (y + h) / height, w / WIDTH, h / height))
        return {
            name: [round(v, 5) for v in (x / WIDTH, y / height, w / WIDTH, h / height)]
            for name, (x, y, w, h) in self.panels.items()
        }


@cache
def _text_width(text: str, size: float, bold: bool) -> float:
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size)
    # Hinted glyphs on screen are a little wider than their outlines.
    return 1.03 * TextToPath().get_text_width_height_descent(text, font, False)[0] / 72


def fit_text(text: str, width: float, size: float = BODY, bold: bool = False) -> str:
    """The text, with its middle left out where it is wider than `width` inches."""
    if _text_width(text, size, bold) <= width:
        return text
    low, high = 1, len(text)
    while low < high:  # the largest number of kept characters that fits
        keep = (low + high + 1) // 2
        if _text_width(_shortened(text, keep), size, bold) <= width:
            low = keep
        else:
            high = keep - 1
    return _shortened(text, low)


def _shortened(text, keep):
    head = (keep + 1) // 2
    tail = keep - head
    return text[:head] + "…" + (text[-tail:] if tail else "")


def _wrapped(text, width, size):
    """Words in lines of at most `width` inches; a longer word loses its middle."""
    lines, line = [], ""
    for word in text.split():
        word = fit_text(word, width, size)
        longer = f"{line} {word}".strip()
        if line and _text_width(longer, size, False) > width:
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


def _title(page, explanation):
    score = "" if explanation.score is None else f"  {explanation.score:.2f}"
    room = WIDTH - 2 * MARGIN
    name = fit_text(explanation.class_name, room - 1.0, TITLE, bold=True)
    page.text(MARGIN, MARGIN * 0.8, name + score, TITLE, weight="bold")
    parts = [f"image {explanation.image_id}", explanation.model, explanation.experiment]
    line = fit_text("  ·  ".join(part for part in parts if part), room, BODY)
    page.text(MARGIN, MARGIN * 0.8 + TITLE * LINE, line, BODY, color="#444444")
    return MARGIN * 0.8 + (TITLE + BODY) * LINE + 0.18


def _left_column(page, explanation, top):
    height, width = explanation.picture.shape[:2]
    w, h = _within(width, height, LEFT, 4.6)
    y = top + _heading(page, MARGIN, top, "Input", LEFT)
    axes = page.axes(MARGIN, y, w, h, "input")
    _draw_objects(axes, explanation, explanation.picture, (0, 0, width, height), labels=True)
    y += h + 0.08
    y = _legend(page, explanation, y)

    heading = "Heatmap"
    if explanation.outside is not None:
        heading += f": {percent(explanation.outside)} outside the object"
    y += 0.14
    y += _heading(page, MARGIN, y, heading, LEFT)
    colours = relevance_picture(explanation.heatmap, explanation.picture)
    axes = page.axes(MARGIN, y, w, h, "heatmap")
    _heat(axes, explanation, colours, (0, 0, width, height))
    y += h + 0.08
    y = _colour_bar(page, y)

    window = _zoom_window(explanation)
    if window is not None:
        y += 0.14
        y += _heading(page, MARGIN, y, "The object, enlarged", LEFT)
        side = (LEFT - 0.1) / 2
        w, h = _within(window[2] - window[0], window[3] - window[1], side, side)
        axes = page.axes(MARGIN, y, w, h)
        _draw_objects(axes, explanation, explanation.picture, window, labels=False)
        _heat(page.axes(MARGIN + side + 0.1, y, w, h), explanation, colours, window)
        y += h + 0.08
    for note in explanation.notes:
        for line in _wrapped(note, LEFT, SMALL):
            page.text(MARGIN, y + 0.05, line, SMALL, color="#444444")
            y += SMALL * LINE
    return y


def _within(width, height, largest_width, largest_height):
    factor = min(largest_width / width, largest_height / height)
    return width * factor, height * factor


def _heading(page, x, y, text, room):
    page.text(x, y, fit_text(text, room, LARGE, bold=True), LARGE, weight="bold")
    return LARGE * LINE + 0.05


def _show(axes, picture, window, smooth=True):
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


def _draw_objects(axes, explanation, picture, window, labels):
    _show(axes, picture, window)
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


def _heat(axes, explanation, colours, window):
    """A heatmap with the outline that its share outside the object refers to."""
    _show(axes, colours, window)
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
    picture_width = _within(*shares, LEFT, 4.6)[0]
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


def _legend(page, explanation, y):
    entries = [("explained prediction", PREDICTION, "-", 3.0)]
    if explanation.truth is None:
        missing = "no annotation"
    elif not any(marked.explained for marked in explanation.truth):
        missing = f"no {explanation.class_name} annotated"
    else:
        missing = ""
        entries.append(("ground truth", TRUTH, (0, (3.4, 3.4)), 1.9))
    if any(not marked.explained for marked in explanation.predictions):
        entries.append(("others", OTHER, "-", 1.0))
    axes = page.axes(MARGIN, y, LEFT, SMALL * LINE)
    axes.set_xlim(0, LEFT)
    axes.set_ylim(0, 1)
    x = 0.0
    for text, colour, style, width in entries:
        axes.plot([x, x + 0.3], [0.5, 0.5], color=colour, linestyle=style, linewidth=width)
        axes.text(x + 0.37, 0.5, text, fontsize=SMALL, va="center_baseline")
        x += 0.37 + _text_width(text, SMALL, False) + 0.2
    y += SMALL * LINE
    if missing:
        page.text(MARGIN, y + 0.02, fit_text(missing, LEFT, SMALL), SMALL, color="#444444")
        y += SMALL * LINE
    return y


def _colour_bar(page, y):
    low, high = "against", "for"
    widths = [_text_width(text, SMALL, False) for text in (low, high)]
    note = "each map: own scale"
    bar = LEFT - sum(widths) - _text_width(note, SMALL, False) - 0.5
    page.text(MARGIN, y, low, SMALL)
    axes = page.axes(MARGIN + widths[0] + 0.1, y + 0.04, bar, SMALL * LINE - 0.08)
    axes.imshow(RELEVANCE(np.linspace(0, 1, 256))[None], aspect="auto")
    page.text(MARGIN + widths[0] + bar + 0.2, y, high, SMALL)
    x = MARGIN + LEFT - _text_width(note, SMALL, False)
    page.text(x, y, note, SMALL, color="#444444")
    return y + SMALL * LINE


def _zoom_window(explanation):
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


def _right_block(page, explanation, top, left):
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
        if _text_width(heading, LARGE, True) > width:
            heading = layer
        y = top + _heading(page, x, top, heading, width)
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
        w, h = _within(width_px, height_px, 2.6, max(2.1, min(height, 2.6)))
        room = width - text_width - 0.3
        rows_height = max(h, height, 1.7)
        # What the references leave of the width, the heatmap takes.
        needed = _grid_width(len(part.references), room - w, rows_height)
        largest_width = min(max(w, room - needed), 4.2)
        w, h = _within(width_px, height_px, largest_width, max(h, min(rows_height, 3.2)))
        bottom = _words(page, part, x, y, text_width, largest)
        _heat(page.axes(x + text_width + 0.15, y, w, h), explanation, colours, window)
        start = x + text_width + 0.15 + w + 0.15
        room = x + width - start
        grid = _references(page, part.references, start, y, room, rows_height)
        return max(y + h, bottom, y + grid)
    if width < 2.9:  # too narrow for words beside the heatmap
        w, h = _within(width_px, height_px, width, 1.9)
        _heat(page.axes(x, y, w, h), explanation, colours, window)
        below = _words(page, part, x, y + h + 0.08, width, largest) + 0.08
        return below + _references(
            page, part.references, x, below, width, max(1.9, y + height - below)
        )
    w, h = _within(width_px, height_px, width * 0.45, 1.9)
    _heat(page.axes(x, y, w, h), explanation, colours, window)
    bottom = _words(page, part, x + w + 0.12, y, width - w - 0.12, largest)
    below = max(y + h, bottom) + 0.1
    room = max(1.9, y + height - below)
    return below + _references(page, part.references, x, below, width, room)


def _words(page, part, x, y, width, largest):
    y += _heading(page, x, y, f"concept {part.concept}", width) - 0.03
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
    if _text_width(words, BODY, False) > width:
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
        room = width - _text_width(f"on {ending}", SMALL, False)
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
            text = "\n".join(_wrapped(reference.problem or "no picture", side * 0.9, 8)[:5])
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
    import cv2

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
