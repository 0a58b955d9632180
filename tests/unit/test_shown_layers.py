"""Which layers figures show."""

from lcrp.layers import shown_layers

LAYERS = ["stem", "stage.0", "stage.1"]


def test_by_default_the_example_or_the_last_layer():
    assert shown_layers("default", LAYERS, "stage.0") == ("stage.0",)
    assert shown_layers("default", LAYERS, "not recorded") == ("stage.1",)


def test_named_ones_in_the_order_in_which_they_are_named():
    assert shown_layers(["stage.1", "stem"], LAYERS, "stage.0") == ("stage.1", "stem")
    assert shown_layers("stem", LAYERS, "stage.0") == ("stem",)
