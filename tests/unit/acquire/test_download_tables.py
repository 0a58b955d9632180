"""The tables of public files, as shipped and as people may break them."""

import fnmatch

import pytest

from lcrp import InputError
from lcrp.acquire import Entry, FirstSeen, entries_named, read_table
from lcrp.datasets import OFFICIAL

HEADER = "name,file,url,mirrors,bytes,checksum,licence,login,unpack\n"
URL = "https://example.org/a.zip"


def table(tmp_path, line):
    path = tmp_path / "table.csv"
    path.write_text(f"# a comment\n{HEADER}\n{line}\n")
    return path


def test_an_entry(tmp_path):
    md5, sha256 = "0" * 32, "1" * 64
    line = (
        f'set,a.zip,{URL},http://b.org/a http://c.org/a,12,md5:{md5} sha256:{sha256},"x, y",,*.png'
    )
    path = table(tmp_path, line)
    assert read_table(path) == [
        Entry(
            name="set",
            file="a.zip",
            urls=(URL, "http://b.org/a", "http://c.org/a"),
            bytes=12,
            checksums=(("md5", md5), ("sha256", sha256)),
            licence="x, y",
            unpack=("*.png",),
            source=f"{path}:4",
        )
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"a set,a.zip,{URL},,,,,,", r"name is 'a set'; write it like coco2017-val"),
        (f"set,../a.zip,{URL},,,,,,", r"file is '\.\./a\.zip'"),
        (f"set,..,{URL},,,,,,", r"file is '\.\.'"),
        ("set,a.zip,ftp://a.org/a,,,,,,", r"url is 'ftp://a\.org/a'; write it like https://"),
        ("set,a.zip,/etc/passwd,,,,,,", r"url is '/etc/passwd'"),
        (f"set,a.zip,{URL},file:///etc/passwd,,,,,", r"url is 'file:///etc/passwd'"),
        ("set,a.zip,,,,,,,", r"url is ''"),
        (f"set,a.zip,{URL},,1e6,,,,", r"bytes is '1e6'; write it like 815585330"),
        (f"set,a.zip,{URL},,0,,,,", r"bytes is '0'"),
        (f"set,a.zip,{URL},,,{'0' * 32},,,", r"checksum is '0+'; write it like md5:"),
        (f"set,a.zip,{URL},,,md5:{'0' * 31},,,", r"checksum is 'md5:0+'"),
        (f"set,a.zip,{URL},,,crc32:01234567,,,", r"checksum is 'crc32:01234567'"),
        (f"set,a.zip,{URL},,,,,google,", r"login is 'google'"),
        (f"set,a.zip,{URL},,,,x, y,,", r"10 columns instead of 9 .*quote"),
        (f"set,a.zip,{URL},,,,,,\nset,a.zip,{URL},,,,,,", r"set/a\.zip is listed twice"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, message):
    with pytest.raises(InputError, match=rf"table\.csv:[45]: {message}") as error:
        read_table(table(tmp_path, line))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "name,file\na,b\n", "# only a comment\n"])
def test_a_file_that_is_no_table(tmp_path, content):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InputError, match=r"table\.csv: its first line must be `name,file,url"):
        read_table(tmp_path / "table.csv")
    with pytest.raises(InputError, match=r"nowhere\.csv: cannot be read"):
        read_table(tmp_path / "nowhere.csv")


def test_an_unknown_name(root):
    with pytest.raises(InputError, match=r"no entry 'coco2017'; nearest: 'coco2017-val'"):
        entries_named(root / "config" / "datasets.csv", "coco2017")
    with pytest.raises(InputError, match=r"no entry 'x'; nearest: 'deeplabv3plus-voc2012', "):
        entries_named(root / "config" / "checkpoints.csv", "x")


def test_the_shipped_datasets(root):
    entries = read_table(root / "config" / "datasets.csv")
    assert {entry.name for entry in entries} == set(OFFICIAL)
    for entry in entries:
        assert entry.licence
        # What no one vouches for comes through the official downloader, which does.
        assert (entry.checksums and entry.bytes) or entry.login == "cityscapes"
    sizes = {}
    for entry in entries:
        assert sizes.setdefault(entry.file, (entry.bytes, entry.checksums)) == (
            entry.bytes,
            entry.checksums,
        )


@pytest.mark.parametrize("name", OFFICIAL)
def test_what_is_unpacked_is_what_is_read(root, name):
    patterns = [p for e in entries_named(root / "config" / "datasets.csv", name) for p in e.unpack]
    spec = OFFICIAL[name]
    read = {
        "coco": [f"{spec.get('images')}/1.jpg", spec.get("annotations"), spec.get("only")],
        "voc": [
            f"{spec.get('root')}/{inside}"
            for inside in (
                "JPEGImages/1.jpg",
                "SegmentationClass/1.png",
                f"ImageSets/Segmentation/{spec.get('split')}.txt",
            )
        ],
        "cityscapes": [
            "leftImg8bit/val/ulm/ulm_000000_000001_leftImg8bit.png",
            "gtFine/val/ulm/ulm_000000_000001_gtFine_labelIds.png",
        ],
    }[spec["format"]]
    for file in filter(None, read):
        assert any(fnmatch.fnmatchcase(file, pattern) for pattern in patterns), file


def test_the_shipped_checkpoints(root):
    entries = read_table(root / "config" / "checkpoints.csv")
    names = [entry.name for entry in entries]
    assert len(names) == len(set(names)) == 6
    for entry in entries:
        assert entry.urls[0].endswith(entry.file) or entry.name == "lcrp-glocal"


def test_first_seen_checksums(tmp_path):
    seen = FirstSeen(tmp_path / "new" / "seen.csv")
    one, two = Entry("b", "1.bin"), Entry("a", "2.bin")
    assert seen.get(one) is None
    seen.record(one, 3, "f" * 64)
    seen.record(two, 4, "e" * 64)
    seen.record(one, 5, "d" * 64)
    assert seen.get(one) == (3, "f" * 64) and seen.get(two) == (4, "e" * 64)
    lines = (tmp_path / "new" / "seen.csv").read_text().splitlines()
    assert lines == ["name,file,bytes,sha256", f"a,2.bin,4,{'e' * 64}", f"b,1.bin,3,{'f' * 64}"]
    (tmp_path / "new" / "seen.csv").write_text("name,file,bytes,sha256\na,2.bin\n")
    with pytest.raises(InputError, match=r"seen\.csv: not a list of first-seen checksums"):
        seen.get(two)
