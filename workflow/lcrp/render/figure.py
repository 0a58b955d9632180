"""One explanation as a figure: PNG at a chosen width, PDF and SVG with text as text."""

from __future__ import annotations

import io
import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lcrp.errors import InputError
from lcrp.files import whole
from lcrp.render.colours import OTHER, PREDICTION, RELEVANCE, TRUTH, relevance_picture
from lcrp.render.concepts import draw_concepts
from lcrp.render.explanation import Explanation
from lcrp.render.page import LEFT, MARGIN, WIDTH, Page, within, write_heading
from lcrp.render.pictures import draw_heat, draw_objects, zoom_window
from lcrp.render.text import BODY, LINE, SMALL, TITLE, fit_text, percent, text_width, wrapped

FORMATS = ("png", "pdf", "svg")
SUMMARY_KEY = "lcrp"
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
    with whole(path) as part:
        part.write_bytes(data)
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
        page = Page(figure)
        top = _title(page, explanation)
        left = _left_column(page, explanation, top)
        right = draw_concepts(page, explanation, top, left)
        panels = page.finish(max(left, right) + MARGIN * 0.6)
    return figure, panels


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
    w, h = within(width, height, LEFT, 4.6)
    y = top + write_heading(page, MARGIN, top, "Input", LEFT)
    axes = page.axes(MARGIN, y, w, h, "input")
    draw_objects(axes, explanation, explanation.picture, (0, 0, width, height), labels=True)
    y += h + 0.08
    y = _legend(page, explanation, y)

    heading = "Heatmap"
    if explanation.outside is not None:
        heading += f": {percent(explanation.outside)} outside the object"
    y += 0.14
    y += write_heading(page, MARGIN, y, heading, LEFT)
    colours = relevance_picture(explanation.heatmap, explanation.picture)
    axes = page.axes(MARGIN, y, w, h, "heatmap")
    draw_heat(axes, explanation, colours, (0, 0, width, height))
    y += h + 0.08
    y = _colour_bar(page, y)

    window = zoom_window(explanation)
    if window is not None:
        y += 0.14
        y += write_heading(page, MARGIN, y, "The object, enlarged", LEFT)
        side = (LEFT - 0.1) / 2
        w, h = within(window[2] - window[0], window[3] - window[1], side, side)
        axes = page.axes(MARGIN, y, w, h)
        draw_objects(axes, explanation, explanation.picture, window, labels=False)
        draw_heat(page.axes(MARGIN + side + 0.1, y, w, h), explanation, colours, window)
        y += h + 0.08
    for note in explanation.notes:
        for line in wrapped(note, LEFT, SMALL):
            page.text(MARGIN, y + 0.05, line, SMALL, color="#444444")
            y += SMALL * LINE
    return y


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
        x += 0.37 + text_width(text, SMALL, False) + 0.2
    y += SMALL * LINE
    if missing:
        page.text(MARGIN, y + 0.02, fit_text(missing, LEFT, SMALL), SMALL, color="#444444")
        y += SMALL * LINE
    return y


def _colour_bar(page, y):
    low, high = "against", "for"
    widths = [text_width(text, SMALL, False) for text in (low, high)]
    note = "each map: own scale"
    bar = LEFT - sum(widths) - text_width(note, SMALL, False) - 0.5
    page.text(MARGIN, y, low, SMALL)
    axes = page.axes(MARGIN + widths[0] + 0.1, y + 0.04, bar, SMALL * LINE - 0.08)
    axes.imshow(RELEVANCE(np.linspace(0, 1, 256))[None], aspect="auto")
    page.text(MARGIN + widths[0] + bar + 0.2, y, high, SMALL)
    x = MARGIN + LEFT - text_width(note, SMALL, False)
    page.text(x, y, note, SMALL, color="#444444")
    return y + SMALL * LINE
