"""Archives, unpacked so that nothing lands outside the folder."""

import fnmatch
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lcrp.acquire.meters import Silent
from lcrp.errors import InputError
from lcrp.files import whole

BLOCK = 2**20
# Left free beside what is unpacked.
RESERVE = 64 * 2**20


@dataclass(frozen=True)
class _Member:
    name: PurePosixPath
    size: int
    handle: object


def unpack(
    archives: Iterable[tuple[str | os.PathLike, Iterable[str]]],
    folder: str | os.PathLike,
    meter: Callable = Silent,
) -> Path:
    """Unpack zip and tar archives into one folder, which appears when it is complete.

    Before anything is written, every member's name and kind is checked, and the sum of their sizes
    against the free space.

    Args:
        archives: pairs of an archive and the patterns of the members to take (as in a shell, but
            `*` matches slashes too; without patterns all are taken).
        folder: must not exist, or be empty.
        meter: makes what counts the bytes; see `Silent`.

    Returns:
        The folder.

    Raises:
        InputError: an archive is damaged, a member would leave the folder or is a link or device,
            a pattern matches nothing, or the disk is too small.
    """
    folder = Path(folder)
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(f"{folder}: already there; remove it to unpack again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    opened = [_open(Path(archive), tuple(patterns)) for archive, patterns in archives]
    try:
        needed = sum(member.size for one in opened for member in one.members)
        free = shutil.disk_usage(folder.parent).free
        if needed + RESERVE > free:
            names = ", ".join(one.path.name for one in opened)
            raise InputError(
                f"{names}: {needed} bytes when unpacked, {free} free at {folder.parent}; "
                "make room, or choose another folder"
            )
        with whole(folder) as part:
            part.mkdir()
            _write(opened, part, needed, meter)
    finally:
        for one in opened:
            one.close()
    return folder


def _write(opened, folder, needed, meter):
    bar = meter(
        desc="Unpacking",
        total=needed,
    )
    with bar:
        for one in opened:
            for member in one.members:
                target = folder / member.name
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with one.read(member.handle) as source, target.open("wb") as file:
                        while block := source.read(BLOCK):
                            file.write(block)
                            bar.update(len(block))
                except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
                    raise _damaged(one.path, error) from error
                except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
                    raise InputError(
                        f"{one.path}: {member.name} is a file and a folder at once; "
                        "get the archive again"
                    ) from error
                if target.stat().st_size != member.size:
                    raise _damaged(one.path, f"{member.name} is cut off")


class _Zip:
    def __init__(self, path):
        self.path = path
        self.archive = zipfile.ZipFile(path)
        self.read = self.archive.open
        self.close = self.archive.close

    def listed(self):
        for entry in self.archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.flag_bits & 1:
                raise InputError(f"{self.path}: it is encrypted; get the plain archive")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unwanted(self.path, entry.filename)
            # Not entry.filename: the library cuts it at a NUL, and turns backslashes.
            yield entry.orig_filename, entry.is_dir(), entry.file_size, entry


class _Tar:
    def __init__(self, path):
        self.path = path
        self.archive = tarfile.open(path)  # noqa: SIM115
        self.read = self.archive.extractfile
        self.close = self.archive.close

    def listed(self):
        for entry in self.archive:
            if not (entry.isreg() or entry.isdir()):
                raise _unwanted(self.path, entry.name)
            yield entry.name, entry.isdir(), entry.size, entry


def _open(path, patterns):
    """An archive with its checked members."""
    try:
        one = _Zip(path) if zipfile.is_zipfile(path) else _Tar(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; download it again") from error
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise _damaged(path, error) from error
    try:
        one.members = _chosen(one, patterns)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        one.close()
        raise _damaged(path, error) from error
    except InputError:
        one.close()
        raise
    return one


def _chosen(one, patterns):
    members, seen, matched = [], set(), set()
    for name, folder, size, handle in one.listed():
        plain = _inside(one.path, name)
        matching = {pattern for pattern in patterns if fnmatch.fnmatchcase(str(plain), pattern)}
        if folder or (patterns and not matching):
            continue
        if plain in seen:
            raise InputError(f"{one.path}: {plain} is in it twice; get the archive again")
        seen.add(plain)
        matched |= matching
        members.append(_Member(plain, size, handle))
    missing = [pattern for pattern in patterns if pattern not in matched]
    if missing or not members:
        raise InputError(
            f"{one.path}: nothing in it is called {missing[0] if missing else 'anything'}; "
            "get the archive again, or correct `unpack` in the table"
        )
    return members


def _inside(path, name):
    """The member's name as a relative path without steps upwards."""
    plain = PurePosixPath(name)
    windows = "\\" in name or (len(name) > 1 and name[1] == ":")
    if plain.is_absolute() or ".." in plain.parts or windows or "\0" in name:
        raise InputError(
            f"{path}: its member {name!r} would be written outside the folder; do not trust it"
        )
    return plain


def _unwanted(path, name):
    return InputError(
        f"{path}: its member {name!r} is a link or a device, which are not unpacked; "
        "do not trust it"
    )


def _damaged(path, error):
    text = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path}: a damaged archive ({text[:120]}); remove it and download it again")
