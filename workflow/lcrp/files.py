"""Files that appear whole or not at all, and what a file's content hashes to."""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lcrp.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FLOAT_FORMAT = "%.6g"  # of numbers in tables
# Columns of tables that hold names.
_NAMES = (
    *("class", "thing", "image", "image_id", "id", "original", "layer", "label", "method"),
    *("references", "reference_images", "lies_on", "leading_concepts", "leading_layer"),
    *("kind", "intervention", "note", "problem", "file", "from", "to", "before", "after"),
)
_UNWRITABLE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


@contextmanager
def whole(path: str | os.PathLike, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the block ends well.

    The block may make a file or a folder there; a folder replaces the one that was there before.
    When the block fails, nothing stays. What a killed writer of the same path left on this
    machine is removed first.

    Args:
        path: the file or folder to make; the folders above it are made as well.
        durable: whether the content reaches the disk before the name does, so that the file
            survives a power failure. That takes milliseconds per file.

    Raises:
        InputError: the disk is full, or the place may not be written to.
    """
    path = Path(path)
    part = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        yield part
        if durable:
            _sync(part)
        if part.is_dir() and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(part, path)
        if durable:
            _sync(path.parent)
    except OSError as error:
        if error.errno in _UNWRITABLE and str(error.filename or part).startswith(str(path.parent)):
            raise unwritable(path, error) from error
        raise
    finally:
        remove(part)


def unwritable(path: str | os.PathLike, error: OSError) -> InputError:
    """The error to raise when `path` cannot be written."""
    remedy = {
        errno.ENOSPC: "free space on the disk and run again",
        errno.EDQUOT: "free space within the quota and run again",
    }.get(error.errno or 0, "check that its folder exists and may be written to")
    return InputError(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


def remove(path: str | os.PathLike) -> None:
    """Remove a file or a folder with all that it holds, if it is there."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def remove_leftovers(path: str | os.PathLike) -> None:
    """Remove the temporary files of `path` whose writer, on this machine, no longer runs."""
    path = Path(path)
    writer = re.compile(
        re.escape(f".{path.name}.{socket.gethostname()}-") + r"(\d+)-[0-9a-f]+\.part.*"
    )
    for name in os.listdir(path.parent):
        match = writer.fullmatch(name)
        if match and not _runs(int(match[1])):
            remove(path.parent / name)


def write_table(table: "pd.DataFrame", path: str | os.PathLike) -> None:
    """Write a data frame as CSV, whole or not at all; numbers have six digits."""
    with whole(path) as part:
        table.to_csv(part, index=False, float_format=FLOAT_FORMAT)


def read_table(path: str | os.PathLike, again: str) -> "pd.DataFrame":
    """Read a CSV table as a data frame; names in it stay the text they are.

    A class may be called `7`, `02146`, `NA` or `null`: nothing but an empty cell is missing.

    Args:
        path: of the table.
        again: what to do where it cannot be read, for the error.

    Raises:
        InputError: it cannot be read.
    """
    # Only jobs that read tables need it.
    import pandas as pd

    try:
        return pd.read_csv(
            path, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""]
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); {again}") from None


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal sha256 of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(path: Path) -> Path:
    # The suffix stays, since some writers choose the format by it.
    writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{writer}.part{path.suffix}")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
