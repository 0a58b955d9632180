"""How many forward passes interventions take."""

from lcrp.effect.planning import Intervention


def test_planned_passes():
    subjects = [object()] * 10
    assert Intervention("background", 1, subjects=subjects).passes(8, 2) == 8 * 7
    assert Intervention("thing", 1, subjects=subjects).passes(12, 2) == 20
