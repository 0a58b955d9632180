"""COCO files as tools write them, understood or refused in one line."""

import json

import pytest
from PIL import Image

from lcrp.datasets import open_dataset
from lcrp.errors import InputError


@pytest.fixture
def opened(tmp_path):
    """Opens a dataset of two images of 12 x 8 pixels with changed content."""
    for name in ("a.jpg", "b.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (12, 8), "red").save(path)

    def open_changed(**changes):
        content = {
            "images": [
                {"id": 1, "file_name": "a.jpg", "height": 8, "width": 12},
                {"id": 2, "file_name": "b.jpg", "height": 8, "width": 12},
            ],
            "categories": [{"id": 1, "name": "boat"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}],
        } | changes
        (tmp_path / "a.json").write_text(json.dumps(content))
        spec = {"format": "coco", "images": str(tmp_path / "images")}
        return open_dataset(spec | {"annotations": str(tmp_path / "a.json")})

    return open_changed


def annotation(**changes):
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]} | changes


@pytest.mark.parametrize(
    "written",
    [
        annotation(image_id="1"),
        annotation(image_id=1.0),
        annotation(category_id="1"),
        annotation(category_id=1.0, id=None),
        annotation(iscrowd="0"),
        annotation(iscrowd="false"),
        annotation(bbox=["1", "1", "4.0", "4"]),
    ],
)
def test_ids_and_numbers_are_understood_as_text_too(opened, written):
    (thing,) = opened(annotations=[written])["a"].things
    assert thing.box == (1, 1, 5, 5) and not thing.crowd and thing.class_name == "boat"


def test_sizes_are_understood_as_text_too(opened):
    images = [{"id": "x1", "file_name": "a.jpg", "height": "8.0", "width": "12"}]
    dataset = opened(images=images, annotations=[annotation(image_id="x1")])
    assert dataset["a"].size == (8, 12) and len(dataset["a"].things) == 1


@pytest.mark.parametrize("flag", ["1", 1, True, "true"])
def test_crowds(opened, flag):
    assert opened(annotations=[annotation(iscrowd=flag)])["a"].things[0].crowd


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [5, 5, -3, -3], [], None])
def test_boxes_without_an_area_are_taken_from_the_mask(opened, box):
    square = [[2, 2, 6, 2, 6, 6, 2, 6]]
    (thing,) = opened(annotations=[annotation(bbox=box, segmentation=square)])["a"].things
    assert thing.box == (2, 2, 6, 6)
    assert opened(annotations=[annotation(bbox=box)])["a"].things == []


def test_annotations_of_one_id_stay_apart(opened):
    things = opened(annotations=[annotation(), annotation(bbox=[2, 2, 3, 3])])["a"].things
    assert len({thing.id for thing in things}) == 2


@pytest.mark.parametrize(
    "name",
    [
        "images/a.jpg",
        "C:\\photos\\a.jpg",
        "/data/me/a.jpg",
        "https://host/a.jpg?raw=1",
        "./a.jpg",
    ],
)
def test_file_names_of_elsewhere_lead_to_the_file_here(opened, name):
    dataset = opened(images=[{"id": 1, "file_name": name, "height": 8, "width": 12}])
    assert dataset[0].image().shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [annotation(image_id=3)]}, "its image_id 3 is not in `images`"),
        ({"annotations": [annotation(category_id=None)]}, "its category_id None is not in"),
        ({"annotations": [annotation(iscrowd="maybe")]}, "its iscrowd is 'maybe'; write 0 or 1"),
        ({"annotations": [{"image_id": 1, "segments_info": []}]}, "a panoptic file"),
        ({"annotations": [{"image_id": 1, "caption": "a boat"}]}, "a file of captions"),
        ({"annotations": [annotation(bbox=[1, 2, 3])]}, "is not \\[x, y, width, height\\]"),
        ({"annotations": [annotation(bbox=[1, 2, 3, 1e999])]}, "is not finite"),
        ({"annotations": 3}, "its `annotations` are no list"),
        ({"images": [{"id": None, "file_name": "a.jpg"}]}, "images\\[0\\] has no id"),
        (
            {"images": [{"id": 1, "file_name": "a.jpg"}, {"id": "1", "file_name": "b.jpg"}]},
            "two images have the id 1",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "x/a.jpg"}]},
            "images 1 and 2 are one file, a.jpg; list it once",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.jpg", "height": 8, "width": "wide"}]},
            "its width is 'wide'",
        ),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1.0, "name": "b"}]}, "have the id 1"),
        ({"categories": [{"id": 1}]}, "categories\\[0\\] has no id or no name"),
    ],
)
def test_what_cannot_be_understood_is_named(opened, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        dataset = opened(**changes)
        [(sample.size, sample.things) for sample in dataset]
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_results_is_named(opened, tmp_path):
    opened()
    (tmp_path / "a.json").write_text(json.dumps([{"image_id": 1, "category_id": 1, "score": 0.5}]))
    spec = {"format": "coco", "images": str(tmp_path / "images")}
    with pytest.raises(InputError, match="a file of results"):
        open_dataset(spec | {"annotations": str(tmp_path / "a.json")})
