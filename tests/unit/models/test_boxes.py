"""Which boxes are kept."""

import pytest
import torch
import torchvision

from lcrp.models.boxes import box_iou, cells, corners, ranked, suppress


def slow_suppression(boxes, confidence, labels, iou, most):
    """By definition: the best box first, then every one that overlaps no better one."""

    def overlap(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        common = max(width, 0) * max(height, 0)
        areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
        return common / (areas - common)

    order = sorted(range(len(boxes)), key=lambda i: (-confidence[i], i))
    kept = []
    for i in order:
        if all(labels[i] != labels[k] or overlap(boxes[i], boxes[k]) <= iou for k in kept):
            kept.append(i)
    return kept[:most]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_overlaps_are_torchvisions_to_the_bit(dtype):
    torch.manual_seed(0)
    boxes = corners(torch.rand(400, 2) * 50, torch.rand(400, 2) * 30).to(dtype)
    boxes[:5, 2:] = boxes[:5, :2]  # without any area
    overlaps, expected = box_iou(boxes[:90], boxes), torchvision.ops.box_iou(boxes[:90], boxes)
    assert torch.equal(overlaps.nan_to_num(-1), expected.nan_to_num(-1))
    assert box_iou(boxes[:3], boxes[:0]).shape == (3, 0)


def test_suppression_agrees_with_its_definition():
    for seed in range(5):
        torch.manual_seed(seed)
        centres, sizes = torch.rand(60, 2) * 50, torch.rand(60, 2) * 30 + 1
        boxes = corners(centres, sizes)
        confidence = (torch.rand(60) * 10).round() / 10  # with ties
        labels = torch.randint(0, 3, (60,))
        expected = slow_suppression(
            boxes.double().tolist(), confidence.tolist(), labels.tolist(), 0.45, 20
        )
        assert suppress(boxes, confidence, labels, 0.45, 20).tolist() == expected


def test_many_boxes_give_the_same():
    # torchvision takes another way with more than a thousand boxes.
    boxes = corners(torch.rand(1500, 2) * 500, torch.rand(1500, 2) * 30 + 1)
    confidence = (torch.rand(1500) * 20).round() / 20
    labels = torch.randint(0, 3, (1500,))
    expected = slow_suppression(
        boxes.double().tolist(), confidence.tolist(), labels.tolist(), 0.45, 1500
    )
    assert suppress(boxes, confidence, labels, 0.45, 1500).tolist() == expected


def test_one_huge_box_does_not_suppress_the_others():
    boxes = torch.tensor([[0, 0, 1e10, 1e10], [0, 0, 10, 10], [20, 20, 30, 30.0]])
    confidence, labels = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([79, 79, 79])
    assert suppress(boxes, confidence, labels, 0.45, 10).tolist() == [0, 1, 2]


def test_equals_keep_their_order():
    assert ranked(torch.tensor([0.5, 0.9, 0.5, 0.9]), 3).tolist() == [1, 3, 0]


def test_no_boxes():
    none = torch.zeros(0)
    assert suppress(none.reshape(0, 4), none, none.long(), 0.5, 10).tolist() == []


def test_cells_run_along_rows():
    assert cells(2, 3, torch.zeros(1)).tolist() == [
        [0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]
    ]  # fmt: skip
