"""Swapped objects as pictures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from matplotlib.image import imread

from lcrp.swaps import draw_examples


def test_each_object_is_drawn_before_and_after(tmp_path):
    shades = {"a": 60, "b": 180}
    scenes = {
        name: SimpleNamespace(image=lambda v=value: np.full((20, 20, 3), v, np.uint8))
        for name, value in shades.items()
    }
    rows = pd.DataFrame(
        [
            {"class": "boat", "outcome": "follows", "original": "a", "image": "b"},
            {"class": "star", "outcome": "stays", "original": "b", "image": "a"},
        ]
    ).assign(**{"from": "water", "to": "", "before": "boat", "after": "", "x1": 4, "y1": 5})
    draw_examples(rows.assign(x2=12, y2=14), scenes, scenes, tmp_path / "examples")
    pictures = {path.name: imread(path) for path in (tmp_path / "examples").iterdir()}
    assert set(pictures) == {"boat_follows.png", "star_stays.png"}
    for (name, picture), first in zip(sorted(pictures.items()), "ab", strict=True):
        half = picture.shape[1] // 2
        shown = [np.isclose(part[..., 0] * 255, shades[first]).mean() for part in
                 (picture[:, :half], picture[:, half:])]  # fmt: skip
        assert shown[0] > 0.3 > shown[1], name
