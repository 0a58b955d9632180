"""The Zarr files themselves, read back by zarr-python."""

import errno
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveReader, ArchiveWriter

DTYPES = ["bool", "int8", "uint16", "int32", "int64", "float32", "float64"]


def zarr_group(path):
    return zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")


@settings(deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 7), min_size=1, max_size=3),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_zarr_reads_what_was_written(tmp_path_factory, dtype, shape, chunk, random):
    path = tmp_path_factory.mktemp("archive") / "a.zarr.zip"
    values = np.random.default_rng(random.randrange(1000)).integers(0, 2, shape) * 3
    values = values.astype(dtype)
    dimensions = ["xyz"[i] for i in range(len(shape))]
    with ArchiveWriter(path) as archive:
        archive.array("group/values", values, dimensions, [chunk] * len(shape))
    array = zarr_group(path)["group/values"]
    assert array.dtype == values.dtype and array.metadata.dimension_names == tuple(dimensions)
    np.testing.assert_array_equal(array[...], values)
    part = tuple(slice(n // 3, n - n // 4) for n in shape)
    with ArchiveReader(path) as archive:
        np.testing.assert_array_equal(archive.read("group/values"), values)
        np.testing.assert_array_equal(archive.read("group/values", *part), values[part])


def test_text_and_missing_chunks(tmp_path):
    words = np.array(["", "ß 12", "scene"], object)
    holes = np.full((4, 4), np.nan, np.float32)
    holes[3, 0] = 1
    with ArchiveWriter(tmp_path / "a.zarr.zip") as archive:
        archive.group("", {"said": [1, 2]})
        archive.array("words", words, ["x"])
        archive.array("holes", holes, ["x", "y"], (2, 2), np.nan)
        np.testing.assert_array_equal(archive.read("holes"), holes)
    group = zarr_group(tmp_path / "a.zarr.zip")
    assert dict(group.attrs) == {"said": [1, 2]}
    assert group["words"][:].tolist() == words.tolist()
    np.testing.assert_array_equal(group["holes"][:], holes)
    names = zipfile.ZipFile(tmp_path / "a.zarr.zip").namelist()
    assert [name for name in names if name.startswith("holes/c")] == ["holes/c/1/0"]


def test_chunk_by_chunk_equals_at_once(tmp_path):
    values = np.arange(70, dtype=np.int32).reshape(10, 7)
    with ArchiveWriter(tmp_path / "once.zarr.zip") as archive:
        archive.array("a", values, ["x", "y"], (4, 3), -1)
    with ArchiveWriter(tmp_path / "parts.zarr.zip") as archive:
        archive.declare("a", values.shape, values.dtype, ["x", "y"], (4, 3), -1)
        archive.write("a", values[:8])
        archive.write("a", values[8:], (8, 0))
        with pytest.raises(ValueError, match="border"):
            archive.write("a", values[:2], (2, 0))
    assert (tmp_path / "once.zarr.zip").read_bytes() == (tmp_path / "parts.zarr.zip").read_bytes()


def test_nothing_stays_behind_when_it_fails(tmp_path):
    path = tmp_path / "a.zarr.zip"
    with pytest.raises(KeyError), ArchiveWriter(path) as archive:
        archive.array("a", np.zeros(3), ["x"])
        raise KeyError("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failure(tmp_path):
    path = tmp_path / "a.zarr.zip"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), ArchiveWriter(path):
        raise RuntimeError
    assert path.read_bytes() == b"older"


def test_failing_write_leaves_nothing(tmp_path):
    code = """
import resource, sys, numpy
from lcrp import InputError
from lcrp.store.archive import ArchiveWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with ArchiveWriter(sys.argv[1]) as archive:
        archive.array("a", numpy.random.default_rng(0).random(100_000), ["x"])
except InputError as error:
    print(error)
"""
    path = tmp_path / "a.zarr.zip"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    assert ran.stdout.startswith(f"{path}: cannot be written (File too large)")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line(tmp_path, monkeypatch):
    def writestr(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", writestr)
    with (
        pytest.raises(InputError, match=r"a\.zarr\.zip: cannot be written \(No space.*free space"),
        ArchiveWriter(tmp_path / "a.zarr.zip") as archive,
    ):
        archive.array("a", np.ones(3), ["x"])
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        ArchiveWriter(tmp_path / "file" / "a.zarr.zip"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(InputError, match="cannot be written"),
        ArchiveWriter(tmp_path / "a.zarr.zip"),
    ):
        pass
    tmp_path.chmod(0o700)


def damaged(path, how):
    data = bytearray(path.read_bytes())
    if how == "empty":
        data = b""
    elif how == "cut":
        data = data[: len(data) // 2]
    elif how == "text":
        data = b"not a store"
    elif how == "flipped":
        data[len(data) // 4] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["empty", "cut", "text", "flipped"])
def test_damage_is_one_line_that_names_the_file(tmp_path, how):
    path = tmp_path / "a.zarr.zip"
    with ArchiveWriter(path) as archive:
        archive.array("a", np.random.default_rng(0).random(1000), ["x"])
    damaged(path, how)
    with (
        pytest.raises(InputError, match=r"a\.zarr\.zip: truncated.*delete it") as raised,
        ArchiveReader(path) as archive,
    ):
        archive.read("a")
    assert "\n" not in str(raised.value)


def test_missing_file_and_foreign_zip(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        ArchiveReader(tmp_path / "none.zarr.zip")
    with zipfile.ZipFile(tmp_path / "b.zarr.zip", "w") as file:
        file.writestr("hello.txt", "hello")
    with pytest.raises(InputError, match="no concept store"):
        ArchiveReader(tmp_path / "b.zarr.zip")
