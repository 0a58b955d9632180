"""Checksums of files for which none is published, as they were at the first download."""

import csv
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from lcrp.acquire.download_tables import Entry
from lcrp.errors import InputError
from lcrp.files import whole

COLUMNS = ("name", "file", "bytes", "sha256")


class FirstSeen:
    """A CSV file (name, file, bytes, sha256) to keep and to commit: trust on first use.

    Several processes may write to it at once.
    """

    def __init__(self, path: str | os.PathLike):
        """Name the file, which need not exist yet."""
        self.path = Path(path)

    def get(self, entry: Entry) -> tuple[int, str] | None:
        """(bytes, sha256) of an entry at its first download, or None."""
        return self._read().get((entry.name, entry.file))

    def record(self, entry: Entry, size: int, sha256: str) -> None:
        """Remember an entry, unless it is known already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            known = self._read()
            known.setdefault((entry.name, entry.file), (size, sha256))
            with (
                whole(self.path) as part,
                part.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                writer.writerows([*key, *known[key]] for key in sorted(known))

    def _read(self):
        if not self.path.is_file():
            return {}
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                return {
                    (row["name"], row["file"]): (int(row["bytes"]), row["sha256"]) for row in rows
                }
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.path}: not a list of first-seen checksums ({','.join(COLUMNS)}); "
                "restore it, or remove it to trust the next downloads"
            ) from error

    @contextmanager
    def _alone(self):
        # The list itself is replaced, so the lock is held on a file that stays.
        with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
