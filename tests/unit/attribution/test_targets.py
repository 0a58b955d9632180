"""Which targets there are, and the relevance that each starts with."""

import numpy as np
import pytest
import torch
from torch import nn

from lcrp.attribution import Explainer
from lcrp.attribution.seeds import initial_relevance
from lcrp.errors import InputError
from lcrp.models import build_model
from lcrp.models.base import SegmentationModel

NAMES = ("background", "cat", "dog", "bird")


class Painted(SegmentationModel):
    """Segments by colour: the logits are the input's channels, and minus their sum."""

    smallest_side = 1
    default_layers = ("conv",)

    def __init__(self):
        network = nn.Sequential()
        network.conv = nn.Conv2d(3, 4, 1)
        network.requires_grad_(False)
        network.conv.weight.zero_()
        network.conv.bias.zero_()
        for colour in range(3):
            network.conv.weight[colour + 1, colour] = 1
            network.conv.weight[0, colour] = -1
        network.forward = lambda x: (network.conv(x),)
        super().__init__("painted", network, NAMES, (6, 8), {})


@pytest.fixture(scope="module")
def scene():
    """Two images: two cats and a dog; nothing. Pixels of value v get the logit v."""
    images = torch.zeros(2, 3, 6, 8)
    images[0, 0, 0:2, 0:2] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    images[0, 0, 4:6, 5:8] = 1.0
    images[0, 1, 0:2, 6] = 0.5
    images[1] = -1
    return Explainer(Painted(), device="cpu").predict(images)


def start(target, shape):
    return initial_relevance([target], shape, target.prediction.outputs[target.output])[0]


def test_class_target_of_a_segmentation_is_all_its_pixels(scene):
    targets = scene.targets(classes=["cat", "dog", "bird"])
    assert [(t.image, t.class_name, t.instance) for t in targets] == [(0, "cat", 0), (0, "dog", 0)]
    cat = targets[0]
    assert cat.pixels == 10
    assert cat.logit == pytest.approx(1.6)
    assert cat.box == (0, 0, 8, 6)
    relevance = start(cat, (4, 6, 8))
    assert relevance.sum() == pytest.approx(1)
    torch.testing.assert_close(relevance[1, 0:2, 0:2], torch.tensor([[1.0, 2], [3, 4]]) / 16)
    torch.testing.assert_close(relevance[1, 4:6, 5:8], torch.full((2, 3), 1 / 16))
    assert relevance[[0, 2, 3]].abs().sum() == 0


def test_instance_targets_of_a_segmentation_are_its_regions(scene):
    targets = scene.targets(classes=["cat", "dog"], mode="instance")
    found = [(t.class_name, t.instance, t.pixels, t.box) for t in targets]
    assert found == [
        ("cat", 0, 4, (0, 0, 2, 2)),
        ("cat", 1, 6, (5, 4, 8, 6)),
        ("dog", 0, 2, (6, 0, 7, 2)),
    ]
    for target in targets:
        assert start(target, (4, 6, 8)).sum() == pytest.approx(1)


def test_mask_of_a_segmentation_target_is_its_region(scene):
    targets = scene.targets(classes=["dog"])
    mask = targets.mask(0)
    assert mask.dtype == torch.bool
    assert mask.nonzero().tolist() == [[0, 6], [1, 6]]


def test_diagonal_neighbours_are_one_region():
    images = torch.zeros(1, 3, 6, 8)
    images[0, 0, 1, 1] = images[0, 0, 2, 2] = 1
    found = Explainer(Painted(), device="cpu").predict(images)
    assert [t.pixels for t in found.targets(classes=["cat"], mode="instance")] == [2]


def test_region_without_a_positive_logit_is_no_target():
    """All logits are negative where the class wins: no relevance starts."""
    model = Painted()
    model.network.conv.bias.copy_(torch.tensor([-9.0, -1.0, -9.0, -9.0]))
    found = Explainer(model, device="cpu").predict(torch.zeros(1, 3, 6, 8))
    assert found.decoded[0].labels.unique().tolist() == [1]
    assert len(found.targets(classes=["cat"])) == 0


def test_predicted_classes_leave_the_background_out(scene):
    assert scene.predicted_classes() == [[1, 2], []]
    assert [t.class_name for t in scene.targets()] == ["cat", "dog"]


def test_classes_by_name_index_and_image(scene):
    by_name = scene.targets(classes=["cat", "dog"])
    assert scene.targets(classes=[1, 2]).frame().equals(by_name.frame())
    assert scene.targets(classes=np.array([1, 2])).frame().equals(by_name.frame())
    assert [t.class_name for t in scene.targets(classes=[["dog"], ["cat"]])] == ["dog"]
    assert [t.class_name for t in scene.targets(classes=[[], [1, 2]])] == []
    assert [t.class_name for t in scene.targets(classes=["cat", 1, "cat"])] == ["cat"]


@pytest.mark.parametrize("classes", [[], [[], []], ()])
def test_no_classes_are_no_targets(scene, classes):
    assert len(scene.targets(classes=classes)) == 0


