"""The index table."""

import hashlib
import json

import pytest

from lcrp import InputError
from lcrp.datasets import open_dataset, read_index, write_index


@pytest.fixture
def spec(tmp_path, layouts):
    file = layouts.write_coco(tmp_path)
    return {"format": "coco", "images": tmp_path / "val2017", "annotations": file}


def test_a_row_per_image(spec, tmp_path):
    table = write_index(open_dataset(spec), tmp_path / "made" / "index.csv")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["index.csv"]
    assert read_index(tmp_path / "made" / "index.csv").equals(table)
    assert list(table["status"]) == ["ok"] * 6
    assert list(table["classes"]) == ["person;toothbrush", "", "stop sign", "fire hydrant", "", ""]
    first = table.iloc[0]
    assert (first["id"], first["file"]) == ("000000000139", "000000000139.jpg")
    assert (first["height"], first["width"]) == (24, 32)
    content = (spec["images"] / "000000000139.jpg").read_bytes()
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    assert tuple(table.iloc[3][["height", "width"]]) == (32, 24)


def test_unreadable_images_are_rows(spec, tmp_path, layouts):
    (spec["images"] / "000000000139.jpg").write_bytes(b"not an image")
    layouts.write_image(spec["images"] / "000000000776.jpg", layouts.picture(32, 24))
    table = write_index(open_dataset(spec), tmp_path / "index.csv")
    assert list(table["status"]) == ["unreadable", "ok", "ok", "ok", "wrong-size", "ok"]
    assert table["classes"][0] == "person;toothbrush"


def test_unreadable_images_without_declared_size(tmp_path, layouts):
    layouts.write_image(tmp_path / "images" / "a.jpg", layouts.picture(200, 300))
    content = (tmp_path / "images" / "a.jpg").read_bytes()
    (tmp_path / "images" / "b.jpg").write_bytes(content[: len(content) // 2])
    dataset = open_dataset({"format": "folder", "images": tmp_path / "images"})
    table = write_index(dataset, tmp_path / "index.csv")
    assert list(table["status"]) == ["ok", "unreadable"]
    assert list(table["height"]) == [200, 0]


def test_unreadable_images_among_yolo_labels_and_masks(tmp_path, layouts):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    for kind in ("labels", "masks"):
        (tmp_path / kind).mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    layouts.write_image(tmp_path / "masks" / "a.png", layouts.picture()[..., 2] * 0, "L")
    for kind, key in (("yolo", "labels"), ("masks", "masks")):
        spec = {"format": kind, "images": tmp_path / "images", key: tmp_path / key}
        dataset = open_dataset({**spec, "classes": ["ship"]})
        assert list(write_index(dataset, tmp_path / "i.csv")["status"]) == ["unreadable"]


def test_the_fingerprints_tell_which_image_changed(spec, tmp_path, layouts):
    before = write_index(open_dataset(spec), tmp_path / "index.csv")
    content = json.loads(spec["annotations"].read_text())
    content["annotations"][0]["bbox"][0] += 1
    spec["annotations"].write_text(json.dumps(content))
    layouts.write_image(spec["images"] / "000000000785.jpg", layouts.picture(seed=7))
    after = write_index(open_dataset(spec), tmp_path / "index.csv")
    assert list(before["annotation"] != after["annotation"]) == [True] + [False] * 5
    assert list(before["sha256"] != after["sha256"]) == [False] * 5 + [True]


def test_a_limit(spec, tmp_path):
    (spec["images"] / "000000000785.jpg").unlink()
    table = write_index(open_dataset(spec), tmp_path / "index.csv", limit=5)
    assert len(table) == 5
    with pytest.raises(InputError, match=r"000000000785\.jpg: no such image.*\(1 of 6 are missing"):
        write_index(open_dataset(spec), tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_the_index_does_not_depend_on_where_the_images_lie(tmp_path, layouts):
    tables = []
    for place in ("here", "there"):
        file = layouts.write_coco(tmp_path / place)
        spec = {"format": "coco", "images": tmp_path / place / "val2017", "annotations": file}
        write_index(open_dataset(spec), tmp_path / f"{place}.csv")
        tables.append((tmp_path / f"{place}.csv").read_bytes())
    assert tables[0] == tables[1]


def test_wrong_tables(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv: not a readable index"):
        read_index(tmp_path / "nothing.csv")
    (tmp_path / "old.csv").write_text("id,file\na,b\n")
    with pytest.raises(InputError, match=r"old\.csv: the index has no column height"):
        read_index(tmp_path / "old.csv")


def test_the_real_images(shared, tmp_path):
    folder = shared / "real" / "coco-mini"
    if not folder.is_dir():
        pytest.skip("the real images are not there")
    spec = {"format": "coco", "images": folder / "images"}
    dataset = open_dataset({**spec, "annotations": folder / "annotations" / "instances.json"})
    assert len(dataset) == 80 and len(dataset.classes) == 80
    assert sum(len(sample.things) for sample in dataset) == 815
    assert dataset.classes[0] == "person" and dataset.classes[-1] == "toothbrush"
    table = write_index(dataset, tmp_path / "index.csv")
    assert set(table["status"]) == {"ok"}
    for thing in dataset[0].things:
        x1, y1, x2, y2 = thing.box
        mask = thing.mask()
        inside = mask[int(y1) : int(y2) + 2, int(x1) : int(x2) + 2]
        assert mask.any() and inside.sum() == mask.sum()
