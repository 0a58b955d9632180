"""Cityscapes, which is given to account holders only, through its official downloader."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lcrp.errors import InputError

USER, PASSWORD = "CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"
REGISTER = "https://www.cityscapes-dataset.com/register/"


def credentials(environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """(user name, password) from the environment.

    Args:
        environment: by default that of this process.

    Raises:
        InputError: one of them is not set; it says how to set them.
    """
    environment = os.environ if environment is None else environment
    found = environment.get(USER), environment.get(PASSWORD)
    if not all(found):
        missing = USER if not found[0] else PASSWORD
        raise InputError(
            f"{missing}: not set, and Cityscapes is given to account holders only; register at "
            f"{REGISTER}, then `export {USER}=... {PASSWORD}=...`, or put the archives into the "
            "folder of downloads"
        )
    return found


def download_package(
    file: str, folder: str | os.PathLike, environment: Mapping[str, str] | None = None
) -> Path:
    """Fetch a package with `csDownload` of cityscapesscripts, which verifies its md5.

    Args:
        file: name of the package.
        folder: gets the file; what arrived so far is continued.
        environment: holds the credentials, by default that of this process.

    Returns:
        The path of the file.

    Raises:
        InputError: there are no credentials or no downloader, or it fails.
    """
    user, password = credentials(environment)
    program = _program()
    folder = Path(folder)
    waiting = folder / ".cityscapes"
    waiting.mkdir(parents=True, exist_ok=True)
    part = waiting / file
    with tempfile.TemporaryDirectory() as home:
        # The downloader asks at the terminal unless it finds this file.
        for place in ("cityscapesscripts", "Library/Application Support/cityscapesscripts"):
            stored = Path(home) / place / "credentials.json"
            stored.parent.mkdir(parents=True)
            stored.touch(mode=0o600)
            stored.write_text(json.dumps({"username": user, "password": password}))
        done = subprocess.run(
            [program, "--resume", "--destination_path", waiting, file],
            env={**os.environ, "XDG_DATA_HOME": home, "HOME": home},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode or not part.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        reason = lines[-1].replace(password, "***")[:160]
        if "MD5" in reason or "416" in reason:
            part.unlink(missing_ok=True)
        raise InputError(
            f"{file}: the Cityscapes downloader failed ({reason}); check {USER} and {PASSWORD}, "
            "and that the account was granted access, then start again"
        )
    target = folder / file
    part.replace(target)
    return target


def _program():
    beside = Path(sys.executable).with_name("csDownload")
    found = str(beside) if beside.is_file() else shutil.which("csDownload")
    if not found:
        raise InputError(
            "csDownload: the Cityscapes downloader is not installed; "
            "`pip install cityscapesscripts`, or put the archives into the folder of downloads"
        )
    return found
