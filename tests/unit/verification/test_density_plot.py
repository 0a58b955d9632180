"""The verification as a picture."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lcrp.verification import METHODS, POINT_COLUMNS, draw_density
from lcrp.verification.sensitivity import summary


def test_density_as_picture(tmp_path):
    random = np.random.default_rng(0)
    points = pd.DataFrame(random.random((200, len(POINT_COLUMNS))), columns=list(POINT_COLUMNS))
    points["layer"], points["class"] = "conv", "boat"
    points[METHODS[2]] = np.nan
    draw_density(points, summary(points, "unet"), tmp_path / "density.png")
    picture = matplotlib.image.imread(tmp_path / "density.png")[..., :3]
    assert (np.ptp(picture, axis=-1) > 0.1).sum() > 50


def test_density_of_many_layers_spreads_what_is_drawn(tmp_path):
    random = np.random.default_rng(0)
    points = pd.DataFrame(random.random((120, len(POINT_COLUMNS))), columns=list(POINT_COLUMNS))
    points["layer"], points["class"] = [f"conv {i}" for i in range(60) for _ in "ab"], "boat"
    found = summary(points, "unet")
    for most in (2, 3):
        draw_density(points, found, tmp_path / "density.png", most=most)
        height = matplotlib.image.imread(tmp_path / "density.png").shape[0]
        assert height == pytest.approx(150 * (2.1 * most + 0.5), abs=1)
