"""Where rows can differ from zero, told from the geometry of a network alone."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.attribution import Explainer, rows
from lcrp.attribution.extents import (
    Neighbourhood,
    Repetition,
    around,
    arriving,
    filled,
    hull,
    overlap,
    reaching,
)
from lcrp.attribution.seeds import seeds, starts
from lcrp.attribution.transport import transport
from lcrp.attribution.walk import Walk
from support.random_graphs import RandomGraph, few, steps
from support.small_models import explained, randomised, small_yolov5, targets_at

SIDE = 24


@given(
    *(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3)),
    st.integers(0, 8),
    st.integers(1, 6),
)
def test_neighbourhoods_hold_all_that_see_each_other(kernel, stride, padding, first, length):
    axis = Neighbourhood((kernel, 1), (stride, 1), (padding, 0))
    extents = np.array([[first, 0, first + length, 1]])
    own = range(first, first + length)
    seen = [y * stride - padding + k for y in own for k in range(kernel)]
    assert axis.below(extents).tolist() == [[min(seen), 0, max(seen) + 1, 1]]
    window = range(-20, 40)
    seeing = [y for y in window if any(y * stride - padding + k in own for k in range(kernel))]
    (above,) = axis.above(extents)
    if seeing:
        assert above.tolist() == [min(seeing), 0, max(seeing) + 1, 1]
    else:
        assert not filled(above[None])[0]


def test_repeated_positions():
    extents = np.array([[1, 2, 4, 3]])
    assert Repetition(2).above(extents).tolist() == [[2, 4, 8, 6]]
    assert Repetition(2).below(extents).tolist() == [[0, 1, 2, 2]]


def test_hulls_overlaps_and_what_is_empty():
    one, other = np.array([[0, 0, 4, 4]]), np.array([[2, 3, 9, 5]])
    assert hull(one, other).tolist() == [[0, 0, 9, 5]]
    assert overlap(one, other).tolist() == [[2, 3, 4, 4]]
    assert not filled(overlap(one, other + 4))[0]
    masks = torch.zeros(3, 6, 5)
    masks[0, 2:4, 1] = 0.5
    masks[2] = 1
    assert around(masks)[[0, 2]].tolist() == [[2, 1, 4, 2], [0, 0, 6, 5]]
    assert filled(around(masks)).tolist() == [True, False, True]


def assert_within(message, extents):
    """What differs from zero in maps (N, C, H, W), or windows, lies within the extents."""
    maps, own_rows = message.values, message.rows
    for member, own, there in zip(own_rows.members, maps, own_rows.slices(maps), strict=True):
        y, x = (part.start for part in there[1:])
        (found,) = around((own != 0).any(dim=0)[None])
        if not filled(found[None])[0]:
            continue
        found += (y, x, y, x)
        assert filled(extents[member][None])[0]
        assert hull(found[None], extents[member][None]).tolist() == [extents[member].tolist()]


def check(monkeypatch, explainer, prediction, targets, masks):
    """On whole maps, since windows would leave out what lies beyond the extents."""
    monkeypatch.setattr(rows, "_worthwhile", lambda window, size: False)
    record, program = prediction.record, prediction.record.program
    maps = [i for i, n in enumerate(program.graph.nodes) if n.shape and len(n.shape) == 4]
    seeded = seeds(prediction, targets)
    arrived = arriving(program, starts(seeded), len(targets))
    visitors = {i: lambda message, i=i: assert_within(message, arrived[i]) for i in maps}
    Walk(record, maps).run(seeded, visitors)
    images = [target.image for target in targets]
    reached = reaching(program, around(masks), max(maps))
    seen = set()
    for node, shares in transport(record, masks.to(explainer.dtype), images, maps):
        assert shares.rows.origins is None
        assert_within(shares, reached[node])
        seen.add(node)
    return seen


cells = st.tuples(st.integers(0, 1), st.integers(0, 2 * SIDE**2 - 1), st.integers(0, 1))
corners = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))


@given(steps, st.integers(0, 1000), st.tuples(cells, cells), st.tuples(corners, corners))
@settings(few, max_examples=10)
def test_relevance_and_masks_stay_within_their_extents(
    monkeypatch, graph_steps, seed, places, pixels
):
    network = randomised(RandomGraph(graph_steps), seed)
    explainer, prediction = explained(network, torch.randn(2, 3, SIDE, SIDE), "EpsilonPlus")
    targets = targets_at(prediction, sorted(places))
    masks = torch.zeros(2, SIDE, SIDE)
    for mask, (y, x) in zip(masks, pixels, strict=True):
        mask[y : y + 2, x] = 1
    check(monkeypatch, explainer, prediction, targets, masks)


def test_extents_in_a_detector_are_small(monkeypatch):
    model = small_yolov5(size=(128, 160))
    explainer = Explainer(model, device="cpu")
    prediction = explainer.predict(torch.rand(1, 3, 128, 160))
    targets = targets_at(prediction, [(0, 0, 0), (0, 7, 2)])
    masks = torch.zeros(2, 128, 160)
    masks[0, 60:70, 20:30] = masks[1, 100:, 150:] = 1
    seen = check(monkeypatch, explainer, prediction, targets, masks)
    program = prediction.record.program
    reached = reaching(program, around(masks), len(program.graph.nodes) - 1)
    # Every layer sees something of every mask.
    assert seen >= set(program.layers.values())
    assert all(filled(reached[node]).all() for node in seen)
    first = reached[min(program.layers.values())][0]
    assert (first[2:] - first[:2]).max() < 12
