import numpy as np
import pytest

from lcrp.render.colours import dimmed, relevance_picture, scale


def test_zero_is_white_and_signs_differ():
    heatmap = np.array([[0.0, 1.0, -1.0]])
    zero, positive, negative = relevance_picture(heatmap)[0].astype(int)
    assert zero.min() > 240
    assert positive[0] > positive[2] + 50 and negative[2] > negative[0] + 50


def test_colours_are_symmetric_around_zero():
    heatmap = np.linspace(-1, 1, 41)[None]
    lightness = relevance_picture(heatmap)[0].astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(lightness - lightness[::-1]).max() < 40
    assert np.argmax(lightness) == 20
    # The scale does not follow the sign that prevails.
    np.testing.assert_array_equal(
        relevance_picture(np.array([[1.0, 0.5]]))[0, 1],
        relevance_picture(np.array([[-1.0, 0.5]]))[0, 1],
    )


def test_scale_ignores_one_bright_pixel_and_survives_zeros_and_nan():
    heatmap = np.ones((100, 100))
    heatmap[3, 4] = 10
    assert scale(heatmap) == pytest.approx(1, rel=0.01)
    assert scale(np.zeros((3, 3))) == 1
    single = np.zeros((100, 100))
    single[1, 1] = 2
    assert scale(single) == 2
    assert relevance_picture(np.array([[np.nan, 1.0]]))[0, 0].min() > 240


def test_dimming_keeps_what_is_relevant():
    picture = np.full((9, 9, 3), 200, np.uint8)
    relevant = np.zeros((9, 9), bool)
    relevant[2:7, 2:7] = True
    shown = dimmed(picture, relevant)
    assert (shown[4, 4] == 200).all()
    assert (shown[0, 0] < 80).all()
    assert (shown[2, 4] > 230).all()  # the line between them
