"""Layers are chosen by name or pattern, in the order of the network."""

import pytest

from lcrp.errors import InputError
from lcrp.layers import select_layers

LAYERS = ["stem", "stage.0.conv", "stage.1.conv", "stage.1.gate", "head[0]"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("all", LAYERS),
        ("default", ["stage.1.conv"]),
        ("stem", ["stem"]),
        ("stage.*.conv", ["stage.0.conv", "stage.1.conv"]),
        (["stage.1.*", "stem", "stem"], ["stem", "stage.1.conv", "stage.1.gate"]),
        # A name that reads like a pattern is the name.
        ("head[0]", ["head[0]"]),
        ([], []),
    ],
)
def test_names_and_patterns(wanted, chosen):
    assert select_layers(wanted, LAYERS, default=["stage.1.conv"]) == chosen


def test_an_unknown_layer_gets_the_nearest_names():
    with pytest.raises(InputError, match=r"^unet: no layer 'stege\.1\.conv'; nearest: 'stage"):
        select_layers(["stem", "stege.1.conv"], LAYERS, where="unet")