def test_unknown_class_comes_with_the_nearest_names(scene):
    with pytest.raises(InputError, match="class 'dogg': unknown to the model; use 'dog'") as caught:
        scene.targets(classes=["dogg"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [-1, 4])
def test_class_index_out_of_range_is_refused(scene, index):
    with pytest.raises(InputError, match=f"class {index}: the model has 4"):
        scene.targets(classes=[index])


def test_lists_for_another_number_of_images_are_refused(scene):
    with pytest.raises(InputError, match="3 lists for 2 images"):
        scene.targets(classes=[["cat"], ["dog"], []])


def test_unknown_mode_is_refused(scene):
    with pytest.raises(InputError, match="'class' or 'instance'"):
        scene.targets(mode="instances")


def test_target_by_name(scene):
    assert scene.target("dog").class_index == 2
    with pytest.raises(InputError, match="not predicted in this image; predicted: cat, dog"):
        scene.target("bird")
    with pytest.raises(InputError, match="predicted: nothing"):
        scene.target("cat", image=1)


def test_targets_are_sliced_and_picked(scene):
    targets = scene.targets(classes=["dog", "cat"])
    assert len(targets[:1]) == 1
    assert targets[:1][0] is targets[0]
    assert [t.class_name for t in targets[[1]]] == [targets[1].class_name]
    frame = targets.frame()
    assert frame["class_name"].tolist() == [t.class_name for t in targets]
    assert frame[["box_x1", "box_y2"]].to_numpy().tolist() == [
        [t.box[0], t.box[3]] for t in targets
    ]


LOW = -9.0


def detector(cells, classes=3, size=64):
    """Prediction of one image per entry of `cells`.

    Each a list of (level, anchor, row, column, objectness, class probabilities).
    """
    model = build_model("yolov5", classes, width=0.125, depth=0.33, input_size=[size, size])
    explainer = Explainer(model, device="cpu")
    found = explainer.predict(torch.zeros(len(cells), 3, size, size))
    outputs = [torch.full_like(output, LOW) for output in found.outputs]
    for image, boxes in enumerate(cells):
        for level, anchor, row, column, objectness, probabilities in boxes:
            place = outputs[level][image].view(3, 5 + classes, *outputs[level].shape[2:])
            values = torch.tensor([0.5, 0.5, 0.5, 0.5, objectness, *probabilities])
            place[anchor, :, row, column] = torch.logit(values)
    found.outputs = tuple(outputs)
    found.record.outputs = found.outputs
    return found


@pytest.fixture(scope="module")
def boxes():
    return detector(
        [
            [
                (0, 0, 1, 1, 0.9, [0.8, 0.3, 0.01]),
                (0, 0, 6, 6, 0.9, [0.6, 0.1, 0.7]),
                (2, 2, 0, 0, 0.2, [0.9, 0.9, 0.9]),
            ],
            [],
        ]
    )


def test_class_target_of_a_detection_is_the_best_box_of_the_class(boxes):
    targets = boxes.targets(classes=[0, 1, 2])
    assert [(t.class_index, round(t.score, 4)) for t in targets] == [(0, 0.8), (1, 0.3), (2, 0.7)]
    assert [t.image for t in targets] == [0, 0, 0]
    # The label of a box does not matter: class 1 is nobody's best class.
    assert targets[1].box == targets[0].box
    for target in targets:
        relevance = start(target, boxes.outputs[0].shape[1:])
        assert relevance.sum() == 1
        place = relevance.nonzero()[0].tolist()
        cell = [1, 1] if target.class_index < 2 else [6, 6]
        assert place == [5 + target.class_index, *cell]
        assert boxes.outputs[0][0][tuple(place)] == pytest.approx(target.logit)
        assert torch.sigmoid(torch.tensor(target.logit)) == pytest.approx(target.score, abs=1e-5)


def test_later_ranks_are_the_next_best_boxes(boxes):
    assert [t.score for t in boxes.targets(classes=[0], rank=2)] == [pytest.approx(0.6, abs=1e-5)]
    assert boxes.targets(classes=[0], rank=2)[0].instance == 1
    assert len(boxes.targets(classes=[0], rank=3)) == 0


def test_score_has_to_exceed_the_threshold(boxes):
    assert [t.class_index for t in boxes.targets(classes=[0, 1, 2], threshold=0.65)] == [0]
    assert len(boxes.targets(classes=[0], threshold=0.9)) == 0


def test_box_without_objectness_is_no_candidate(boxes):
    assert all(t.output == 0 for t in boxes.targets(classes=[0, 1, 2]))
    lower = boxes.targets(classes=[1], threshold=0.1)
    assert lower[0].score == pytest.approx(0.9, abs=1e-5)
    assert lower[0].output == 2


def test_instance_targets_of_a_detection_are_the_kept_boxes(boxes):
    targets = boxes.targets(classes=[0, 1, 2], mode="instance")
    found = [(t.class_index, t.instance) for t in targets]
    assert sorted(found) == [(0, 0), (0, 1), (1, 0), (2, 0)]
    first, second = (
        next(t for t in targets if (t.class_index, t.instance) == k) for k in found[:2]
    )
    assert first.box != second.box or first.class_index != second.class_index


def test_mask_of_a_box_is_the_box_filled(boxes):
    targets = boxes.targets(classes=[0])
    x1, y1, x2, y2 = targets[0].box
    mask = targets.mask(0)
    assert int(mask.sum()) == (round(y2) - round(y1)) * (round(x2) - round(x1))
    assert mask[round(y1) : round(y2), round(x1) : round(x2)].all()


def test_image_without_boxes_gives_no_target():
    found = detector([[]])
    assert len(found.targets(classes=[0, 1, 2])) == 0
    assert len(found.targets()) == 0
    assert len(found.targets(mode="instance")) == 0
    assert found.predicted_classes() == [[]]
