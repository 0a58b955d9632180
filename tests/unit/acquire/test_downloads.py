"""Whatever the server does: the right bytes, or a clear error, never a wrong file in place."""

import random
import threading

import pytest

from lcrp import InputError
from lcrp.acquire import Entry, FirstSeen, Patience, download
from lcrp.acquire import downloads as module

DATA = random.Random(1).randbytes(200_000)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA)
    path = download(entry, tmp_path / "new" / "folder", patience=impatient)
    assert path == tmp_path / "new" / "folder" / "data.bin"
    assert path.read_bytes() == DATA
    assert leftovers(path.parent) == ["data.bin"]
    assert server.requests == [("/data.bin", None)]
    assert download(entry, path.parent, patience=impatient) == path
    assert len(server.requests) == 1


@pytest.mark.parametrize("checksum", ["sha256", "md5", None])
@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize(
    "moods",
    [
        [("drop", 70_000), "good"],
        [("drop", 70_000), ("drop", 1), ("drop", 50_000), "good"],
        [("drop", 0), "good"],
        [("short", 199_999), "good"],
        ["stall", "good"],
        ["silent", "good"],
        [("drop", 70_000), "no-range"],
        [("drop", 70_000), "other-range", "good"],
        [("status", 503), ("status", 500), "good"],
        [("drop", 70_000), ("status", 503), "good"],
        [("drop", 70_000), ("status", 416), "good"],
    ],
    ids=str,
)
def test_interruptions_are_overcome(tmp_path, server, entry_of, impatient, moods, checksum, size):
    entry = entry_of(DATA, checksum=checksum, size=size)
    server.moods["/data.bin"] = list(moods)
    assert download(entry, tmp_path, patience=impatient).read_bytes() == DATA
    assert leftovers(tmp_path) == ["data.bin"]


def test_a_download_goes_on_where_it_stopped(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA)
    server.moods["/data.bin"] = [("drop", 70_000), ("status", 404)]
    with pytest.raises(InputError, match="HTTP 404"):
        download(entry, tmp_path, patience=impatient)
    kept = (tmp_path / ".data.bin.partial").stat().st_size
    assert 0 < kept <= 70_000
    assert not (tmp_path / "data.bin").exists()
    server.moods["/data.bin"] = ["good"]
    assert download(entry, tmp_path, patience=impatient).read_bytes() == DATA
    assert server.requests[-1] == ("/data.bin", f"bytes={kept}-")
    assert leftovers(tmp_path) == ["data.bin"]


def test_a_download_is_not_continued_with_another_version(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA, checksum=None, size=False)
    server.tags["/data.bin"] = '"old"'
    server.moods["/data.bin"] = [("drop", 70_000), ("status", 404)]
    with pytest.raises(InputError):
        download(entry, tmp_path, patience=impatient)
    newer = DATA[::-1]
    server.files["/data.bin"], server.tags["/data.bin"] = newer, '"new"'
    server.moods["/data.bin"] = ["good"]
    assert download(entry, tmp_path, patience=impatient).read_bytes() == newer


def test_a_mixture_of_two_versions_is_fetched_again(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA)
    (tmp_path / ".data.bin.partial").write_bytes(bytes(70_000))
    assert download(entry, tmp_path, patience=impatient).read_bytes() == DATA
    assert [asked for _, asked in server.requests] == ["bytes=70000-", None]


@pytest.mark.parametrize("excess", [b"", b"more"])
def test_a_partial_file_that_is_complete_or_too_long(tmp_path, entry_of, impatient, excess):
    (tmp_path / ".data.bin.partial").write_bytes(DATA + excess)
    assert download(entry_of(DATA), tmp_path, patience=impatient).read_bytes() == DATA


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (("status", 404), "HTTP 404"),
        (("status", 403), "HTTP 403"),
        (("status", 503), "HTTP 503"),
        ("stall", r"no answer for 0\.15 s"),
        ("silent", r"no answer for 0\.15 s"),
        ("wrong", "its sha256 is [0-9a-f]{64}, not [0-9a-f]{64}"),
        ("page", "it offers a file of 43 bytes, not 200000"),
        (("drop", 0), "[Cc]onnection"),
        (("short", 0), "after 0 bytes"),
    ],
    ids=str,
)
def test_a_server_that_never_helps(tmp_path, server, entry_of, impatient, mood, reason):
    entry = entry_of(DATA)
    server.moods["/data.bin"] = [mood]
    with pytest.raises(InputError, match=reason) as error:
        download(entry, tmp_path, patience=impatient)
    message = str(error.value)
    assert message.startswith("set/data.bin: not downloaded (http://127.0.0.1")
    assert message.endswith(f"check the network, or put the file at {tmp_path / 'data.bin'}")
    assert "\n" not in message and len(message) < 500
    assert not (tmp_path / "data.bin").exists()


def test_a_server_that_is_not_there(tmp_path, impatient):
    entry = Entry("set", "data.bin", ("http://127.0.0.1:9/data.bin",))
    with pytest.raises(InputError, match=r"data\.bin: not downloaded .*[Rr]efused"):
        download(entry, tmp_path, patience=impatient)


