"""Relevance that fills a window of its map gives what whole maps give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lcrp.attribution import Explainer, rows
from lcrp.attribution.maps import relevance_maps
from lcrp.attribution.rows import Messages, Rows
from support.random_graphs import COMPOSITES, RandomGraph, few, steps
from support.small_models import difference, explained, randomised, small_yolov5, targets_at

SIDE = 24


def on_whole_maps(monkeypatch, action):
    """What `action` returns without windows."""
    with monkeypatch.context() as patched:
        patched.setattr(rows, "_worthwhile", lambda window, size: False)
        return action()


def assert_same(found, expected, tolerance):
    assert difference(found.heatmaps, expected.heatmaps) < tolerance
    for layer, relevance in expected.relevance.items():
        if relevance.abs().sum() == 0:
            assert found.relevance[layer].abs().sum() == 0
            continue
        assert difference(found.relevance[layer], relevance) < tolerance
        assert difference(found.inside[layer], expected.inside[layer]) < tolerance
        assert difference(found.landed[layer], expected.landed[layer]) < tolerance
        assert found.positions[layer].tolist() == expected.positions[layer].tolist()


cells = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2 * SIDE**2 - 1), st.integers(0, 1)),
    min_size=1,
    max_size=4,
)
corners = [(0, 0, 0), (0, SIDE - 1, 0), (1, SIDE**2 - 1, 1), (1, SIDE * (SIDE - 1), 0)]


# Masks: whole, at a border, in a corner, of one pixel, of none.
ALL = (0, 0, SIDE, SIDE)
boxes = st.sampled_from(
    [ALL, (9, 9, 14, 13), (0, 5, 4, 12), (SIDE - 3, SIDE - 4, SIDE, SIDE), (7, 20, 8, 21), (0,) * 4]
)


def rectangles(found, size=(SIDE, SIDE)):
    """Random weights within rectangles (y1, x1, y2, x2), zero elsewhere: (len(found), H, W)."""
    masks = torch.zeros(len(found), *size)
    for mask, (y1, x1, y2, x2) in zip(masks, found, strict=True):
        mask[y1:y2, x1:x2] = torch.rand(y2 - y1, x2 - x1)
    return masks


@given(
    steps,
    st.integers(0, 1000),
    st.sampled_from(COMPOSITES),
    cells | st.just(corners),
    st.lists(boxes, min_size=4, max_size=4),
)
@settings(few, max_examples=8)
def test_windows_do_not_change_results(monkeypatch, graph_steps, seed, composite, places, found):
    network = randomised(RandomGraph(graph_steps), seed).double()
    inputs = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64)
    explainer, prediction = explained(network, inputs, composite)
    targets = targets_at(prediction, sorted(places))
    masks = rectangles(found[: len(targets)])

    def explain():
        return explainer.explain(targets, heatmaps=True, masks=masks)

    assert_same(explain(), on_whole_maps(monkeypatch, explain), 1e-6)


def test_a_detector_starts_from_windows(monkeypatch):
    """Boxes of different levels, one at the border: windows meet windows and whole maps."""
    model = small_yolov5(size=(128, 160))
    explainer = Explainer(model, device="cpu", precision="float64")
    prediction = explainer.predict(torch.rand(2, 3, 128, 160).double())
    targets = targets_at(prediction, [(0, 0, 0), (0, 75, 1), (1, 7, 2), (1, 100, 0)])
    found = [(0, 0, 16, 24), (40, 50, 90, 100), (100, 140, 128, 160), (0, 0, 128, 160)]
    masks = rectangles(found, (128, 160))
    parts = {0: masks[[0, 3]], 1: masks[[1]]}
    sizes = []
    fitted = Messages.fitted

    def noted(self, starts, size):
        found = fitted(self, starts, size)
        sizes.append(found.rows.origins is not None)
        return found

    def explain():
        return explainer.explain(targets, heatmaps=True, masks=masks, parts=parts)

    monkeypatch.setattr(Messages, "fitted", noted)
    found = explain()
    assert sum(sizes) > 5
    expected = on_whole_maps(monkeypatch, explain)
    assert_same(found, expected, 1e-6)
    maps = relevance_maps(explainer, targets, list(explainer.layers))
    for layer, landed in expected.parts.items():
        if torch.cat(landed).abs().sum():
            assert difference(torch.cat(found.parts[layer]), torch.cat(landed)) < 1e-6
            assert difference(maps[layer].sum((2, 3)), expected.relevance[layer]) < 1e-6


def test_strongest_neuron_of_a_window_without_positive_relevance_lies_outside():
    """As on the whole map, where the first zero is stronger than negative relevance."""
    network = randomised(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)))
    explainer, prediction = explained(network, torch.rand(1, 3, 12, 12), "EpsilonPlus")
    for cell, first in ((60, 0), (0, 1)):
        targets = targets_at(prediction, [(0, [cell], 0, [-1.0])])
        found = explainer.explain(targets)
        assert found.relevance["network.1"][0].tolist() == [-1, 0]
        assert found.positions["network.1"][0].tolist() == [first, 0]
        below = found.relevance["network.0"][0] < 0
        assert below.any()
        assert found.positions["network.0"][0].tolist() == (first * below).tolist()


def test_windows_of_one_image_meet_in_their_hull():
    """Rows that carry both messages get the sum, the others what they have."""
    one, other = torch.ones(2, 1, 2, 2), torch.full((1, 1, 3, 1), 10.0)
    left = Messages(one, Rows([0, 0], members=[0, 1], origins=[(4, 4), (9, 9)]))
    right = Messages(other, Rows([0], members=[1], origins=[(9, 8)]))
    total = left.plus(right, (2, 1, 16, 16))
    assert total.rows.origins is not None
    whole = total.whole((16, 16)).values
    expected = torch.zeros(2, 1, 16, 16)
    expected[0, 0, 4:6, 4:6] = 1
    expected[1, 0, 9:11, 9:11] = 1
    expected[1, 0, 9:12, 8] += 10
    torch.testing.assert_close(whole, expected)


@pytest.mark.parametrize("start", [(-1, -2), (5, 7), (13, 12)])
def test_windows_are_cut_at_the_borders(start):
    size = (16, 14)
    relevance = torch.arange(20.0).view(1, 1, 4, 5)
    cut = Messages(relevance, Rows([0])).fitted([start], size)
    (y, x) = cut.rows.origins[0]
    assert 0 <= y <= size[0] - cut.values.shape[2]
    assert 0 <= x <= size[1] - cut.values.shape[3]
    padded = torch.zeros(1, 1, 32, 32)
    padded[:, :, 8 + start[0] : 12 + start[0], 8 + start[1] : 13 + start[1]] = relevance
    whole = cut.whole(size).values
    torch.testing.assert_close(whole, padded[:, :, 8:24, 8:22])
