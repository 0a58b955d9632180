"""Miniatures of the official archives, by their names, from the server to the samples."""

import csv
import hashlib
from dataclasses import replace

import pytest

from lcrp import InputError
from lcrp.acquire import acquire_dataset, read_table
from lcrp.acquire.download_tables import COLUMNS
from lcrp.datasets import OFFICIAL, official_spec, open_dataset, write_index
from support import official_layouts

IMAGES = {"coco2017-val": 6, "coco2014-minival": 4, "voc2012-trainval": 3, "cityscapes-val": 2}


@pytest.fixture
def published(root, tmp_path, server):
    """The shipped table with the archives on the local server: (table, folder of archives)."""

    def publish(name):
        tree, archives = tmp_path / "tree", tmp_path / "archives"
        archives.mkdir()
        official_layouts.WRITERS[name](tree)
        (tree / "README").write_text("terms")
        rows = []
        for entry in read_table(root / "config" / "datasets.csv"):
            if entry.name != name:
                continue
            data = official_layouts.pack(tree, entry.file, archives).read_bytes()
            server.files[f"/{entry.file}"] = data
            entry = replace(entry, urls=(f"{server.url}/{entry.file}",))
            md5 = f"md5:{hashlib.md5(data).hexdigest()}"
            rows.append([name, entry.file, entry.urls[0], "", len(data), md5, entry.licence,
                         entry.login, " ".join(entry.unpack)])  # fmt: skip
        with (tmp_path / "table.csv").open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        return tmp_path / "table.csv", archives

    return publish


@pytest.mark.parametrize("name", OFFICIAL)
def test_from_the_archives_to_the_samples(tmp_path, published, server, impatient, name):
    table, archives = published(name)
    # Cityscapes' archives come from its own downloader, so they lie there already.
    present = [archives] if name == "cityscapes-val" else []
    for path in server.files:
        server.moods[path] = [("drop", 700), ("status", 503), "good"]
    folder = acquire_dataset(
        table, name, tmp_path / name, tmp_path / "down", present, patience=impatient
    )
    dataset = open_dataset(official_spec(name, folder))
    index = write_index(dataset, tmp_path / "index.csv")
    assert set(index["status"]) == {"ok"}
    assert len(index) == IMAGES[name]
    assert sum(len(sample.things) for sample in dataset) >= 5
    assert not (folder / "README").exists()


def test_an_archive_of_another_dataset_is_refused(tmp_path, published, impatient):
    table, archives = published("coco2017-val")
    (archives / "val2017.zip").write_bytes((archives / "annotations_trainval2017.zip").read_bytes())
    with pytest.raises(InputError, match=r"val2017\.zip: not the file of coco2017-val/val2017"):
        acquire_dataset(table, "coco2017-val", tmp_path / "out", tmp_path / "down", [archives])
    assert not (tmp_path / "out").exists()
