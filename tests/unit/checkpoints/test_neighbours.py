"""Networks that lie near the known ones are told apart by their keys."""

import pytest
import torch

from lcrp.checkpoints.neighbours import neighbour
from lcrp.models import architectures, build_model


def state(*keys):
    """A state dict; a key may be followed by the shape of its value."""
    parts = (key.partition(" ") for key in keys)
    return {key: torch.zeros([int(n) for n in shape.split("x")] if shape else 3)
            for key, _, shape in parts}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (("model.0.conv.conv.weight 32x12x3x3", "model.24.m.0.weight"), "YOLOv5 before"),
        (("model.0.conv.weight", "model.33.m.0.weight"), "YOLOv5 for large"),
        (("model.4.m.0.cv1.conv.weight", "model.24.dfl.conv.weight"), "YOLOv5u"),
        (("model.12.m.0.cv1.conv.weight", "model.28.dfl.conv.weight"), "YOLOv8 with other"),
        (("model.9.conv.conv.weight", "model.9.linear.weight"), "a classifier"),
        (("model.22.cv3.0.2.bias 15", "model.22.cv4.0.2.bias 1"), "a detector of rotated"),
        (("model.23.cv3.0.2.bias 1", "model.23.cv4.0.2.bias 51"), "a detector of poses"),
        (("model.105.m.0.weight", "model.105.ia.0.implicit"), "YOLOv7"),
        (("model.77.m.0.weight",), "YOLOv7"),
        (("model.2.cv2.0.cv1.conv.weight", "model.22.dfl.conv.weight"), "YOLOv9"),
        (("model.10.attn.qkv.conv.weight", "model.23.one2one_cv3.0.2.bias 80"), "YOLOv10"),
        (("model.6.m.0.0.attn.qkv.conv.weight", "model.21.cv3.0.2.bias"), "YOLO12"),
        (("backbone.ERBlock_2.0.rbr_1x1.bn.bias", "detect.cls_preds.0.bias"), "YOLOv6 of"),
    ],
)
def test_neighbours_are_named(keys, what):
    found = neighbour(state(*keys))
    assert found.what.startswith(what) and found.remedy


@pytest.mark.parametrize("name", architectures())
def test_known_networks_are_no_neighbours(name):
    with torch.device("meta"):
        assert neighbour(build_model(name, 3).network.state_dict()) is None


def test_a_network_for_masks_is_no_neighbour():
    assert neighbour(state("model.22.cv4.0.2.bias 32", "model.22.proto.cv1.conv.weight")) is None
