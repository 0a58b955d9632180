"""The plots are drawn, also where there is nothing to show."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lcrp.context import aggregate, open_tables
from lcrp.context.plots import draw_density, draw_layers, draw_matrix, draw_scores
from lcrp.context.verification import METHODS, POINTS, summary


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


def test_density_as_picture(tmp_path):
    random = np.random.default_rng(0)
    points = pd.DataFrame(random.random((200, len(POINTS))), columns=list(POINTS))
    points["layer"], points["class"] = "conv", "boat"
    points[METHODS[2]] = np.nan
    draw_density(points, summary(points, "unet"), tmp_path / "density.png")
    assert coloured(tmp_path / "density.png")
