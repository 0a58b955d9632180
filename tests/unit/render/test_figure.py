import io
import re

import numpy as np
import pytest
from PIL import Image

from lcrp.errors import InputError
from lcrp.render import draw_figure, figure_bytes, read_summary, save_figure
from lcrp.render.colours import PREDICTION
from lcrp.render.concepts import _grid
from lcrp.render.text import fit_text, percent, text_width


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("width", [800, 1601])
def test_png_has_the_width_asked_for(make_explanation, width):
    assert pixels(figure_bytes(make_explanation(), "png", width)).shape[1] == width


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_same_explanation_same_bytes(make_explanation, kind):
    assert figure_bytes(make_explanation(), kind, 800) == figure_bytes(
        make_explanation(), kind, 800
    )


def test_svg_and_pdf_keep_text_as_text(make_explanation):
    explanation = make_explanation(name="cost $5 & <more>")
    svg = figure_bytes(explanation, "svg").decode()
    assert "cost $5 &amp; &lt;more&gt;" in svg
    assert ">concept 1</text>" in svg
    assert b"/FontFile2" in figure_bytes(explanation, "pdf")


def test_png_describes_itself(make_explanation, tmp_path):
    explanation = make_explanation()
    path = save_figure(explanation, tmp_path / "new" / "boat.png", 400)
    summary = read_summary(path)
    panels = summary.pop("panels")
    assert summary == explanation.summary()
    assert set(panels) == {"input", "heatmap"}
    assert all(0 < value < 1 for panel in panels.values() for value in panel)
    assert read_summary(path)["concepts"][1]["outside"] == 0.25
    assert [p.name for p in path.parent.iterdir()] == ["boat.png"]


def test_unknown_format_and_width_are_refused(make_explanation, tmp_path):
    with pytest.raises(InputError, match=r"\.gif; use one of png, pdf, svg"):
        save_figure(make_explanation(), tmp_path / "a.gif")
    with pytest.raises(InputError, match="width"):
        save_figure(make_explanation(), tmp_path / "a.png", 3)
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png: no explanation"):
        read_summary(tmp_path / "b.png")


def axes_showing(figure, height, width):
    """Axes with a picture of the original's size, in order of drawing."""
    return [
        a for a in figure.axes if a.images and a.images[0].get_array().shape[:2] == (height, width)
    ]


def test_box_is_drawn_where_it_is(make_explanation):
    box = (20.0, 10.0, 50.0, 40.0)
    explanation = make_explanation(size=(600, 800), box=tuple(10 * v for v in box))
    explanation.picture[:] = 128
    explanation.truth = None
    figure = draw_figure(explanation)
    figure.canvas.draw()
    shown = pixels(figure_bytes(explanation, "png", 1600)).astype(int)
    colour = np.array([int(PREDICTION[i : i + 2], 16) for i in (1, 3, 5)])
    axes = axes_showing(figure, 600, 800)[0]
    area = axes.get_window_extent()
    left, top = area.x0, figure.bbox.height - area.y1
    for x, y in ((200, 250), (500, 250), (350, 400)):  # left, right and lower edge
        column = left + x / 800 * area.width
        row = top + y / 600 * area.height
        near = shown[round(row) - 1 : round(row) + 2, round(column) - 1 : round(column) + 2]
        assert np.abs(near - colour).sum(-1).min() < 12, (x, y)


def test_mask_contour_follows_the_mask(make_explanation):
    explanation = make_explanation(masked=True)
    axes = axes_showing(draw_figure(explanation), 60, 80)[0]
    bounds = [c.get_paths()[0].get_extents() for c in axes.collections]
    for found in bounds:  # from the first pixel's left edge to the last one's right edge
        np.testing.assert_allclose(found.extents, (20, 10, 50, 40), atol=0.51)


def test_mask_at_the_border_is_closed(make_explanation):
    explanation = make_explanation(masked=True, box=(0.0, 0.0, 80.0, 60.0))
    axes = axes_showing(draw_figure(explanation), 60, 80)[0]
    path = axes.collections[0].get_paths()[0]
    np.testing.assert_allclose(path.get_extents().extents, (0, 0, 80, 60), atol=0.51)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (20, 300), "box": (0.0, 0.0, 300.0, 20.0)},
        {"size": (300, 20), "box": (1.0, 1.0, 5.0, 7.0)},
        {"concepts": 40, "references": 12},
        {"concepts": 1, "references": 1, "annotated": False},
        {"concepts": 0},
        {"references": 0},
        {"layers": ("a", "b", "a.very.long.name.of.a.layer.in.a.deep.network.conv2")},
        {"layers": tuple(f"model.{n}.cv3.conv" for n in range(9))},
        {"name": "a class with a name that is far too long for the figure " * 4},
        {"size": (400, 500), "box": (497.0, 0.0, 500.0, 2.0)},
    ],
)
def test_nothing_leaves_the_page_or_overlaps_its_neighbour(make_explanation, changes):
    figure = draw_figure(make_explanation(**changes))
    figure.canvas.draw()
    page = figure.bbox
    texts = [t for t in figure.texts if t.get_text()]
    boxes = [t.get_window_extent() for t in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= page.x0 and box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, text
    pictures = [a.get_window_extent() for a in figure.axes if a.images]
    for box in pictures:
        assert box.x0 >= page.x0 and box.x1 <= page.x1 + 1 and box.y0 >= page.y0 - 1
    for n, a in enumerate(boxes):
        for other in boxes[n + 1 :] + pictures:
            width = min(a.x1, other.x1) - max(a.x0, other.x0)
            height = min(a.y1, other.y1) - max(a.y0, other.y0)
            assert width < 2 or height < 3, texts[n]


def test_a_small_object_is_enlarged(make_explanation):
    small = make_explanation(size=(400, 500), box=(490.0, 5.0, 498.0, 15.0))
    large = make_explanation(size=(400, 500), box=(100.0, 50.0, 398.0, 315.0))
    words = [[t.get_text() for t in draw_figure(e).texts] for e in (small, large)]
    assert "The object, enlarged" in words[0] and "The object, enlarged" not in words[1]


def test_missing_reference_says_why(make_explanation):
    explanation = make_explanation()
    explanation.concepts[0].references[1] = type(explanation.concepts[0].references[1])(
        "scene 7", "boat", 0.1, problem="7.png cannot be read"
    )
    written = " ".join(re.findall(r">([^<]+)</text>", figure_bytes(explanation, "svg").decode()))
    assert "cannot" in written and "read" in written


def test_fit_text_keeps_both_ends_and_fits():
    text = "encoder.features.15.some.very.long.layer.conv2"
    short = fit_text(text, 1.5)
    assert text_width(short, 12, False) <= 1.5
    assert short.startswith("enc") and short.endswith("nv2") and "…" in short
    assert fit_text("conv", 1.5) == "conv"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.412, "41 %"),
        (0.125, "13 %"),
        (0.0412, "4.1 %"),
        (-0.027, "−2.7 %"),
        (0, "0 %"),
        (0.0004, "0.04 %"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_percent(value, text):
    assert percent(value) == text


@pytest.mark.parametrize("count", [1, 2, 5, 12, 37, 100])
def test_reference_grid_fits_the_width(count):
    columns, side = _grid(count, 5.0, 2.0)
    assert side * columns + (columns - 1) * side * 6 / 180 <= 5.0 + 1e-9
    rows = -(-count // columns)
    assert columns * (rows - 1) < count
