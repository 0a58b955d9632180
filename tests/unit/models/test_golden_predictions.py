"""The networks agree with the reference: keys, order of convolutions, predictions."""

import numpy as np
import pytest
import torch
from torch import nn

from lcrp.models import load_model


def relative_error(ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).sum() / np.abs(theirs).sum()


def outputs(model, network, case):
    with torch.no_grad():
        return model.decode(network(torch.from_numpy(case["input"])))[0]


def convolutions(network):
    """In the order of modules, without the constant one from which boxes are read."""
    named = network.named_modules()
    return [name for name, m in named if isinstance(m, nn.Conv2d) and ".dfl." not in name]


@pytest.fixture
def published(golden_weights, golden_state):
    """A model with reference weights; its keys and shapes are those of the published file."""

    def model(name):
        loaded = load_model(name, golden_state(name))
        ours = [(key, tuple(value.shape)) for key, value in loaded.network.state_dict().items()]
        assert ours == [(key, shape) for key, shape, _ in golden_weights.table(name)]
        return loaded

    return model


def test_keys_of_the_smallest_yolo(published):
    assert published("yolov5n").network.model[24].anchors[0, 0].tolist() == [1.25, 1.625]


@pytest.mark.parametrize("name", ["unet", "deeplabv3plus"])
def test_logits_and_convolutions_of_segmentation(name, published, golden_case):
    case = golden_case(name)
    model = published(name)
    found = outputs(model, model.network, case)
    assert relative_error(found.logits, case["logits"]) < 1e-4
    assert convolutions(model.canonised()) == list(case["layers"])
    assert np.array_equal(found.labels, case["logits"].argmax(0))


@pytest.mark.parametrize("name", ["yolov5m", "yolov6s", "yolov8n", "yolo11n"])
def test_kept_boxes_and_convolutions_of_yolo(name, published, golden_case):
    case = golden_case(name)
    model = published(name)
    for network in (model.network, model.canonised()):
        found = outputs(model, network, case)
        assert relative_error(found.scores, case["scores"]) < 1e-4
        assert relative_error(found.boxes, case["boxes"]) < 1e-4
    assert convolutions(network) == list(case["layers"])


@pytest.mark.parametrize(
    "name",
    [
        *("yolov5n-coco-0", "yolov5n-coco-1", "yolov5n-coco-2"),
        *("yolov8n-coco-0", "yolov8n-coco-1", "yolo11n-coco-0", "yolo11n-coco-1"),
    ],
)
def test_kept_boxes_with_trained_weights(name, shared, golden_case):
    case = golden_case(name)
    architecture = name.partition("-")[0]
    model = load_model(architecture, shared / "real" / f"{architecture}-coco.pt")
    found = outputs(model, model.network, case)
    assert relative_error(found.scores, case["scores"]) < 1e-4
    assert relative_error(found.boxes, case["boxes"]) < 1e-4


def test_priors_and_convolutions_of_ssd(published, golden_case):
    case = golden_case("ssd512")
    model = published("ssd512")
    with torch.no_grad():
        raw = model.network(torch.from_numpy(case["input"]))
    found = model.decode(raw, threshold=-np.inf)[0]
    assert len(found) == 24564
    rows = case["prior_index"]
    assert relative_error(found.scores[rows], case["scores"]) < 1e-4
    assert relative_error(found.boxes[rows], case["boxes"]) < 1e-4
    assert convolutions(model.canonised()) == list(case["layers"])
