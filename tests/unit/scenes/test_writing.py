"""The files of the drawn dataset."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as run_lengths

from lcrp.datasets import open_dataset
from lcrp.scenes import class_names, write_scenes, write_split

CONFIG = {"seed": 1, "size": 64, "train": 6, "test": 20, "largest": 18}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scenes(CONFIG, tmp_path_factory.mktemp("scenes") / "drawn")


def contents(directory):
    return {p.relative_to(directory): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def read(directory):
    return json.loads((directory / "annotations.json").read_text())


@pytest.mark.parametrize("split", ["train", "test", "swapped"])
def test_masks_boxes_and_semantic_masks_agree(folder, split):
    coco = read(folder / split)
    assert [c["name"] for c in coco["categories"]] == list(class_names())
    for entry in coco["images"]:
        image = cv2.imread(str(folder / split / "images" / entry["file_name"]))
        labels = cv2.imread(str(folder / split / "masks" / entry["file_name"]), -1)
        assert image.shape == (entry["height"], entry["width"], 3)
        expected = np.zeros_like(labels)
        things = [a for a in coco["annotations"] if a["image_id"] == entry["id"]]
        for thing in things:
            mask = run_lengths.decode(thing["segmentation"]).astype(bool)
            assert mask.sum() == thing["area"]
            x, y, width, height = thing["bbox"]
            ys, xs = np.nonzero(mask)
            assert (x, y) == (xs.min(), ys.min())
            assert (x + width, y + height) == (xs.max() + 1, ys.max() + 1)
            expected[mask] = thing["category_id"]
        assert things
        assert np.array_equal(labels, expected)


@pytest.mark.parametrize("split", ["train", "test", "swapped"])
def test_strokes_are_annotated_as_stuff_that_touches_no_object(folder, split):
    dataset = open_dataset(
        {
            "format": "coco",
            "images": folder / split / "images",
            "annotations": folder / split / "annotations.json",
            "stuff": folder / split / "stuff.json",
        }
    )
    contexts = {entry["context"] for entry in dataset.entries}
    assert len(contexts) > 2
    for sample in dataset:
        context = dataset.entries[sample.number]["context"]
        assert [region.class_name for region in sample.stuff] == ([context] if context else [])
        things = np.any([thing.mask() for thing in sample.things], axis=0)
        for region in sample.stuff:
            assert region.mask().mean() > 0.1
            assert not (region.mask() & things).any()
            assert region.class_index == -1
    assert set(dataset.classes) == set(class_names())


def test_files_are_the_same_with_more_processes(folder, tmp_path):
    write_split(CONFIG, "test", tmp_path / "test", workers=2)
    assert contents(tmp_path / "test") == contents(folder / "test")


@pytest.mark.parametrize("split", ["test", "swapped"])
def test_more_scenes_only_add(folder, tmp_path, split):
    write_split(CONFIG | {"test": 23}, split, tmp_path / split)
    before, after = contents(folder / split), contents(tmp_path / split)
    names = {path for path in before if path.suffix == ".png"}
    assert all(after[path] == before[path] for path in names)
    assert len(after) > len(before)
    old, new = read(folder / split), read(tmp_path / split)
    for key in ("images", "annotations"):
        assert new[key][: len(old[key])] == old[key]


def test_ids_are_unique(folder):
    for split in ("train", "test", "swapped"):
        for key in ("images", "annotations"):
            ids = [entry["id"] for entry in read(folder / split)[key]]
            assert len(ids) == len(set(ids))


def test_swapped_images_name_their_original_and_keep_its_classes(folder):
    test, swapped = read(folder / "test"), read(folder / "swapped")
    originals = {image["file_name"]: image for image in test["images"]}
    swaps = json.loads((folder / "truth.json").read_text())["swaps"]
    kinds = set()

    def things(coco, image):
        return [
            (a["category_id"], a["bbox"]) for a in coco["annotations"] if a["image_id"] == image
        ]

    for image in swapped["images"]:
        original = originals[image["original"]]
        kinds.add(image["swap"])
        before, after = things(test, original["id"]), things(swapped, image["id"])
        if image["swap"] == "context":
            assert image["context"] == swaps[original["context"]]
            assert after == before
        else:
            assert image["context"] == original["context"]
            assert all(thing in before for thing in after)
            assert len(after) < len(before)
    assert kinds == {"context", "companion"}
    with_strokes = {name for name, image in originals.items() if image["context"]}
    swapped_names = {i["original"] for i in swapped["images"] if i["swap"] == "context"}
    assert swapped_names == with_strokes


def test_merged_twins_have_the_same_pictures(folder, tmp_path):
    write_split(CONFIG | {"merge_twins": True}, "test", tmp_path / "test")
    before, after = contents(folder / "test" / "images"), contents(tmp_path / "test" / "images")
    assert before == after
    names = [category["name"] for category in read(tmp_path / "test")["categories"]]
    assert names == list(class_names(merge_twins=True))
    assert not {"boat", "car", "balloon", "tree"} & set(names)


def test_nothing_half_written_is_taken_for_a_split(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        write_split(CONFIG, "test", tmp_path / "test")
    assert not list(tmp_path.iterdir())
