"""Whether a file is the one that the table means."""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lcrp.acquire.download_tables import Entry
from lcrp.acquire.first_seen import FirstSeen
from lcrp.acquire.meters import Silent

BLOCK = 2**20


class WrongFile(Exception):
    """A file that is not what the table says; the message says how."""


def digests(
    path: str | os.PathLike, algorithms: Iterable[str], meter: Callable = Silent
) -> dict[str, str]:
    """Hexadecimal digests of a file by algorithm; the file is read once."""
    path = Path(path)
    sums = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    bar = meter(
        desc=f"Verifying {path.name}",
        total=path.stat().st_size,
        delay=2,
    )
    with bar, path.open("rb") as file:
        while block := file.read(BLOCK):
            for value in sums.values():
                value.update(block)
            bar.update(len(block))
    return {algorithm: value.hexdigest() for algorithm, value in sums.items()}


def verify(
    entry: Entry,
    path: str | os.PathLike,
    first_seen: FirstSeen | None = None,
    meter: Callable = Silent,
) -> str:
    """Check that a file has the size, checksum and kind of an entry.

    Args:
        entry: of a table.
        path: the file.
        first_seen: checksums that count where none is published.
        meter: makes what counts the bytes; see `Silent`.

    Returns:
        The sha256 of the file.

    Raises:
        WrongFile: it is another file.
    """
    path = Path(path)
    size = path.stat().st_size
    seen = first_seen.get(entry) if first_seen and not entry.checksums else None
    expected = entry.bytes or (seen[0] if seen else None)
    if expected is not None and size != expected:
        raise WrongFile(f"it has {size} bytes, not {expected}{_first(entry.bytes, first_seen)}")
    found = digests(path, {"sha256", *dict(entry.checksums)}, meter)
    for algorithm, digest in entry.checksums:
        if found[algorithm] != digest:
            raise WrongFile(f"its {algorithm} is {found[algorithm]}, not {digest}")
    if seen and found["sha256"] != seen[1]:
        raise WrongFile(f"its sha256 is {found['sha256']}, not {seen[1]}{_first(None, first_seen)}")
    if not entry.checksums:
        _check_kind(path, entry.file)
    return found["sha256"]


def _first(published, first_seen):
    if published:
        return ""
    return f" as at the first download (if it was replaced, remove its line from {first_seen.path})"


def _check_kind(path, name):
    """What the name promises, for files that nothing else vouches for."""
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WrongFile("it is a web page")
    if not head:
        raise WrongFile("it is empty")
    # torch's checkpoints are zip archives as well.
    zipped = name.endswith(".zip") or head.startswith(b"pk\x03\x04")
    if zipped and not zipfile.is_zipfile(path):
        raise WrongFile("it is not a whole zip archive")
    if ".tar" in name or name.endswith(".tgz"):
        try:
            whole = tarfile.is_tarfile(path)
        except (OSError, EOFError):
            whole = False
        if not whole:
            raise WrongFile("it is not a tar archive")
