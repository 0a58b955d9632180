"""CSV tables as data that the report's tables sort, filter and link."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.effect import EFFECT_COLUMNS
from lcrp.errors import InputError
from lcrp.joined_tables import JOINED_COLUMNS
from lcrp.report.data_files import plain, write_data

# What columns hold decides how they are shown: everything else follows the type.
_LINKED = ("class", "image", "concept", "layer")
_SHARE = re.compile(
    r"(.+_)?share|context_(score|low|high|score_relmax)|recognised|follows|stays|other|missed"
    r"|(outside|far)(_low|_high)?|unusual|reaches_input|(leading_)?passes"
    r"|share_together|together|(effect_)?(low|high)|expected|effect|control|difference|probability_\w+|detected_\w+"
)
# Wide or secondary; shown when asked for.
_ASIDE = {
    "scored", "images", "relevance", "relmax_targets", "kind", "references", "reference_images",
    "target", "targets", "thing", "p", "low", "high", "expected", "control", "effect_low",
    "effect_high", "size", "logit_change", "share_together", "together",
}  # fmt: skip


def meanings_of(name: str) -> dict[str, str]:
    """What the columns of a table mean, where the library says so."""
    return EFFECT_COLUMNS if name == "effects" else JOINED_COLUMNS.get(name, {})


def column_heading(name: str) -> str:
    """A column's name for people: `mean_relevance` -> `mean relevance`."""
    return name.replace("_", " ")


def columns_of(table: pd.DataFrame, descriptions: dict | None = None) -> list[dict]:
    """What a page must know of each column.

    Its name, heading and description; its kind (text, flag, whole, number, share, or what it
    links to); aside: hidden at first; layer: the column that names a concept's layer.
    """
    columns = []
    # A thing beside a class is a class of other objects; elsewhere it is the id of an object.
    paired = {"class", "thing"} <= set(table.columns) and "image" not in table.columns
    for name in table.columns:
        kind = name.removeprefix("leading_")
        if kind == "thing" and paired:
            pass
        elif kind not in _LINKED:
            if _is_flag(table[name]):
                kind = "flag"
            elif _SHARE.fullmatch(name) and pd.api.types.is_numeric_dtype(table[name]):
                kind = "share"
            elif pd.api.types.is_integer_dtype(table[name]):
                kind = "whole"
            elif pd.api.types.is_numeric_dtype(table[name]):
                kind = "number"
            else:
                kind = "text"
        columns.append(
            {
                "name": name,
                "heading": column_heading(name),
                "kind": kind,
                "about": (descriptions or {}).get(name, ""),
                "aside": (name in _ASIDE and kind != "thing" and len(table.columns) > 8)
                or bool(table[name].isna().all()),
                "layer": name.replace("concept", "layer") if kind == "concept" else "",
            }
        )
    return columns


def _is_flag(column):
    known = column.dropna()
    return len(known) > 0 and all(isinstance(value, (bool, np.bool_)) for value in known)


def rows_of(table: pd.DataFrame) -> list[list]:
    """Rows as lists of JSON values."""
    parts = [[plain(value) for value in table[name].tolist()] for name in table.columns]
    return [list(row) for row in zip(*parts, strict=True)]


def write_table(folder, name: str, table: pd.DataFrame, descriptions=None) -> dict:
    """Writes a table as a data file; returns what a page must know to show it."""
    path = write_data(
        folder, name, {"columns": columns_of(table, descriptions), "rows": rows_of(table)}
    )
    return {"name": name, "file": path, "rows": len(table)}


def write_by_layer(folder, name: str, table: pd.DataFrame, slugs: dict, descriptions=None) -> dict:
    """Writes a table with a `layer` column as one data file per layer, loaded on demand.

    slugs: {layer: its name in file names}. Returns what a page must know to show it.
    """
    files = {}
    for layer, part in table.groupby("layer", sort=False):
        key = f"{name}-{slugs.get(layer, layer)}"
        write_table(folder, key, part, descriptions)
        files[str(layer)] = key
    return {"name": name, "files": files, "rows": len(table)}


def existing(tables: dict | None) -> dict[str, Path]:
    """The tables that are there; a path that does not exist is an InputError."""
    found = {}
    for name, path in (tables or {}).items():
        if path is None:
            continue
        if not Path(path).exists():
            raise InputError(f"{path}: does not exist; build the {name} table first")
        found[name] = Path(path)
    return found
