"""Layers by name, by pattern, and by default."""

import pytest

from lcrp.errors import InputError
from lcrp.layers import select_layers, shown_layers

LAYERS = ["a.0", "a.1", "b[0]", "c"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("all", LAYERS),
        ("default", ["c"]),
        ("a.1", ["a.1"]),
        (["c", "a.*"], ["a.0", "a.1", "c"]),
        ("b[0]", ["b[0]"]),
        ([], []),
    ],
)
def test_chosen_layers_keep_the_order_of_the_network(wanted, chosen):
    assert select_layers(wanted, LAYERS, default=["c"]) == chosen


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(InputError, match=r"^store: no layer 'a\.2'; nearest: 'a\.1' or 'a\.0'"):
        select_layers(["c", "a.2"], LAYERS, where="store")


def test_figures_show_the_example_or_the_last_layer():
    assert shown_layers("default", LAYERS, "a.0") == ("a.0",)
    assert shown_layers("default", LAYERS, "not recorded") == ("c",)
    assert shown_layers(["c", "a.0"], LAYERS, "a.1") == ("c", "a.0")
    assert shown_layers("c", LAYERS, "a.1") == ("c",)
