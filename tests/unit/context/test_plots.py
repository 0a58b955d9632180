"""The plots are drawn, also where there is nothing to show."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lcrp.context import aggregate, open_tables
from lcrp.context.plots import draw_layers, draw_matrix, draw_scores


@pytest.fixture(params=["some", "none"])
def tables(request, tmp_path, random_store):
    minimum = 5 if request.param == "some" else 1000
    aggregate(random_store, tmp_path / "context.zarr.zip", minimum_targets=minimum)
    with open_tables(tmp_path / "context.zarr.zip", random_store) as opened:
        yield opened


def coloured(path):
    """Whether there is more than grey text."""
    picture = matplotlib.image.imread(path)[..., :3]
    return bool((np.ptp(picture, axis=-1) > 0.1).sum() > 50)


def test_tables_as_pictures(tmp_path, tables):
    scored = tables.classes["context_score"].notna().any()
    draw_scores(tables, tmp_path / "scores.png")
    draw_layers(tables, tmp_path / "layers.png")
    for name in ("scores", "layers"):
        assert coloured(tmp_path / f"{name}.png") == scored


@pytest.mark.parametrize("rows", [0, 12])
def test_matrix_as_picture(tmp_path, rows):
    names = [f"class {i}" for i in range(4)]
    pairs = pd.DataFrame(
        [(a, b) for a in names for b in [*names, "unlabelled"] if a != b][:rows],
        columns=["class", "thing"],
    )
    pairs["share"], pairs["lift"] = np.linspace(0, 0.3, rows), np.linspace(0, 2, rows)
    draw_matrix(pairs, tmp_path / "matrix.png")
    assert coloured(tmp_path / "matrix.png") == (rows > 0)


def test_matrix_keeps_the_things_with_the_largest_shares(tmp_path):
    """LVIS has 1,203 categories: a column for each were more pixels than a picture may have."""
    things = [f"thing {i}" for i in range(1203)]
    pairs = pd.DataFrame({"class": "boat", "thing": things, "lift": 1.0})
    pairs["share"] = np.linspace(0.3, 0, len(things))
    for name, count in (("all", 100), ("few", 7)):
        draw_matrix(pairs, tmp_path / f"{name}.png", most_things=count)
        width = matplotlib.image.imread(tmp_path / f"{name}.png").shape[1]
        assert width == pytest.approx(150 * (2.4 + 0.42 * count), abs=1)


def test_names_are_drawn_as_they_are_written(tmp_path, random_store, monkeypatch):
    """Whatever is between two `$` is no formula, least of all one that is wrong."""
    names = tuple(f"$\\{name}$" for name in random_store.classes)
    monkeypatch.setattr(random_store, "classes", names)
    aggregate(random_store, tmp_path / "context.zarr.zip")
    with open_tables(tmp_path / "context.zarr.zip", random_store) as tables:
        draw_scores(tables, tmp_path / "scores.png")
    pairs = pd.DataFrame({"class": names[0], "thing": names[1:], "share": 0.1, "lift": 1.0})
    draw_matrix(pairs, tmp_path / "matrix.png")
    assert coloured(tmp_path / "matrix.png") and coloured(tmp_path / "scores.png")
