"""VOC, Cityscapes and mask folders into samples."""

import numpy as np
import pytest

from lcrp import InputError
from lcrp.datasets import open_dataset
from lcrp.models.class_names import CITYSCAPES, VOC


def test_voc(tmp_path, layouts):
    base = layouts.write_voc(tmp_path)
    dataset = open_dataset({"format": "voc", "root": str(base)})
    assert dataset.classes == VOC and dataset.background == {0}
    assert dataset.ids == ("2007_000032", "2007_000039", "2011_003276")
    sample = dataset[1]
    labels = sample.labels()
    assert labels.shape == (24, 32) and set(np.unique(labels)) == {0, 15, 20, 255}
    assert sample.classes_present == (15, 20)
    person, monitor = sample.things
    assert monitor.class_name == "tvmonitor" and monitor.box == (7.0, 6.0, 19.0, 14.0)
    assert np.array_equal(monitor.mask(), labels == 20)
    assert person.id == "person" and person.mask().sum() == 4
    assert sample.image().shape == (24, 32, 3)
    assert [thing.class_name for thing in dataset[2].things] == ["person"]


def test_voc_splits_and_folders_above(tmp_path, layouts):
    base = layouts.write_voc(tmp_path)
    for root in (base, base.parent, tmp_path):
        assert open_dataset({"format": "voc", "root": root, "split": "val"}).ids == ("2007_000039",)
    with pytest.raises(InputError, match=r"test\.txt: no such list; check `split`"):
        open_dataset({"format": "voc", "root": base, "split": "test"})
    with pytest.raises(InputError, match=r"ImageSets/Segmentation: no such folder"):
        open_dataset({"format": "voc", "root": tmp_path / "nowhere"})
    (base / "SegmentationClass" / "2007_000039.png").unlink()
    with pytest.raises(InputError, match=r"2007_000039\.png: no such mask, though trainval\.txt"):
        open_dataset({"format": "voc", "root": base})


def test_cityscapes(tmp_path, layouts):
    layouts.write_cityscapes(tmp_path)
    dataset = open_dataset({"format": "cityscapes", "root": tmp_path})
    assert dataset.classes == CITYSCAPES
    assert dataset.ids == ("frankfurt_000000_000294", "lindau_000000_000000")
    assert dataset[0].file == "frankfurt/frankfurt_000000_000294_leftImg8bit.png"
    labels = dataset[0].labels()
    assert labels[12, 20] == 0 and labels[2, 9] == 10 and labels[5, 3] == 13
    assert labels[9, 12] == 18 and labels[15, 4] == 19
    assert labels[0, 0] == 19  # a label id of 255 is a licence plate, not void
    names = [thing.class_name for thing in dataset[0].things]
    assert names == ["road", "sky", "car", "bicycle"]


def test_cityscapes_of_train_ids_keeps_void(tmp_path, layouts):
    layouts.write_cityscapes(tmp_path, "labelTrainIds")
    labels = open_dataset({"format": "cityscapes", "root": tmp_path})[0].labels()
    assert labels[12, 20] == 0 and labels[9, 12] == 18
    assert labels[0, 0] == 255 and labels[15, 4] == 255


# Every label of Cityscapes in the order of its id, with the train id that its authors give it.
TRAIN_IDS = [255, 255, 255, 255, 255, 255, 255, 0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6,
             7, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 16, 17, 18]  # fmt: skip


def test_every_label_of_cityscapes(tmp_path, layouts):
    layouts.write_cityscapes(tmp_path)
    dataset = open_dataset({"format": "cityscapes", "root": tmp_path})
    path = tmp_path / "gtFine/val/lindau/lindau_000000_000000_gtFine_labelIds.png"
    layouts.write_image(path, np.arange(256, dtype=np.uint8).reshape(8, 32), "L")
    labels = dataset["lindau_000000_000000"].labels().ravel()
    assert list(labels[:34]) == [19 if value == 255 else value for value in TRAIN_IDS]
    assert set(labels[34:]) == {19}


def test_cityscapes_without_annotation(tmp_path, layouts):
    layouts.write_cityscapes(tmp_path)
    (tmp_path / "gtFine/val/lindau/lindau_000000_000000_gtFine_labelIds.png").unlink()
    with pytest.raises(InputError, match=r"lindau_000000_000000_gtFine_labelIds\.png: no such"):
        open_dataset({"format": "cityscapes", "root": tmp_path})
    with pytest.raises(InputError, match=r"leftImg8bit/test: no such folder"):
        open_dataset({"format": "cityscapes", "root": tmp_path, "split": "test"})


@pytest.fixture
def folders(tmp_path, layouts):
    for name in ("a.jpg", "b.png", "sub/c.jpg"):
        layouts.write_image(tmp_path / "images" / name, layouts.picture())
    for name, value in (("a", 1), ("sub/c", 2)):
        mask = np.full((24, 32), 255, np.uint8)
        mask[:12] = 0
        mask[3:6, 4:9] = value
        layouts.write_image(tmp_path / "masks" / f"{name}.png", mask, "L")
    return {
        "format": "masks",
        "images": tmp_path / "images",
        "masks": tmp_path / "masks",
        "classes": ["background", "road", "car"],
    }


def test_mask_folders(folders):
    dataset = open_dataset(folders)
    assert dataset.ids == ("a", "b", "c")
    (road,) = dataset["a"].things
    assert (road.class_name, road.box) == ("road", (4.0, 3.0, 9.0, 6.0))
    assert dataset["b"].labels() is None and dataset["b"].things == []
    assert dataset["b"].size == (24, 32)
    assert dataset["c"].classes_present == (2,)


def test_mask_folders_mapped_onto_a_model(folders):
    dataset = open_dataset(folders, ["car", "sky", "road", "background"])
    assert set(np.unique(dataset["c"].labels())) == {0, 3, 255}
    with pytest.raises(InputError, match=r"c\.png: its class 'car' is unknown to the model"):
        open_dataset(folders, ["background", "road"])["c"].labels()
    ignoring = open_dataset({**folders, "unknown": "ignore"}, ["background", "road"])
    assert set(np.unique(ignoring["c"].labels())) == {0, 255}


def test_a_value_without_a_name(folders):
    dataset = open_dataset({**folders, "classes": ["background", "road"]})
    assert dataset["a"].classes_present == (1,)
    with pytest.raises(InputError, match=r"c\.png: it holds the value 2, but there are only 2"):
        dataset["c"].labels()


def test_masks_that_match_nothing(folders, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"other: no mask is named like an image"):
        open_dataset({**folders, "masks": tmp_path / "other"})
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        open_dataset({**folders, "masks": tmp_path / "nowhere"})
