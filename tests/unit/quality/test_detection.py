"""Average precision on cases that can be worked out by hand, and on real images."""

from types import SimpleNamespace

import numpy as np
import pytest

from lcrp.quality import Found, detection_quality

CLASSES = ("cat", "dog", "owl")


def sample(*things):
    return SimpleNamespace(
        id="",
        things=[
            SimpleNamespace(class_index=label, box=box, crowd=crowd) for label, box, crowd in things
        ],
    )


def found(*boxes):
    return Found(
        np.array([box for box, _, _ in boxes], float).reshape(-1, 4),
        np.array([score for _, score, _ in boxes], float),
        np.array([label for _, _, label in boxes], int),
    )


BOX, OTHER = (10.0, 10.0, 30.0, 30.0), (50.0, 50.0, 90.0, 80.0)


def test_perfect_boxes():
    summary, table = detection_quality(
        [sample((0, BOX, False)), sample((1, OTHER, False))],
        [found((BOX, 0.9, 0)), found((OTHER, 0.8, 1))],
        CLASSES,
    )
    assert summary["mAP"] == pytest.approx(1)
    assert summary["mAP50"] == pytest.approx(1)
    assert table["annotations"].tolist() == [1, 1, 0]
    assert table["AP"].tolist()[:2] == pytest.approx([1, 1])
    assert np.isnan(table["AP"][2])


def test_one_of_two_found_with_a_better_scored_false_one():
    # Precision is 0, then 1/2 at recall 1/2: of 101 recalls the 51 up to 0.5 get 1/2.
    summary, _ = detection_quality(
        [sample((0, BOX, False), (0, OTHER, False))],
        [found(((0, 0, 5, 5), 0.9, 0), (BOX, 0.5, 0))],
        CLASSES,
    )
    assert summary["mAP50"] == pytest.approx(51 / 101 / 2)


def test_box_that_is_off_counts_at_low_overlaps_alone():
    # 20 x 20 against 20 x 15 of it: IoU 0.75, so right at 0.50 to 0.75, six of ten thresholds.
    summary, _ = detection_quality(
        [sample((0, BOX, False))], [found(((10, 10, 30, 25), 0.9, 0))], CLASSES
    )
    assert summary["mAP"] == pytest.approx(0.6)
    assert summary["mAP50"] == pytest.approx(1)


def test_boxes_in_a_crowd_do_not_count():
    crowd = (0, (40.0, 40.0, 95.0, 95.0), True)
    inside = [((45, 45, 60, 60), 0.95, 0), ((60, 60, 80, 80), 0.9, 0)]
    with_crowd, table = detection_quality(
        [sample((0, BOX, False), crowd)], [found((BOX, 0.5, 0), *inside)], CLASSES
    )
    without, _ = detection_quality(
        [sample((0, BOX, False))], [found((BOX, 0.5, 0), *inside)], CLASSES
    )
    assert with_crowd["mAP"] == pytest.approx(1)
    assert without["mAP"] < 0.5
    assert table["annotations"][0] == 1


def test_wrong_class_and_nothing_found():
    samples = [sample((0, BOX, False))]
    for prediction in (found((BOX, 0.9, 1)), found()):
        summary, _ = detection_quality(samples, [prediction], CLASSES)
        assert summary["mAP"] == 0


def test_nothing_annotated_and_nothing_at_all():
    for samples, predictions in (([sample()], [found((BOX, 0.9, 1))]), ([], [])):
        summary, table = detection_quality(samples, predictions, CLASSES)
        assert np.isnan(summary["mAP"])
        assert table["AP"].isna().all()


def test_pycocotools_keeps_quiet(capsys):
    detection_quality([sample((0, BOX, False))], [found((BOX, 0.9, 0))], CLASSES)
    assert capsys.readouterr() == ("", "")


def test_published_weights_reach_their_known_quality(shared):
    """YOLOv5n on 80 real images, in their own pixels."""
    from lcrp.datasets import open_dataset
    from lcrp.models import load_model
    from lcrp.quality import measure_quality

    model = load_model("yolov5n", shared / "real" / "yolov5n-coco.pt")
    folder = shared / "real" / "coco-mini"
    annotations = next(folder.rglob("*.json"))
    image = next(folder.rglob("*.jpg"))
    dataset = open_dataset(
        {"format": "coco", "images": str(image.parent), "annotations": str(annotations)},
        classes=model.classes,
    )
    quality = measure_quality(model, dataset)
    assert quality.summary["images"] == 80
    assert quality.summary["mAP"] == pytest.approx(0.307, abs=0.01)
    assert quality.summary["mAP50"] == pytest.approx(0.460, abs=0.01)
