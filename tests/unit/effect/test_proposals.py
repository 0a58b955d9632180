"""What is proposed to intervene on."""

import pandas as pd
import pytest

from lcrp.effect.proposals import Proposal, co_occurring, context_switch, proposed_pairs
from lcrp.effect.recognised_objects import annotated_objects


def test_pairs_come_from_what_meets_more_often_than_by_chance(world):
    scenes = world.samples(48)
    objects = annotated_objects(scenes)
    pairs = co_occurring(scenes, objects, world.CLASSES, minimum=5)
    boat = {pair.thing: pair for pair in pairs[1]}
    assert set(boat) == {"star", "buoy"}
    assert len(boat["buoy"].numbers) == 12
    assert boat["buoy"].lift == pytest.approx(12 * 48 / (24 * 24))
    assert "boat" not in boat and "car" not in boat
    assert co_occurring(scenes, objects, world.CLASSES, minimum=13)[1] == []


def test_attribution_and_co_occurrence_propose_in_turn():
    met = {1: [Proposal(1, name, (0,), 2.0) for name in ("sea", "gull", "oar", "buoy")], 3: []}
    assert [p.thing for p in proposed_pairs(met, None, "-bcs", 2)[1]] == ["sea", "gull"]
    scores = pd.DataFrame(
        {
            "class": ["b", "b", "b", "c"],
            "thing": ["oar", "unlabelled", "buoy", "sea"],
            "share": [0.1, 0.6, 0.2, 0.9],
        }
    )
    found = proposed_pairs(met, scores, "-bcs", 3)
    assert [pair.thing for pair in found[1]] == ["buoy", "sea", "oar"]
    assert found[3] == []


def table(shares, scores):
    return pd.DataFrame({"concept": range(len(shares)), "share": shares, "context_score": scores})


def test_context_switch_and_as_relevant_ones():
    found = context_switch(
        table([0.3, 0.2, 0.28, 0.05, 0.1, 0.07], [0.9, 0.8, 0.1, 0.9, 0.2, 0.05]), "conv", 2
    )
    assert found.concepts == (0, 1)  # 0.27 and 0.16 of the relevance lie outside
    assert found.control == (2, 4)
    assert found.shares == pytest.approx((0.5, 0.38))
    assert not found.note


def test_without_comparable_concepts_a_note_says_so():
    found = context_switch(table([0.6, 0.01, 0.01], [0.9, 0.1, 0.2]), "conv", 1)
    assert found.note == "no concepts of low context score are as relevant"


@pytest.mark.parametrize("scores", [[None, None], [0.0, 0.0]])
def test_no_context_score_no_concepts(scores):
    assert context_switch(table([0.5, 0.5], pd.array(scores, "Float64")), "conv", 3) is None
    assert context_switch(table([0.5, 0.5], [0.5, 0.2]), "conv", 0) is None
