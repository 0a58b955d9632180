"""Decoding of the detectors against slow definitions, and where the boxes' logits are."""

import math

import pytest
import torch

from lcrp.models import build_model, load_model
from lcrp.models.ssd import priors

ANCHOR_FREE = ("yolov8", "yolo11", "yolo26")


def detector(name):
    """A small detector with outputs of every size, for two images."""
    if name == "yolov5":
        model = build_model("yolov5", 3, width=0.125, input_size=(64, 96))
        shapes = [(24, 64 // s, 96 // s) for s in (8, 16, 32)]
    elif name == "yolov6":
        model = build_model("yolov6", 3, width=0.125, input_size=(64, 96))
        shapes = [(c, 64 // s, 96 // s) for s in (8, 16, 32) for c in (3, 4, 1)]
    elif name in ANCHOR_FREE:
        model = build_model(name, 3, width=0.125, input_size=(64, 96))
        sides = 4 if name == "yolo26" else 64
        shapes = [(c, 64 // s, 96 // s) for s in (8, 16, 32) for c in (sides, 3)]
    else:
        model = build_model("ssd512", 3)
        sides, counts = (64, 32, 16, 8, 4, 2, 1), (4, 6, 6, 6, 6, 4, 4)
        shapes = [
            (n * each, side, side) for each in (3, 4) for side, n in zip(sides, counts, strict=True)
        ]
    raw = tuple(torch.randn(2, *shape) for shape in shapes)
    if name == "ssd512":
        for logits in raw[:7]:
            logits[:, 0::3] += 7  # background nearly everywhere
    return model, raw


DETECTORS = ["yolov5", "yolov6", *ANCHOR_FREE, "ssd512"]


@pytest.mark.parametrize("name", DETECTORS)
def test_outputs_have_the_shapes_that_are_decoded(name):
    model, raw = detector(name)
    with torch.no_grad():
        ours = model.network(torch.zeros(1, 3, *model.input_size))
    assert [o.shape[1:] for o in ours] == [r.shape[1:] for r in raw]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("way", ["decode", "detect"])
def test_boxes_say_where_their_logits_are(name, way):
    model, raw = detector(name)
    for image, found in enumerate(getattr(model, way)(raw)):
        assert len(found) > 10
        assert found.scores.shape == (len(found), 3) and found.boxes.shape == (len(found), 4)
        flat = [output[image].flatten() for output in raw]
        for c in range(3):
            places = found.base + c * found.stride
            logits = torch.stack([flat[o][p] for o, p in zip(found.output, places, strict=True)])
            scores = logits if name == "ssd512" else logits.sigmoid()
            assert torch.allclose(found.scores[:, c], scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_images_of_a_batch_are_decoded_alone(name):
    model, raw = detector(name)
    together = model.decode(raw)
    alone = [model.decode(tuple(r[i : i + 1] for r in raw))[0] for i in range(2)]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a.boxes, b.boxes) and torch.equal(a.scores, b.scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_an_image_without_prediction_gives_empty_tensors(name):
    model, raw = detector(name)
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    if name == "ssd512":
        for output in silent[:7]:
            output[:, 0::3] = 0.0
    for found in (*model.decode(silent), *model.detect(silent)):
        assert found.boxes.shape == (0, 4) and found.scores.shape == (0, 3)
        assert found.labels.dtype == found.base.dtype == torch.int64
        assert found.confidence.shape == (0,)


@pytest.mark.parametrize("name", DETECTORS)
def test_detections_come_best_first_and_not_too_many(name):
    model, raw = detector(name)
    most = 100 if name == "ssd512" else 300
    for found in model.detect(raw):
        assert len(found) <= most
        assert (found.confidence.diff() <= 0).all()
        if name == "ssd512":
            assert (found.labels > 0).all() and (found.confidence > 0.01).all()


@pytest.mark.parametrize("name", DETECTORS)
def test_decoding_is_not_part_of_the_graph(name):
    model, raw = detector(name)
    raw = tuple(output.requires_grad_() for output in raw)
    for found in (*model.decode(raw), *model.detect(raw)):
        assert not found.boxes.requires_grad and not found.scores.requires_grad


@pytest.mark.parametrize(("name", "exponent"), [("yolov6", 200.0), ("ssd512", 2000.0)])
def test_an_overflowing_size_stays_finite(name, exponent):
    model, raw = detector(name)
    boxes = raw[1::3] if name == "yolov6" else raw[7:]
    for output in boxes:
        output[:, 2:] = exponent
    for found in (*model.decode(raw), *model.detect(raw)):
        assert len(found) and found.boxes.isfinite().all()


def test_candidates_of_yolov5_by_definition():
    model, raw = detector("yolov5")
    found = model.decode(raw)[1]
    anchors = model.network.model[-1].anchors
    rows = []
    for level, stride in enumerate((8, 16, 32)):
        values = raw[level][1].sigmoid().double()
        for anchor in range(3):
            for y in range(64 // stride):
                for x in range(96 // stride):
                    v = values[8 * anchor : 8 * anchor + 8, y, x].tolist()
                    if v[4] <= 0.25 or v[4] * max(v[5:]) <= 0.25:
                        continue
                    cx, cy = (2 * v[0] - 0.5 + x) * stride, (2 * v[1] - 0.5 + y) * stride
                    w, h = (
                        (2 * v[2 + i]) ** 2 * anchors[level, anchor, i].item() * stride
                        for i in (0, 1)
                    )
                    box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                    rows.append((v[4] * max(v[5:]), box))
    best = max(rows)
    assert len(found) == 25
    assert found.confidence[0].item() == pytest.approx(best[0], rel=1e-5)
    assert found.boxes[0].tolist() == pytest.approx(best[1], rel=1e-4, abs=1e-3)
    decoded = {tuple(round(c) for c in box) for _, box in rows}
    assert {tuple(round(c) for c in box) for box in found.boxes.tolist()} <= decoded


def test_threshold_bounds_the_candidates():
    for name in ("yolov5", "yolov6", *ANCHOR_FREE):
        model, raw = detector(name)
        found = model.decode(raw, threshold=0.6)[0]
        assert 0 < len(found) < len(model.decode(raw)[0]) + 1
        assert (found.confidence > 0.6).all()
    model, raw = detector("ssd512")
    found = model.decode(raw, threshold=2.0)[0]
    assert 0 < len(found) < 24564 and (found.scores[:, 1:].max(1).values > 2).all()


def test_detections_of_yolo_count_every_class_of_a_box():
    model, raw = detector("yolov5")
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    silent[1][0, 12, 1, 2] = 4.0  # objectness of the second anchor
    silent[1][0, 13:15, 1, 2] = torch.tensor([2.0, 1.0])  # two of its classes
    found = model.detect(silent)[0]
    assert found.labels.tolist() == [0, 1]
    assert torch.equal(found.boxes[0], found.boxes[1])
    kept = model.decode(silent)[0]
    assert kept.labels.tolist() == [0] and kept.output.tolist() == [1]


def test_box_of_yolov6_by_definition():
    model, raw = detector("yolov6")
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    silent[5][0, 0, 1, 2] = silent[3][0, 1, 1, 2] = 3.0
    silent[4][0, :, 1, 2] = torch.tensor([0.25, -0.5, math.log(2), math.log(3)])
    found = model.decode(silent)[0]
    assert found.labels.tolist() == [1]
    assert found.boxes[0].tolist() == pytest.approx([36 - 16, 8 - 24, 36 + 16, 8 + 24], rel=1e-5)


@pytest.mark.parametrize("name", ["yolov8", "yolo11"])
def test_box_from_distributions_by_definition(name):
    model, raw = detector(name)
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    silent[3][0, 1, 1, 2] = 3.0  # class 1 in row 1, column 2 of stride 16
    silent[2][0, :, 1, 2] = torch.randn(64)
    found = model.decode(silent)[0]
    assert found.labels.tolist() == [1]
    assert found.confidence.tolist() == pytest.approx([1 / (1 + math.exp(-3))])
    sides = []
    for side in range(4):
        bins = silent[2][0, 16 * side : 16 * side + 16, 1, 2].exp().tolist()
        sides.append(sum(n * bin for n, bin in enumerate(bins)) / sum(bins))
    x, y = 2.5, 1.5
    expected = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
    assert found.boxes[0].tolist() == pytest.approx([16 * n for n in expected], rel=1e-5)


def test_boxes_of_yolo26_are_distances_and_all_kept():
    model, raw = detector("yolo26")
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    silent[1][0, 2, 1, 2:4] = torch.tensor([3.0, 2.0])  # two neighbours of one class
    silent[0][0, :, 1, 2] = torch.tensor([1.0, 0.5, 3.0, 2.0])
    silent[0][0, :, 1, 3] = torch.tensor([2.0, 0.5, 2.0, 2.0])  # the same box
    for found in (model.decode(silent)[0], model.detect(silent)[0]):
        assert found.labels.tolist() == [2, 2]
        assert found.boxes[0].tolist() == pytest.approx([12.0, 8.0, 44.0, 28.0])
        assert torch.equal(found.boxes[0], found.boxes[1])
    model, raw = detector("yolo26")
    assert len(model.decode(raw)[0]) == 25


def test_equal_boxes_of_yolov8_are_one_in_evaluation():
    model, raw = detector("yolov8")
    silent = tuple(torch.full_like(output, -20.0) for output in raw)
    silent[2][0] = torch.eye(16)[0].repeat(4)[:, None, None] * 50  # sides of no length
    silent[3][0, :2, 1, 2] = torch.tensor([3.0, 2.0])  # two classes of one box
    assert model.detect(silent)[0].labels.tolist() == [0, 1]
    silent[2][0, :, 1, 2] = silent[2][0, :, 1, 3] = 0  # 7.5 cells to each side: IoU 14 / 16
    silent[3][0, 0, 1, 3] = 2.5
    assert model.detect(silent)[0].labels.tolist() == [0, 1]


def test_box_of_ssd_by_definition():
    model, raw = detector("ssd512")
    silent = tuple(torch.zeros_like(output) for output in raw)
    silent[6][0, 1 * 3 + 2] = 5.0  # class 2 of the second box of the last cell
    silent[13][0, 4:8, 0, 0] = torch.tensor([0.5, 0.0, 1.0, 0.0])
    found = model.decode(silent, threshold=1.0)[0]
    assert found.labels.tolist() == [2] and found.scores[0].tolist() == [0, 0, 5]
    side = math.sqrt(460.8 * 542.72)
    width = side * math.exp(0.2)
    centre = 256 + 0.1 * 0.5 * side
    expected = [centre - width / 2, 256 - side / 2, centre + width / 2, 256 + side / 2]
    assert found.boxes[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_priors_of_ssd():
    ours = priors()
    assert ours.shape == (24564, 4)
    assert ours[0].tolist() == pytest.approx([4 / 512, 4 / 512, 0.04, 0.04])
    assert ours[3].tolist() == pytest.approx(
        [4 / 512, 4 / 512, 0.04 / math.sqrt(2), 0.04 * math.sqrt(2)]
    )
    assert ours.min() > 0 and ours.max() == 1


def test_anchors_come_with_the_weights():
    wide = [[[s * 10, s * 20]] * 3 for s in (1, 2, 4)]
    trained = build_model("yolov5", 3, width=0.125, anchors=wide)
    plain = load_model("yolov5", trained.network.state_dict(), classes=3, width=0.125)
    assert torch.equal(plain.network.model[-1].anchors, trained.network.model[-1].anchors)
    assert plain.network.model[-1].anchors[2, 0].tolist() == [40 / 32, 80 / 32]
