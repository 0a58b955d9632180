"""YOLO text labels into samples."""

import numpy as np
import pytest
from PIL import Image

from lcrp import InputError
from lcrp.datasets import open_dataset


@pytest.fixture
def spec(tmp_path, layouts):
    for name in ("a.jpg", "b.png", "c.jpg"):
        layouts.write_image(tmp_path / "images" / name, layouts.picture())
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(
        "1 0.5 0.5 0.25 0.5\n\n0 0.125 0.25 0.5 0.25 0.5 0.75 0.125 0.75\n2 0.1 0.1 0 0.2\n"
    )
    (tmp_path / "labels" / "c.txt").write_text("")
    return {
        "format": "yolo",
        "images": tmp_path / "images",
        "labels": tmp_path / "labels",
        "classes": ["person", "car", "kite"],
    }


def test_boxes_and_outlines(spec):
    dataset = open_dataset(spec)
    assert dataset.classes == ("person", "car", "kite")
    car, person = dataset["a"].things  # the third has no area
    assert (car.id, car.class_name, car.mask()) == ("1", "car", None)
    assert car.box == pytest.approx((12, 6, 20, 18))
    assert (person.id, person.class_index) == ("3", 0)
    assert person.box == pytest.approx((4, 6, 16, 18))
    expected = np.zeros((24, 32), bool)
    expected[6:18, 4:16] = True
    assert np.array_equal(person.mask(), expected)
    assert dataset["a"].labels() is None  # the car has no mask


def test_images_without_objects(spec):
    dataset = open_dataset(spec)
    assert dataset["b"].things == [] and dataset["c"].things == []
    assert dataset["b"].classes_present == ()


def test_classes_are_mapped_by_name(spec):
    assert open_dataset(spec, ["kite", "person", "car"])["a"].classes_present == (1, 2)
    with pytest.raises(InputError, match=r"a\.txt:1: its class 'car' is unknown to the model"):
        _ = open_dataset(spec, ["kite", "person"])["a"].things


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 0.5 0.5 0.1 0.1", r"class 3, but `classes` names 3 \(0 to 2\)"),
        ("-1 0.5 0.5 0.1 0.1", r"class -1, but"),
        ("1 200 100 50 40", r"has coordinates outside 0 to 1"),
        ("1 nan 0.5 0.5 0.5", r"has coordinates outside 0 to 1"),
        ("1 0.5 0.5 0.5", r"is not `class x y width height`"),
        ("1.5 0.5 0.5 0.5 0.5", r"is not `class x y width height`"),
        ("car 0.5 0.5 0.5 0.5", r"is not `class x y width height`"),
        ("inf 0.5 0.5 0.5 0.5", r"is not `class x y width height`"),
        ("1 0.5 0.5 0.5", r"is not `class x y width height`"),
    ],
)
def test_a_wrong_line_is_named(spec, line, message):
    (spec["labels"] / "a.txt").write_text(f"1 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(InputError, match=rf"a\.txt:2: .*{message}") as error:
        _ = open_dataset(spec)["a"].things
    assert "\n" not in str(error.value)


def test_labels_that_match_nothing(spec, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"other: no text file is named like an image, as a\.txt"):
        open_dataset({**spec, "labels": tmp_path / "other"})


def yolo(tmp_path, text, size=(100, 200), name="a"):
    """The things of an image of a size (height, width) with a label file."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir(exist_ok=True)
    Image.new("RGB", size[::-1]).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels" / f"{name}.txt").write_text(text, encoding="utf-8")
    spec = {"format": "yolo", "images": str(tmp_path / "images"), "classes": ["boat", "car"]}
    return open_dataset(spec | {"labels": str(tmp_path / "labels")})[name].things


BOX = (80.0, 40.0, 120.0, 60.0)


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.2 0.2",
        "0,0.5,0.5,0.2,0.2",
        "\ufeff0 0.5 0.5 0.2 0.2",
        "0.0; 0.5; 0.5; 0.2; 0.2",
        "0 0.5 0.5 0.2 0.2 0.87",
        "0 0.5 0.5 0.2 0.2 0.45 0.5 0.5 0.55 0 0",
        "0 0.5 0.5 0.2 0.2 0.45 0.5 2 0.5 0.55 1 0 0 0",
    ],
    ids=["plain", "commas", "byte order mark", "semicolons", "confidence", "pose", "visibility"],
)
def test_boxes_with_what_tools_put_around_them(tmp_path, line):
    (thing,) = yolo(tmp_path, line)
    assert thing.box == pytest.approx(BOX) and thing.mask() is None


def test_outlines_with_a_confidence(tmp_path):
    (thing,) = yolo(tmp_path, "1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5 0.9")
    assert thing.box == pytest.approx((20, 10, 60, 50)) and thing.mask().sum() == 40 * 40


def test_rotated_boxes_are_outlines(tmp_path):
    (thing,) = yolo(tmp_path, "1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5")
    assert thing.mask() is not None


def test_boxes_a_hair_outside_are_cut_at_the_edge(tmp_path):
    (thing,) = yolo(tmp_path, "0 1.05 0.5 0.2 0.2")
    assert thing.box == pytest.approx((190, 40, 200, 60))
    with pytest.raises(InputError, match=r"a\.txt:1: .*outside 0 to 1; divide x by the width"):
        yolo(tmp_path, "0 105 50 20 20")
