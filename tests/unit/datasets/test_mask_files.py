"""Masks are found under the names that tools give them, and read as what they mean."""

import numpy as np
import pytest
from PIL import Image

from lcrp.datasets import open_dataset
from lcrp.datasets.index import write_index
from lcrp.errors import InputError

LABELS = np.zeros((8, 12), np.uint8)
LABELS[2:6, 2:6] = 1


@pytest.fixture
def opened(tmp_path):
    """Opens a dataset of two images whose masks are written under given names."""

    def open_with(*names, masks=(LABELS, LABELS), **spec):
        for name in ("a.jpg", "b.jpg"):
            path = tmp_path / "images" / name
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (12, 8), "red").save(path)
        (tmp_path / "masks").mkdir(exist_ok=True)
        for name, mask in zip(names, masks, strict=False):
            Image.fromarray(mask).save(tmp_path / "masks" / name)
        return open_dataset(
            {
                "format": "masks",
                "images": str(tmp_path / "images"),
                "masks": str(tmp_path / "masks"),
                "classes": ["background", "boat"],
                **spec,
            }
        )

    return open_with


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.png", "b.PNG"),
        ("a_mask.png", "b_mask.png"),
        ("a_segmentation.png", "b.tif"),
        ("A.png", "b_labelIds.png"),
    ],
)
def test_masks_are_found_by_the_names_tools_give_them(opened, one, other):
    dataset = opened(one, other)
    assert [sample.things[0].class_name for sample in dataset] == ["boat", "boat"]


def test_an_image_with_two_masks_is_named(opened):
    with pytest.raises(InputError, match=r"the image a\.jpg has another mask, a_mask\.png"):
        opened("a.tif", "a_mask.png")


def test_a_plain_name_comes_first(opened):
    assert len(opened("a.png", "a_mask.png")["a"].things) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c.png", r"as a\.png would be for a\.jpg; there lies c\.png: rename the masks"),
        (
            "a.jpg",
            r"as a\.png would be for a\.jpg; there lies a\.jpg, but JPEG changes the values",
        ),
    ],
)
def test_what_lies_there_is_said(opened, name, message):
    with pytest.raises(InputError, match=f"no mask is named like an image, {message}"):
        opened(name)


def test_values_mean_what_the_configuration_says(opened):
    masks = [np.where(LABELS, 255, 0).astype(np.uint8)] * 2
    values = {"0": "background", 255: "boat"}
    dataset = opened("a.png", "b.png", masks=masks, values=values)
    assert (dataset["a"].labels() == LABELS).all()


def test_colours_mean_what_the_configuration_says(opened):
    colours = np.array([[10, 20, 30], [255, 0, 0]], np.uint8)[LABELS]
    values = {"#0a141e": "background", "#FF0000": "boat"}
    dataset = opened("a.png", "b.png", masks=[colours] * 2, values=values)
    assert (dataset["a"].labels() == LABELS).all()
    with pytest.raises(InputError, match="it holds #0a141e, which `values` does not name"):
        opened("a.png", masks=[colours], values={"#ff0000": "boat"})["a"].labels()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({0: "sea"}, "there is no class 'sea'"),
        ({300: "boat"}, "300 is neither a value from 0 to 255 nor a colour"),
        ({"red": "boat"}, "'red' is neither a value"),
        ({0: "boat", "#000001": "void"}, "either values or colours"),
    ],
)
def test_wrong_values_are_named(opened, values, message):
    with pytest.raises(InputError, match=message):
        opened("a.png", values=values)


def test_masks_in_which_255_is_the_class_are_not_taken_for_void(opened, tmp_path):
    masks = [np.where(LABELS, 255, 0).astype(np.uint8)] * 2
    dataset = opened("a.png", "b.png", masks=masks)
    with pytest.raises(InputError, match=r"17% .*void \(255\).*`values: .*255: boat"):
        write_index(dataset, tmp_path / "index.csv")
    assert not (tmp_path / "index.csv").exists()
    assert len(write_index(opened("a.png", "b.png"), tmp_path / "index.csv")) == 2
