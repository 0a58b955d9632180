"""Pictures before and after an intervention, beside each other in the report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
from PIL import Image

from lcrp.errors import InputError
from lcrp.files import read_table

COLUMNS = ("class", "before", "after")


def collect_examples(folder, destination) -> dict[str, list[dict]]:
    """Copies the pictures of interventions into a report.

    folder: holds index.csv, one row per pair of pictures: `class`, `thing` (empty: the whole
    background), `before` and `after` (file names beside it), and what else is known of it:
    `intervention`, `image`, `probability_before`, `probability_after`.
    Returns {"<class>\\n<thing>": pairs}, each with what a page must know to show it. Raises
    InputError if the index cannot be read.
    """
    folder, destination = Path(folder), Path(destination)
    index = folder / "index.csv"
    table = read_table(index, "measure the effect again")
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise InputError(f"{index}: has no column {absent[0]}; measure the effect again")
    found = {}
    for row in table.to_dict("records"):
        pictures = []
        for name in ("before", "after"):
            file = folder / str(row[name])
            if not file.is_file():
                break
            shutil.copyfile(file, destination / file.name)
            pictures.append(picture_of(file, f"{destination.name}/{file.name}"))
        if len(pictures) < 2:
            continue
        key = f"{row['class']}\n{_known(row.get('thing')) or ''}"
        found.setdefault(key, []).append(
            {
                "before": pictures[0],
                "after": pictures[1],
                "image": _known(row.get("image")),
                "intervention": _known(row.get("intervention")),
                "probabilities": [
                    _known(row.get(f"probability_{name}")) for name in ("before", "after")
                ],
            }
        )
    return found


def picture_of(file, path) -> dict:
    """A picture's path in the report and its size: [width, height]."""
    with Image.open(file) as picture:
        return {"file": path, "size": list(picture.size)}


def _known(value):
    return None if value is None or value == "" or pd.isna(value) else value
