"""Downloads that resume, retry, and put nothing in place that was not verified."""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from lcrp.acquire.download_tables import Entry
from lcrp.acquire.first_seen import FirstSeen
from lcrp.acquire.meters import Silent
from lcrp.acquire.verifying import WrongFile, verify
from lcrp.errors import InputError

# Bytes at a time; a broken connection loses at most so many of those that it brought.
BLOCK = 2**14
LITTLE = 2**20
PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is waited for.

    Attributes:
        timeout: seconds without any byte before a connection counts as stalled.
        attempts: tries in a row that bring little (under a hundredth of the file and under 1 MiB),
            before the next mirror is asked.
        pause: seconds before the second try; doubled with every further one.
        longest: seconds, the longest pause.
    """

    timeout: float = 30.0
    attempts: int = 6
    pause: float = 1.0
    longest: float = 60.0

    def before(self, attempt: int) -> float:
        """Seconds to wait after so many tries."""
        return min(self.pause * 2 ** (attempt - 1), self.longest)


class _Passing(Exception):
    """A failure after which the same server may be asked again; `wait` is what it asks for."""

    def __init__(self, reason, wait=0.0):
        super().__init__(reason)
        self.wait = wait


class _Lasting(Exception):
    """A failure that asking the same server again will not mend."""


def download(
    entry: Entry,
    folder: str | os.PathLike,
    first_seen: FirstSeen | None = None,
    patience: Patience | None = None,
    meter: Callable = Silent,
) -> Path:
    """Fetch the file of an entry into a folder.

    What arrived so far is kept as `.<file>.partial` and continued by the next call. The file gets
    its name after its size and checksum were verified; where none is published, its sha256 is
    remembered in `first_seen`. A file that is there already is verified and used.

    Args:
        entry: of a table.
        folder: where the file goes.
        first_seen: checksums of files for which none is published.
        patience: how long and how often a server is waited for.
        meter: makes what counts the bytes; see `Silent`.

    Returns:
        The path of the file.

    Raises:
        InputError: no place gives the right file, a wrong one is in the way, or the disk is too
            small.
    """
    folder, patience = Path(folder), patience or Patience()
    target = folder / entry.file
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f".{entry.file}.lock", entry):
        if target.exists():
            return _already_there(entry, target, first_seen, meter)
        failures = []
        for url in entry.urls:
            part = _Partial(target, url)
            try:
                _fetch(entry, url, part, patience, meter)
                sha256 = _verified(entry, url, part, patience, first_seen, meter)
            except (_Passing, _Lasting, WrongFile) as failure:
                failures.append(f"{url}: {failure}")
                continue
            except OSError as error:
                raise _disk(part.path, error) from error
            os.replace(part.path, target)
            part.forget()
            if first_seen is not None and not entry.checksums:
                first_seen.record(entry, target.stat().st_size, sha256)
            return target
    raise InputError(
        f"{entry.key}: not downloaded ({'; '.join(failures) or 'the table has no url for it'}); "
        f"check the network, or put the file at {target}"
    )


def _already_there(entry, target, first_seen, meter):
    try:
        sha256 = verify(entry, target, first_seen, meter)
    except WrongFile as wrong:
        raise InputError(f"{target}: {wrong}; remove it, then it is fetched again") from wrong
    if first_seen is not None and not entry.checksums:
        first_seen.record(entry, target.stat().st_size, sha256)
    return target


class _Partial:
    """What has arrived of a file, and from where.

    Attributes:
        continued: whether it came over more than one connection.
        total: bytes of the whole file, once they are known.
    """

    def __init__(self, target, url):
        self.continued = False
        self.total = None
        self.path = target.with_name(f".{target.name}.partial")
        self.notes = target.with_name(f".{target.name}.partial.json")
        self.url = url

    @property
    def size(self):
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self):
        """What the server called this version of the file, if it is the server asked before."""
        try:
            notes = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            return None
        return notes.get("validator") if notes.get("url") == self.url else None

    def note(self, response):
        tag = response.headers.get("ETag", "")
        validator = response.headers.get("Last-Modified") if not tag or tag[:2] == "W/" else tag
        self.notes.write_text(json.dumps({"url": self.url, "validator": validator}))

    def forget(self):
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)
        self.continued = False


def _fetch(entry, url, part, patience, meter):
    """Bring the partial file to its end, over as many connections as it takes."""
    if not entry.checksums and part.validator() is None:
        # Nothing tells whether what is there belongs to the same version.
        part.forget()
    furthest, attempt = part.size, 0
    bar = meter(
        desc=entry.file,
        total=entry.bytes,
        initial=part.size,
    )
    with bar, requests.Session() as session:
        while True:
            try:
                if entry.bytes is None or part.size != entry.bytes:
                    _continue(entry, url, part, patience, session, bar)
                return
            except _Passing as failure:
                much = min((part.total or entry.bytes or LITTLE) / 100, LITTLE)
                attempt = 1 if part.size > furthest + much else attempt + 1
                furthest = max(furthest, part.size)
                if attempt >= patience.attempts:
                    raise
                time.sleep(max(patience.before(attempt), min(failure.wait, patience.longest)))


def _continue(entry, url, part, patience, session, bar):
    """One connection: append what it brings. Returns when the file is complete."""
    have = part.size
    if entry.bytes is not None and have > entry.bytes:
        part.forget()
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if part.validator():
            headers["If-Range"] = part.validator()
    try:
        with session.get(url, headers=headers, stream=True, timeout=patience.timeout) as response:
            have, total = _accept(entry, part, response, have)
            _check_room(entry, part, total)
            part.total = bar.total = total
            bar.n = have
            bar.refresh()
            with part.path.open("r+b" if part.path.exists() else "wb") as file:
                file.seek(have)
                file.truncate()
                for block in response.iter_content(BLOCK):
                    have += len(block)
                    if total is not None and have > total:
                        raise _Lasting(f"it sends more than {total} bytes")
                    file.write(block)
                    bar.update(len(block))
    except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
        raise _Lasting(_reason(error)) from error
    except requests.exceptions.Timeout as error:
        raise _Passing(f"no answer for {patience.timeout:g} s") from error
    except requests.exceptions.RequestException as error:
        # urllib3 reports a stall in the middle of the body as a broken connection.
        stalled = "timed out" in str(error).lower()
        broken = isinstance(error, requests.exceptions.ChunkedEncodingError)
        raise _Passing(
            f"no answer for {patience.timeout:g} s"
            if stalled
            else f"the connection broke after {have} bytes"
            if broken
            else _reason(error)
        ) from error
    if total is not None and have < total:
        raise _Passing(f"the connection ended after {have} of {total} bytes")


def _accept(entry, part, response, have):
    """(offset at which the answer goes on, size of the whole file or None)."""
    status = response.status_code
    if status in PASSING:
        raise _Passing(f"HTTP {status}", _wait(response))
    if status == 416:
        part.forget()
        raise _Passing("HTTP 416: it has less than what had arrived")
    if status not in (200, 206):
        raise _Lasting(f"HTTP {status}")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    length = None if encoded else _number(response.headers.get("Content-Length"))
    if status == 206:
        start, total = _range(response.headers.get("Content-Range", ""))
        if start != have or encoded:
            part.forget()
            raise _Passing("it sent another part of the file than asked for")
        total = total if total is not None or length is None else have + length
    else:
        start, total = 0, length
    if entry.bytes is not None and total is not None and total != entry.bytes:
        raise _Lasting(f"it offers a file of {total} bytes, not {entry.bytes}")
    part.note(response)
    part.continued = start > 0
    return start, entry.bytes if total is None else total


def _verified(entry, url, part, patience, first_seen, meter):
    """The sha256 of the complete file; one that is wrong is dropped."""
    try:
        return verify(entry, part.path, first_seen, meter)
    except WrongFile:
        continued = part.continued
        part.forget()
        if not continued:
            raise
    # What was continued may consist of two versions of the file.
    _fetch(entry, url, part, patience, meter)
    try:
        return verify(entry, part.path, first_seen, meter)
    except WrongFile:
        part.forget()
        raise


def _check_room(entry, part, total):
    if total is None:
        return
    free = shutil.disk_usage(part.path.parent).free
    if total - part.size > free:
        raise InputError(
            f"{part.path.parent}: {free} bytes free, {total - part.size} needed for {entry.file}; "
            "make room, or choose another folder"
        )


def _range(header):
    """(first byte, size of the whole) of `bytes 5-9/10`; None for what it does not say."""
    try:
        span, _, total = header.removeprefix("bytes ").partition("/")
        return int(span.partition("-")[0]), _number(total)
    except ValueError:
        return None, None


def _number(text):
    return int(text) if text and text.isdigit() else None


def _wait(response):
    return float(_number(response.headers.get("Retry-After")) or 0)


def _reason(error):
    cause = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    text = " ".join(str(getattr(cause, "reason", None) or cause).split())
    text = text.rpartition(">: ")[2] or type(error).__name__
    return text[:120]


def _disk(path, error):
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"{path}: no space left; make room and start again, it continues here")
    return InputError(f"{path}: cannot be written ({error.strerror}); check the folder")


@contextmanager
def _alone(path, entry):
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{entry.key}: another process is downloading it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        # Removed while it is held: whoever waits for it holds a file without a name, and finds
        # the download in place.
        path.unlink(missing_ok=True)
