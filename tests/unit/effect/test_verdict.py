"""Which effects are confirmed."""

import pandas as pd
import pytest

from lcrp.effect.verdict import confirmed


def test_concepts_count_only_where_the_class_needs_its_context():
    def row(kind, name, p, effect=0.5, note=""):
        intervention = {"background": "other-class", "thing": "removed"}.get(kind, "switched-off")
        return {
            "kind": kind, "intervention": intervention, "class": name, "p": p, "effect": effect,
            "difference": effect, "note": note,
        }  # fmt: skip

    table = pd.DataFrame(
        [
            row("background", "boat", 0.001),
            row("background", "star", 0.5, 0.0),
            row("thing", "boat", 0.02, 0.4),
            row("concepts", "boat", 0.02),
            row("concepts", "star", 0.01, note="relevance 0.3"),
            row("concepts", "boat", 0.001, 0.19),
        ]
    )
    found = confirmed(table, 0.2, 0.05)
    # Three tests of each family.
    wanted = [0.003, 0.5, 0.04, 0.02, 0.02, 0.003]
    assert found["p_adjusted"].to_list() == pytest.approx(wanted)
    assert found["confirmed"].to_list() == [True, False, True, True, False, False]
    assert found["note"][4] == "relevance 0.3; the class was not found to need its context"