@pytest.mark.parametrize("mood", [("status", 404), "wrong", "page", "silent", ("drop", 100)])
def test_a_mirror_helps_out(tmp_path, server, entry_of, impatient, mood):
    entry = entry_of(DATA, mirrors=("mirror.bin",))
    server.moods["/data.bin"] = [mood]
    assert download(entry, tmp_path, patience=impatient).read_bytes() == DATA
    assert leftovers(tmp_path) == ["data.bin"]


def test_redirects_are_followed(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA)
    server.files["/moved"] = DATA
    server.moods["/data.bin"] = [("redirect", f"{server.url}/moved")]
    assert download(entry, tmp_path, patience=impatient).read_bytes() == DATA


@pytest.mark.parametrize(
    ("file", "data", "reason"),
    [
        ("w.pth", b"\n<html>log in</html>", "it is a web page"),
        ("w.pth", b"", "it is empty"),
        ("a.zip", DATA, "it is not a whole zip archive"),
        ("a.tar", DATA, "it is not a tar archive"),
    ],
)
def test_files_that_nothing_vouches_for_are_looked_at(
    tmp_path, entry_of, impatient, file, data, reason
):
    entry = entry_of(data, file=file, checksum=None, size=False)
    with pytest.raises(InputError, match=reason):
        download(entry, tmp_path, patience=impatient)
    assert not (tmp_path / file).exists()


def test_a_body_without_length_that_is_cut(tmp_path, server, entry_of, impatient):
    server.moods["/data.bin"] = [("chunked", 5000), "good"]
    assert download(entry_of(DATA), tmp_path, patience=impatient).read_bytes() == DATA


def test_the_first_download_is_remembered(tmp_path, server, entry_of, impatient):
    seen = FirstSeen(tmp_path / "seen.csv")
    entry = entry_of(DATA, checksum=None, size=False)
    download(entry, tmp_path / "a", seen, impatient)
    size, digest = seen.get(entry)
    assert size == len(DATA) and len(digest) == 64
    for other in (DATA[::-1], DATA + b"1"):
        server.files["/data.bin"] = other
        with pytest.raises(InputError, match=r"as at the first download.*seen\.csv"):
            download(entry, tmp_path / "b", seen, impatient)
        assert not (tmp_path / "b" / "data.bin").exists()
    server.files["/data.bin"] = DATA
    assert download(entry, tmp_path / "b", seen, impatient).read_bytes() == DATA
    assert len((tmp_path / "seen.csv").read_text().splitlines()) == 2


def test_published_checksums_need_no_remembering(tmp_path, entry_of, impatient):
    seen = FirstSeen(tmp_path / "seen.csv")
    download(entry_of(DATA), tmp_path, seen, impatient)
    assert not seen.path.exists()


def test_a_wrong_file_in_the_way_is_not_touched(tmp_path, server, entry_of, impatient):
    (tmp_path / "data.bin").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"data\.bin: it has 4 bytes, not 200000; remove it"):
        download(entry_of(DATA), tmp_path, patience=impatient)
    assert (tmp_path / "data.bin").read_bytes() == b"mine"
    assert not server.requests


def test_a_full_disk(tmp_path, entry_of, impatient, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=199_999))
    with pytest.raises(InputError, match="199999 bytes free, 200000 needed"):
        download(entry_of(DATA), tmp_path, patience=impatient)
    assert not (tmp_path / "data.bin").exists()


def test_pauses_grow_and_end():
    patience = Patience(pause=1, longest=10)
    assert [patience.before(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_a_server_may_ask_for_a_pause(tmp_path, server, entry_of, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    entry = entry_of(DATA)
    server.moods["/data.bin"] = [("status", 503), ("status", 503), "good"]
    download(entry, tmp_path, patience=Patience(timeout=1, pause=2))
    assert pauses == [2, 4]


def test_two_processes_fetch_a_file_once(tmp_path, server, entry_of, impatient):
    entry = entry_of(DATA)
    results = []

    def fetch():
        results.append(download(entry, tmp_path, patience=impatient).read_bytes() == DATA)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
    assert len(server.requests) == 1


@pytest.mark.parametrize("seed", range(30))
def test_any_sequence_of_mishaps(tmp_path, server, entry_of, impatient, seed):
    """Repeated calls end with the right bytes; until then there is no file, or the right one."""
    dice = random.Random(seed)
    data = dice.randbytes(dice.randrange(1, 60_000))
    checksum = dice.choice(["sha256", "md5"])
    entry = entry_of(data, checksum=checksum, size=dice.random() < 0.5, mirrors=("mirror.bin",))
    for path in ("/data.bin", "/mirror.bin"):
        cut = dice.randrange(len(data))
        moods = ["good", "no-range", "other-range", "wrong", "page", ("status", 404),
                 ("status", 503), ("drop", cut), ("short", cut), ("chunked", cut)]  # fmt: skip
        server.moods[path] = [dice.choice(moods) for _ in range(dice.randrange(2, 12))] + ["good"]
        server.tags[path] = dice.choice([None, '"a"', 'W/"b"'])
    for _ in range(30):
        try:
            path = download(entry, tmp_path, patience=impatient)
        except InputError as error:
            assert "set/data.bin: not downloaded" in str(error)
            assert not (tmp_path / "data.bin").exists()
        else:
            assert path.read_bytes() == data
            break
    else:
        raise AssertionError("it never arrived")
