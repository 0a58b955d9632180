"""Archives, honest and hostile."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from lcrp import InputError
from lcrp.acquire import unpack
from lcrp.acquire import unpacking as module

HONEST = {"set/a.txt": b"one", "set/deep/b.bin": bytes(100_000), "README": b"hello"}


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("set/", b"")
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path, members, kind=None, target=""):
    mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("./set")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o6777
            if kind:
                entry.type, entry.linkname, entry.size = kind, target, 0
            archive.addfile(entry, io.BytesIO(data))
    return path


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_honest_archives(tmp_path, name):
    make = make_zip if name.endswith(".zip") else make_tar
    archive = make(tmp_path / name, HONEST)
    assert unpack([(archive, ())], tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert tree(tmp_path / "new" / "out") == HONEST
    assert sorted(os.listdir(tmp_path / "new")) == ["out"]
    mode = (tmp_path / "new" / "out" / "set" / "a.txt").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


def test_several_archives_in_one_folder(tmp_path):
    one = make_zip(tmp_path / "one.zip", {"set/a.txt": b"1", "README": b"same"})
    two = make_tar(tmp_path / "two.tar", {"./set/b.txt": b"2", "README": b"same"})
    unpack([(one, ()), (two, ())], tmp_path / "out")
    assert tree(tmp_path / "out") == {"set/a.txt": b"1", "set/b.txt": b"2", "README": b"same"}


def test_only_what_is_asked_for(tmp_path):
    archive = make_zip(tmp_path / "a.zip", HONEST)
    unpack([(archive, ["set/*.bin", "READ*"])], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"set/deep/b.bin", "README"}
    with pytest.raises(InputError, match=r"a\.zip: nothing in it is called masks/\*"):
        unpack([(archive, ["set/*", "masks/*"])], tmp_path / "other")


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "set/../../evil", "/evil", "set/..", "C:/evil", "..\\evil"]
)
def test_no_member_leaves_the_folder(tmp_path, make, name):
    (tmp_path / "in").mkdir()
    archive = make(tmp_path / "in" / "a.archive", {"set/good": b"1", name: b"2"})
    with pytest.raises(InputError, match=r"a\.archive: its member .* outside the folder"):
        unpack([(archive, ())], tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["in"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "a.txt"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_no_link_or_device_in_a_tar(tmp_path, kind, target):
    archive = make_tar(tmp_path / "a.tar", {"set/link": b""}, kind, target)
    with pytest.raises(InputError, match=r"a\.tar: its member 'set/link' is a link or a device"):
        unpack([(archive, ())], tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["a.tar"]


def test_no_link_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("set/link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc")
        archive.writestr("set/link/passwd", "mine")
    with pytest.raises(InputError, match=r"a\.zip: its member 'set/link' is a link"):
        unpack([(tmp_path / "a.zip", ())], tmp_path / "out")


def test_no_bomb(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(5_000_000)})
    assert archive.stat().st_size < 50_000
    usage = module.shutil.disk_usage(tmp_path)
    free = 4_999_999 + module.RESERVE
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=free))
    with pytest.raises(InputError, match=rf"a\.zip: 5000000 bytes when unpacked, {free} free"):
        unpack([(archive, ())], tmp_path / "out")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=free + 1))
    unpack([(archive, ())], tmp_path / "out")


def test_no_member_is_larger_than_it_claims(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    content = archive.read_bytes()
    size = (100_000).to_bytes(4, "little")
    assert content.count(size) == 2  # before the member and in the directory
    archive.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"a\.zip: a damaged archive"):
        unpack([(archive, ())], tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_archives_that_are_cut_off(tmp_path, name, share):
    data = {"set/a.bin": os.urandom(30_000), "set/b.bin": os.urandom(30_000)}
    archive = (make_zip if name == "a.zip" else make_tar)(tmp_path / name, data)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share) // 512 * 512 + 100 * (share > 0)])
    # A tar ends with blocks of zeros that nobody misses.
    if name == "a.tar" and share == 0.95:
        archive.write_bytes(content[:50_000])
    with pytest.raises(InputError, match=rf"{name}: a damaged archive") as error:
        unpack([(archive, ())], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert sorted(os.listdir(tmp_path)) == [name]


def test_a_flipped_bit_is_noticed(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.bin": os.urandom(10_000)}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[5_000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip: a damaged archive .*CRC"):
        unpack([(archive, ())], tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_contradictory_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("./a", "2")
    with pytest.raises(InputError, match=r"twice\.zip: a is in it twice"):
        unpack([(tmp_path / "twice.zip", ())], tmp_path / "out")
    archive = make_zip(tmp_path / "both.zip", {"a": b"1", "a/b": b"2"})
    with pytest.raises(InputError, match=r"both\.zip: a/b is a file and a folder at once"):
        unpack([(archive, ())], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced(tmp_path):
    archive = make_zip(tmp_path / "a.zip", HONEST)
    (tmp_path / "out").mkdir()
    unpack([(archive, ())], tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match="out: already there; remove it to unpack again"):
        unpack([(archive, ())], tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="link: already there"):
        unpack([(archive, ())], tmp_path / "link")
    assert tree(tmp_path / "out") == before


def test_a_missing_archive(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.zip: no such file"):
        unpack([(tmp_path / "nowhere.zip", ())], tmp_path / "out")
