"""Tables of public files: `config/datasets.csv` and `config/checkpoints.csv`."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lcrp.errors import InputError, nearest

COLUMNS = (
    "name",
    "file",
    "url",
    "mirrors",
    "bytes",
    "checksum",
    "licence",
    "login",
    "unpack",
)
LOGINS = ("", "cityscapes")
DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


@dataclass(frozen=True)
class Entry:
    """One file of a dataset, or one checkpoint.

    Attributes:
        name: of the dataset or checkpoint; a dataset may have several files.
        file: its name on disk.
        urls: where it can be fetched, the preferred place first; none where a login is needed.
        bytes: size, or None where it is not known.
        checksums: pairs of algorithm and hexadecimal digest; empty where none is published.
        licence: what its authors allow.
        login: "" or "cityscapes".
        unpack: patterns of the archive's members that are used; empty for a file that stays whole.
        source: file and line of the table, for errors.
    """

    name: str
    file: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    checksums: tuple[tuple[str, str], ...] = ()
    licence: str = ""
    login: str = ""
    unpack: tuple[str, ...] = ()
    source: str = ""

    @property
    def key(self) -> str:
        """How it is called in the list of first-seen checksums and in messages."""
        return f"{self.name}/{self.file}"


def read_table(path: str | os.PathLike) -> list[Entry]:
    """The entries of a table, in its order.

    The columns are name, file, url, mirrors (separated by spaces), bytes, checksum
    (`md5:...` or `sha256:...`, several separated by spaces), licence, login, unpack (patterns of
    members, separated by spaces). Lines that start with # are comments.

    Raises:
        InputError: a value cannot be used; it names the line and the value.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); restore the table") from error
    rows = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not rows or tuple(next(csv.reader([rows[0][1]]))) != COLUMNS:
        raise InputError(f"{path}: its first line must be `{','.join(COLUMNS)}`; restore it")
    entries, seen = [], set()
    for number, line in rows[1:]:
        entry = _parse(next(csv.reader([line])), f"{path}:{number}")
        if (entry.name, entry.file) in seen:
            raise InputError(f"{path}:{number}: {entry.key} is listed twice; remove one line")
        seen.add((entry.name, entry.file))
        entries.append(entry)
    return entries


def entries_named(path: str | os.PathLike, name: str) -> list[Entry]:
    """The entries of one dataset or checkpoint.

    Raises:
        InputError: there are none; it gives the nearest names.
    """
    entries = read_table(path)
    found = [entry for entry in entries if entry.name == name]
    if not found:
        names = sorted({entry.name for entry in entries})
        raise InputError(f"{path}: no entry {name!r}; nearest: {nearest(name, names)}")
    return found


def _parse(cells, where):
    if len(cells) != len(COLUMNS):
        raise InputError(
            f"{where}: {len(cells)} columns instead of {len(COLUMNS)} ({', '.join(COLUMNS)}); "
            "quote values that contain commas"
        )
    row = {key: cell.strip() for key, cell in zip(COLUMNS, cells, strict=True)}
    _check(where, "name", row["name"], re.fullmatch(r"[\w.-]+", row["name"]), "coco2017-val")
    plain = re.fullmatch(r"[\w.+-]+", row["file"]) and row["file"].strip(".")
    _check(where, "file", row["file"], plain, "val2017.zip (a file name without folders)")
    urls = tuple([row["url"]] * bool(row["url"]) + row["mirrors"].split())
    for url in urls:
        parts = urlsplit(url)
        allowed = parts.scheme in ("http", "https") and parts.netloc
        _check(where, "url", url, allowed, "https://example.org/val2017.zip")
    _check(where, "login", row["login"], row["login"] in LOGINS, "cityscapes, or nothing")
    _check(where, "url", row["url"], urls or row["login"], "https://example.org/val2017.zip")
    _check(where, "bytes", row["bytes"], re.fullmatch(r"([1-9]\d*)?", row["bytes"]), "815585330")
    checksums = []
    for checksum in row["checksum"].split():
        algorithm, _, digest = checksum.partition(":")
        fits = re.fullmatch(r"[0-9a-f]+", digest) and len(digest) == DIGITS.get(algorithm)
        _check(where, "checksum", checksum, fits, "md5:442b8da7639aecaf257c1dceb8ba8c80")
        checksums.append((algorithm, digest))
    return Entry(
        name=row["name"],
        file=row["file"],
        urls=urls,
        bytes=int(row["bytes"]) if row["bytes"] else None,
        checksums=tuple(checksums),
        licence=row["licence"],
        login=row["login"],
        unpack=tuple(row["unpack"].split()),
        source=where,
    )


def _check(where, column, value, valid, example):
    if not valid:
        raise InputError(f"{where}: {column} is {value!r}; write it like {example}")
