"""Whole datasets and checkpoints: from the table to the folder that is read."""

import csv
import hashlib
import io
import stat
import sys
import zipfile

import pytest

from lcrp import InputError
from lcrp.acquire import FirstSeen, acquire_checkpoint, acquire_dataset, credentials
from lcrp.acquire import cityscapes as module
from lcrp.acquire.download_tables import COLUMNS


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


IMAGES = zipped({"val/1.jpg": b"image", "train/2.jpg": b"not needed"})
LABELS = zipped({"annotations/val.json": b"{}"})


@pytest.fixture
def table(tmp_path, server):
    """A dataset of two archives, one with a published checksum, and one checkpoint."""
    rows = []
    for name, file, data, published, unpack in (
        ("set", "images.zip", IMAGES, True, "val/*"),
        ("set", "labels.zip", LABELS, False, ""),
        ("net", "net.pth", b"weights", False, ""),
        ("two", "1.pth", b"weights", False, ""),
        ("two", "2.pth", b"weights", False, ""),
    ):
        server.files[f"/{file}"] = data
        checksum = f"md5:{hashlib.md5(data).hexdigest()}" if published else ""
        size = len(data) if published else ""
        rows.append([name, file, f"{server.url}/{file}", "", size, checksum, "free", "", unpack])
    rows.append(["city", "gtFine.zip", "", "", "", "", "terms", "cityscapes", ""])
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_dataset(tmp_path, table, server, impatient):
    seen = FirstSeen(tmp_path / "seen.csv")
    folder = acquire_dataset(
        table, "set", tmp_path / "set", tmp_path / "down", first_seen=seen, patience=impatient
    )
    assert tree(folder) == ["annotations/val.json", "val/1.jpg"]
    assert tree(tmp_path / "down") == ["images.zip", "labels.zip"]
    assert [line.split(",")[1] for line in seen.path.read_text().splitlines()[1:]] == ["labels.zip"]


def test_a_dataset_is_whole_or_not_there(tmp_path, table, server, impatient):
    server.moods["/labels.zip"] = [("drop", 20)]
    with pytest.raises(InputError, match=r"set/labels\.zip: not downloaded"):
        acquire_dataset(table, "set", tmp_path / "set", tmp_path / "down", patience=impatient)
    assert not (tmp_path / "set").exists()
    server.moods.clear()
    acquire_dataset(table, "set", tmp_path / "set", tmp_path / "down", patience=impatient)
    assert [path for path, _ in server.requests].count("/images.zip") == 1


def test_files_that_are_there_are_used_where_they_lie(tmp_path, table, server, impatient):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "images.zip").write_bytes(IMAGES)
    (mine / "labels.zip").write_bytes(LABELS)
    for number, present in enumerate(([mine], [mine / "images.zip", mine / "labels.zip"])):
        folder = acquire_dataset(
            table, "set", tmp_path / f"set{number}", tmp_path / "down", present
        )
        assert tree(folder) == ["annotations/val.json", "val/1.jpg"]
    assert not server.requests and not (tmp_path / "down").exists()
    assert tree(mine) == ["images.zip", "labels.zip"]


def test_a_wrong_file_of_the_user_is_named(tmp_path, table, server, impatient):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "images.zip").write_bytes(LABELS)
    with pytest.raises(InputError, match=r"mine/images\.zip: not the file of set/images\.zip, it"):
        acquire_dataset(table, "set", tmp_path / "set", tmp_path / "down", [mine])
    with pytest.raises(InputError, match="elsewhere: no such file or folder"):
        acquire_dataset(table, "set", tmp_path / "set", tmp_path / "d", [tmp_path / "elsewhere"])
    assert not server.requests


def test_a_checkpoint(tmp_path, table, server, impatient):
    seen = FirstSeen(tmp_path / "seen.csv")
    path = acquire_checkpoint(table, "net", tmp_path / "down", first_seen=seen, patience=impatient)
    assert path == tmp_path / "down" / "net.pth" and path.read_bytes() == b"weights"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pth").write_bytes(b"another")
    with pytest.raises(InputError, match=r"mine/net\.pth: .*as at the first download"):
        acquire_checkpoint(table, "net", tmp_path / "x", [tmp_path / "mine"], seen)
    with pytest.raises(InputError, match="two has 2 files; a checkpoint is one file"):
        acquire_checkpoint(table, "two", tmp_path / "x")


@pytest.mark.parametrize(
    ("environment", "missing"),
    [({}, "CITYSCAPES_USERNAME"), ({"CITYSCAPES_USERNAME": "a"}, "CITYSCAPES_PASSWORD")],
)
def test_cityscapes_without_credentials(tmp_path, table, monkeypatch, environment, missing):
    for name in (module.USER, module.PASSWORD):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"{missing}: not set.*register at https://www\.city"):
        acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down")
    assert not (tmp_path / "city").exists()


# Answers as the official downloader does: it reads the stored credentials, writes the package
# where it is told to, and ends with a traceback if something is wrong.
DOWNLOADER = """#!{python}
import json, os, pathlib, sys, zipfile
stored = pathlib.Path(os.environ["XDG_DATA_HOME"], "cityscapesscripts", "credentials.json")
assert stored.stat().st_mode & 0o077 == 0
if json.loads(stored.read_text()) != {{"username": "me", "password": "se cret"}}:
    raise Exception("Bad credentials.")
assert sys.argv[1:3] == ["--resume", "--destination_path"]
with zipfile.ZipFile(pathlib.Path(sys.argv[3], sys.argv[4]), "w") as archive:
    archive.writestr("gtFine/val/a.png", "mask")
if os.environ.get("GARBLED"):
    raise Exception("MD5 sum of downloaded file does not match.")
"""


@pytest.fixture
def downloader(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "csDownload"
    program.parent.mkdir()
    program.write_text(DOWNLOADER.format(python=sys.executable))
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(module.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv(module.USER, "me")
    monkeypatch.setenv(module.PASSWORD, "se cret")
    return program


def test_cityscapes(tmp_path, table, downloader):
    acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down")
    assert tree(tmp_path / "city") == ["gtFine/val/a.png"]
    assert tree(tmp_path / "down") == ["gtFine.zip"]
    downloader.unlink()
    acquire_dataset(table, "city", tmp_path / "again", tmp_path / "down")


def test_cityscapes_with_wrong_credentials(tmp_path, table, downloader, monkeypatch):
    monkeypatch.setenv(module.PASSWORD, "guess")
    with pytest.raises(InputError, match=r"gtFine\.zip: .*Bad credentials.*CITYSCAPES_PASSWORD"):
        acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down")


def test_cityscapes_garbled_on_the_way(tmp_path, table, downloader, monkeypatch):
    monkeypatch.setenv("GARBLED", "1")
    with pytest.raises(InputError, match="MD5 sum of downloaded file does not match"):
        acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down")
    assert tree(tmp_path / "down") == []


def test_cityscapes_without_the_downloader(tmp_path, table, downloader):
    downloader.unlink()
    with pytest.raises(InputError, match=r"csDownload: .*pip install cityscapesscripts"):
        acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down")


def test_cityscapes_archives_of_the_user_need_no_account(tmp_path, table, monkeypatch):
    monkeypatch.delenv(module.USER, raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "gtFine.zip").write_bytes(zipped({"gtFine/val/a.png": b"mask"}))
    acquire_dataset(table, "city", tmp_path / "city", tmp_path / "down", [tmp_path / "mine"])
    assert tree(tmp_path / "city") == ["gtFine/val/a.png"]


def test_credentials_of_an_environment():
    assert credentials({module.USER: "a", module.PASSWORD: "b"}) == ("a", "b")
