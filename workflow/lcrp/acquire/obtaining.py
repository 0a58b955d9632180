"""Datasets and checkpoints of the tables, from where they are."""

from pathlib import Path

from lcrp.acquire.cityscapes import download_package
from lcrp.acquire.download_tables import entries_named
from lcrp.acquire.downloads import download
from lcrp.acquire.meters import Silent
from lcrp.acquire.unpacking import unpack
from lcrp.acquire.verifying import WrongFile, verify
from lcrp.errors import InputError


def obtain(entry, folder, present=(), first_seen=None, patience=None, meter=Silent):
    """The verified file of an entry: the user's own where there is one, else downloaded.

    present : files, or folders that may hold the file under its name; used where they lie.
    folder : where downloads go. The other arguments are those of `download`.

    Raises InputError for a file of the user's that is not the right one, and as `download`.
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
    table, name, folder, downloads, present=(), first_seen=None, patience=None, meter=Silent
):
    """A dataset of a table, unpacked into a folder that appears when it is complete.

    table : path of the table. name : of the dataset. downloads : folder of the archives.
    The other arguments are those of `obtain`. Returns the folder.
    """
    entries = entries_named(table, name)
    archives = [
        (obtain(entry, downloads, present, first_seen, patience, meter), entry.unpack)
        for entry in entries
    ]
    return unpack(archives, folder, meter)


def acquire_checkpoint(
    table, name, downloads, present=(), first_seen=None, patience=None, meter=Silent
):
    """The file of a checkpoint of a table; see `obtain`. Returns its path."""
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
