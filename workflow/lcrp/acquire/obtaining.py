"""Datasets and checkpoints of the tables, from where they are."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lcrp.acquire.cityscapes import download_package
from lcrp.acquire.download_tables import Entry, entries_named
from lcrp.acquire.downloads import Patience, download
from lcrp.acquire.first_seen import FirstSeen
from lcrp.acquire.meters import Silent
from lcrp.acquire.unpacking import unpack
from lcrp.acquire.verifying import WrongFile, verify
from lcrp.errors import InputError


def obtain(
    entry: Entry,
    folder: str | os.PathLike,
    present: Iterable = (),
    first_seen: FirstSeen | None = None,
    patience: Patience | None = None,
    meter: Callable = Silent,
) -> Path:
    """The verified file of an entry: the user's own where there is one, else downloaded.

    Args:
        entry: of a table.
        folder: where downloads go.
        present: files, or folders that may hold the file under its name; used where they lie.
        first_seen: see `download`.
        patience: see `download`.
        meter: see `download`.

    Returns:
        The path of the file.

    Raises:
        InputError: a file of the user's is not the right one; and as `download`.
    """
    for place in map(Path, present):
        if not place.exists():
            raise InputError(f"{place}: no such file or folder; correct the path, or remove it")
        path = place / entry.file if place.is_dir() else place
        if path.is_file() and path.name == entry.file:
            return _verified(entry, path, first_seen, meter, "correct it, or remove its path")
    if entry.login == "cityscapes" and not (Path(folder) / entry.file).is_file():
        path = download_package(entry.file, folder)
        return _verified(entry, path, first_seen, meter, "remove it, then it is fetched again")
    return download(entry, folder, first_seen, patience, meter)


def acquire_dataset(
    table: str | os.PathLike,
    name: str,
    folder: str | os.PathLike,
    downloads: str | os.PathLike,
    present: Iterable = (),
    first_seen: FirstSeen | None = None,
    patience: Patience | None = None,
    meter: Callable = Silent,
) -> Path:
    """A dataset of a table, unpacked into a folder that appears when it is complete.

    Args:
        table: path of the table.
        name: of the dataset.
        folder: what is unpacked goes here.
        downloads: folder of the archives.
        present: see `obtain`.
        first_seen: see `download`.
        patience: see `download`.
        meter: see `download`.

    Returns:
        The folder.

    Raises:
        InputError: as `entries_named`, `obtain` and `unpack`.
    """
    entries = entries_named(table, name)
    archives = [
        (obtain(entry, downloads, present, first_seen, patience, meter), entry.unpack)
        for entry in entries
    ]
    return unpack(archives, folder, meter)


def acquire_checkpoint(
    table: str | os.PathLike,
    name: str,
    downloads: str | os.PathLike,
    present: Iterable = (),
    first_seen: FirstSeen | None = None,
    patience: Patience | None = None,
    meter: Callable = Silent,
) -> Path:
    """The file of a checkpoint of a table.

    Args:
        table: path of the table.
        name: of the checkpoint.
        downloads: where downloads go.
        present: see `obtain`.
        first_seen: see `download`.
        patience: see `download`.
        meter: see `download`.

    Returns:
        The path of the file.

    Raises:
        InputError: as `entries_named` and `obtain`, or the checkpoint has several files.
    """
    entries = entries_named(table, name)
    if len(entries) > 1:
        raise InputError(f"{table}: {name} has {len(entries)} files; a checkpoint is one file")
    return obtain(entries[0], downloads, present, first_seen, patience, meter)


def _verified(entry, path, first_seen, meter, remedy):
    try:
        sha256 = verify(entry, path, first_seen, meter)
    except WrongFile as wrong:
        raise InputError(f"{path}: not the file of {entry.key}, {wrong}; {remedy}") from wrong
    if first_seen is not None and not entry.checksums:
        first_seen.record(entry, path.stat().st_size, sha256)
    return path
