"""Files appear whole or not at all, and leave nothing behind."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lcrp.errors import InputError
from lcrp.files import remove, remove_leftovers, sha256, unwritable, whole

KILLED = """
import os, sys
from lcrp.files import whole
with whole(sys.argv[1]) as part:
    part.mkdir() if sys.argv[2] == "folder" else part.touch()
    os._exit(9)
"""


def leave(path, kind):
    """What a writer of `path` leaves when it is killed: its temporary file or folder."""
    subprocess.run([sys.executable, "-c", KILLED, str(path), kind], check=False)
    (left,) = (other for other in path.parent.iterdir() if ".part" in other.name)
    return left


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_takes_its_name_at_the_end(tmp_path, durable):
    path = tmp_path / "new" / "table.csv"
    with whole(path, durable=durable) as part:
        part.write_text("a,b")
        assert not path.exists()
        assert part.parent == path.parent and part.suffix == ".csv"
    assert path.read_text() == "a,b"
    assert os.listdir(path.parent) == ["table.csv"]


@pytest.mark.parametrize("error", [KeyError("wrong"), KeyboardInterrupt(), InputError("a: b; c")])
def test_a_failure_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(type(error)) as raised, whole(path) as part:
        part.write_text("half")
        raise error
    assert raised.value is error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_a_folder_replaces_the_one_before(tmp_path):
    folder = tmp_path / "figures"
    for name in ("first", "second"):
        with whole(folder) as part:
            part.mkdir()
            (part / name).touch()
    assert os.listdir(tmp_path) == ["figures"] and os.listdir(folder) == ["second"]


def test_a_failed_folder_leaves_the_one_before(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "kept").touch()
    with pytest.raises(RuntimeError), whole(folder) as part:
        part.mkdir()
        (part / "new").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == ["figures"] and os.listdir(folder) == ["kept"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_dead_writer_left_goes(tmp_path, kind):
    path = tmp_path / "a.zarr.zip"
    left = leave(path, kind)
    assert left.is_dir() == (kind == "folder")
    with whole(path) as part:
        part.touch()
    assert os.listdir(tmp_path) == ["a.zarr.zip"]


def test_what_others_write_stays(tmp_path):
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    of_another_file = leave(other, "file")
    elsewhere = tmp_path / f".a.csv.another-machine-{2**22}-0a.part.csv"
    elsewhere.touch()
    with whole(path) as part:
        part.touch()
        remove_leftovers(path)
        assert part.exists()
    assert {*tmp_path.iterdir()} == {path, of_another_file, elsewhere}


def test_of_two_writers_the_last_counts_and_is_whole(tmp_path):
    path, met = tmp_path / "a.txt", threading.Barrier(2)

    def write(letter):
        with whole(path) as part:
            part.write_text(letter * 1000)
            met.wait(timeout=10)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text() in ("a" * 1000, "b" * 1000)
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.csv", tmp_path / "file" / "below" / "a.csv"):
        with pytest.raises(InputError, match=r"a\.csv: cannot be written"), whole(path):
            pass
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(InputError, match=r"a\.csv: cannot be written \(Permission denied\)"),
            whole(tmp_path / "a.csv") as part,
        ):
            part.touch()
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def write_text(path, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", write_text)
    path = tmp_path / "a.csv"
    with pytest.raises(InputError) as raised, whole(path) as part:
        part.touch()
        part.write_text("much")
    assert str(raised.value) == (
        f"{path}: cannot be written (No space left on device); free space on the disk and run again"
    )
    assert os.listdir(tmp_path) == []


def test_an_error_about_another_file_is_not_taken_for_ones_own(tmp_path):
    with pytest.raises(PermissionError), whole(tmp_path / "out" / "a.csv"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/input.csv")


def test_the_remedy_fits_the_cause():
    quota = unwritable("a.csv", OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert str(quota).endswith("free space within the quota and run again")
    other = unwritable("a.csv", OSError(errno.EROFS, "Read-only file system"))
    assert str(other).endswith("check that its folder exists and may be written to")


def test_removing(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("folder", "link", "missing"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["target"]


def test_sha256(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
