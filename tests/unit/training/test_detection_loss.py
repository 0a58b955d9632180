"""Which predictions answer for an object, and what the loss wants of them."""

import pytest
import torch

from lcrp.models import build_model
from lcrp.training.detection_loss import assign, detection_loss

ANCHORS = [[[16, 16], [12, 20], [20, 12]], [[24, 24], [20, 30], [30, 20]], [[90, 90]] * 3]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model(
        "yolov5", ("a", "b", "c"), depth=0.1, width=0.0625, anchors=ANCHORS, input_size=(96, 96)
    )


def an_object(x, y, width=16.0, height=16.0, label=1, image=0):
    return torch.tensor([[float(image), float(label), x, y, width, height]])


def cells_of(assigned):
    return {(int(column), int(row)) for row, column in zip(assigned[2], assigned[3], strict=True)}


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (34.0, 50.0, {(4, 6), (3, 6), (4, 5)}),  # left and upper part of the cell
        (38.0, 54.0, {(4, 6), (5, 6), (4, 7)}),
        (34.0, 54.0, {(4, 6), (3, 6), (4, 7)}),
        (36.0, 52.0, {(4, 6)}),  # exactly in the middle
        (1.0, 2.0, {(0, 0)}),  # no neighbours beyond the border
        (95.0, 94.0, {(11, 11)}),
    ],
)
def test_the_cell_of_the_centre_and_its_nearer_neighbours_answer(x, y, expected):
    assigned = assign(an_object(x, y), torch.tensor([[16.0, 16.0]]), 8, 12, 12)
    assert cells_of(assigned) == expected


def test_anchors_answer_for_objects_within_a_factor_of_four():
    anchors = torch.tensor([[16.0, 16.0], [60.0, 16.0], [16.0, 65.0], [4.1, 16.0], [4.0, 16.0]])
    _, anchor, _, _, which = assign(an_object(36.0, 52.0), anchors, 8, 12, 12)
    assert anchor.tolist() == [0, 1, 3]
    assert which.tolist() == [0, 0, 0]


def test_images_and_objects_are_told_apart():
    objects = torch.cat([an_object(36.0, 52.0, image=0), an_object(20.0, 12.0, image=1)])
    image, _, row, column, which = assign(objects, torch.tensor([[16.0, 16.0]]), 8, 12, 12)
    assert image.tolist() == which.tolist() == [0, 1]
    assert list(zip(column.tolist(), row.tolist(), strict=True)) == [(4, 6), (2, 1)]


def raw_outputs(batch=1, classes=3, objectness=-9.0):
    outputs = []
    for cells in (12, 6, 3):
        raw = torch.zeros(batch, 3, 5 + classes, cells, cells)
        raw[:, :, 4] = objectness
        outputs.append(raw.reshape(batch, -1, cells, cells))
    return outputs


def say(outputs, level, anchor, row, column, box, label, anchors):
    """Make one prediction say a box and a class."""
    stride = (8, 16, 32)[level]
    raw = outputs[level].view(1, 3, -1, *outputs[level].shape[-2:])[0, anchor, :, row, column]
    x, y, width, height = box
    centre = torch.tensor([x / stride - column, y / stride - row])
    size = torch.tensor([width, height]) / torch.tensor(anchors[level][anchor])
    raw[:2] = torch.logit((centre + 0.5) / 2)
    raw[2:4] = torch.logit(size.sqrt() / 2)
    raw[4] = 12.0
    raw[5:] = -12.0
    raw[5 + label] = 12.0


def test_loss_is_nothing_where_all_is_right_and_more_where_not(model):
    objects = an_object(36.0, 52.0, width=18.0, height=14.0)
    right, wrong_class, wrong_place = raw_outputs(), raw_outputs(), raw_outputs()
    for level, anchors in enumerate(ANCHORS):
        stride = (8, 16, 32)[level]
        cells = 96 // stride
        assigned = assign(objects, torch.tensor(anchors, dtype=torch.float32), stride, cells, cells)
        for anchor, row, column in zip(*(a.tolist() for a in assigned[1:4]), strict=True):
            place = (level, anchor, row, column)
            say(right, *place, (36.0, 52.0, 18.0, 14.0), 1, ANCHORS)
            say(wrong_class, *place, (36.0, 52.0, 18.0, 14.0), 2, ANCHORS)
            say(wrong_place, *place, (39.0, 52.0, 18.0, 14.0), 1, ANCHORS)
    right, wrong_class, wrong_place = (
        {name: float(v) for name, v in detection_loss(model, outputs, objects, 0.0).items()}
        for outputs in (right, wrong_class, wrong_place)
    )
    assert right["box"] < 1e-4
    assert right["class"] < 1e-4
    assert right["loss"] < 2e-3
    assert wrong_class["class"] > 5
    assert wrong_class["box"] == pytest.approx(right["box"])
    assert wrong_place["box"] > 0.3
    assert wrong_place["objectness"] > right["objectness"]


def test_wanted_objectness_is_the_overlap(model):
    """With one assigned prediction the objectness loss is lowest where it says the overlap."""
    objects = an_object(36.0, 52.0, width=16.0, height=16.0)
    values = {}
    for said in (0.2, 0.6, 0.9):
        outputs = raw_outputs()
        for anchor in range(3):
            say(outputs, 0, anchor, 6, 4, (36.0, 52.0, 16.0, 9.6), 1, ANCHORS)
            raw = outputs[0].view(1, 3, -1, 12, 12)
            raw[0, anchor, 4, 6, 4] = torch.logit(torch.tensor(said))
        values[said] = float(detection_loss(model, outputs, objects, 0.0)["objectness"])
    assert min(values, key=values.get) == 0.6


def test_batch_without_objects_has_a_loss_and_gradients(model):
    outputs = model.network(torch.rand(2, 3, 96, 96))
    parts = detection_loss(model, outputs, torch.empty(0, 6), 0.0)
    parts["loss"].backward()
    assert torch.isfinite(parts["loss"])
    assert float(parts["box"]) == float(parts["class"]) == 0
    assert model.network.model[0].conv.weight.grad.abs().sum() > 0
