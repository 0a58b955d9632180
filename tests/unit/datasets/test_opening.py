"""Specifications, right and wrong; the folder without annotations."""

import pytest

from lcrp import InputError
from lcrp.datasets import OFFICIAL, official_spec, open_dataset


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"images": "a"}, r"dataset\.format: None; allowed are coco, folder, voc, cityscapes"),
        ({"format": "imagenet"}, r"dataset\.format: 'imagenet'; allowed are"),
        ({"format": "coco", "images": "a"}, r"dataset\.annotations: missing; coco needs"),
        ({"format": "voc", "images": "a"}, r"dataset\.images: not used by voc; allowed are root"),
    ],
)
def test_wrong_specifications(spec, message):
    with pytest.raises(InputError, match=message):
        open_dataset(spec)


def test_a_folder_of_images(tmp_path, layouts):
    for name in ("b.png", "a.jpg"):
        layouts.write_image(tmp_path / name, layouts.picture())
    dataset = open_dataset({"format": "folder", "images": tmp_path, "classes": None})
    assert dataset.ids == ("a", "b") and not dataset.annotated
    assert dataset[0].things == [] and dataset[0].labels() is None
    assert dataset[0].size == (24, 32) and dataset[0].image().shape == (24, 32, 3)
    assert dataset.classes == ()
    assert open_dataset({"format": "folder", "images": tmp_path}, ["ship"]).classes == ("ship",)


def test_a_dataset_is_a_sequence(tmp_path, layouts):
    for number in range(5):
        layouts.write_image(tmp_path / f"{number}.png", layouts.picture(4, 4))
    dataset = open_dataset({"format": "folder", "images": tmp_path})
    assert [sample.id for sample in dataset] == ["0", "1", "2", "3", "4"]
    assert [sample.id for sample in dataset[1:4:2]] == ["1", "3"]
    assert dataset[-1].id == "4"
    with pytest.raises(IndexError):
        dataset[5]
    with pytest.raises(InputError, match="image 9: not in the dataset"):
        dataset["9"]


def test_the_fingerprint_is_that_of_the_classes(tmp_path, layouts):
    layouts.write_image(tmp_path / "a.png", layouts.picture(4, 4))
    spec = {"format": "folder", "images": tmp_path}
    first = open_dataset(spec, ["ship", "car"]).fingerprint
    layouts.write_image(tmp_path / "b.png", layouts.picture(4, 4))
    assert open_dataset(spec, ["ship", "car"]).fingerprint == first
    assert open_dataset(spec, ["car", "ship"]).fingerprint != first


def test_official_layouts(tmp_path, layouts):
    layouts.write_coco(tmp_path / "coco")
    layouts.write_coco(tmp_path / "coco", "2014", "COCO_val2014_")
    layouts.write_voc(tmp_path / "voc")
    layouts.write_cityscapes(tmp_path / "cityscapes")
    first = {
        "coco2017-val": "000000000139",
        "coco2014-minival": "COCO_val2014_000000000139",
        "voc2012-trainval": "2007_000032",
        "cityscapes-val": "frankfurt_000000_000294",
    }
    assert set(first) == set(OFFICIAL)
    for name, image in first.items():
        folder = next(f for f in tmp_path.iterdir() if name.startswith(f.name))
        dataset = open_dataset(official_spec(name, folder))
        assert dataset.ids[0] == image and dataset[0].image().shape[2] == 3
    with pytest.raises(InputError, match="dataset coco2018: unknown; known are coco2017-val"):
        official_spec("coco2018", tmp_path)
