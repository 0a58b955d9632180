"""The report of an experiment: pages that open from disk, need no network and link everything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lcrp.files import whole
from lcrp.report.contents import gather, write_site_data, write_targets
from lcrp.report.inputs import ReportInputs
from lcrp.report.libraries import copy_libraries
from lcrp.report.pages import write_pages
from lcrp.store import open_store

_STATIC = Path(__file__).parent / "static"


def build_report(
    destination: str | os.PathLike, inputs: ReportInputs, progress: Callable = iter
) -> Path:
    """Builds the report into a folder, which is replaced as a whole when all pages are written.

    Args:
        destination: the folder; its first page is index.html.
        inputs: what the report is built from, see `ReportInputs.read`.
        progress: wraps the list of layers that are described.

    Returns:
        The path of index.html.

    Raises:
        InputError: the store or a folder of pictures cannot be read.
    """
    with open_store(inputs.store) as store, whole(destination) as folder:
        folder.mkdir()
        report = gather(folder, store, inputs, progress)
        write_site_data(report)
        write_targets(report)
        write_pages(report)
        copy_libraries(folder / "lib")
        shutil.copytree(_STATIC, folder / "assets")
    return Path(destination) / "index.html"
