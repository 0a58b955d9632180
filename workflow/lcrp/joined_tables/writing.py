"""The joined tables as data frames and as CSV files."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from lcrp.context import CONTEXT_COLUMNS, ContextTables, aggregate, open_tables
from lcrp.files import FLOAT_FORMAT, whole
from lcrp.joined_tables.joined_columns import JOINED_COLUMNS
from lcrp.joined_tables.joining import with_effects
from lcrp.store import ConceptStore


def context_tables(
    store: ConceptStore, layers: str | Iterable[str] = "all", **settings: object
) -> dict[str, pd.DataFrame]:
    """The tables of a store as data frames, those of effects empty.

    For large stores use `aggregate`, which does not hold all concepts of all classes at once.

    Args:
        store: merged concept store.
        layers: names or patterns.
        settings: as for `aggregate`.

    Returns:
        The tables concepts, classes, pairs and instances; columns as in `JOINED_COLUMNS`.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "context.zarr.zip"
        aggregate(store, path, layers, **settings)
        with open_tables(path, store) as tables:
            parts = [tables.concepts(index) for index in range(len(store.classes))]
            parts = [part for part in parts if len(part)]
            if parts:
                concepts = pd.concat(parts, ignore_index=True)
            else:
                concepts = pd.DataFrame(columns=list(CONTEXT_COLUMNS["concepts"]))
            return {
                "concepts": concepts,
                "classes": with_effects(tables.classes, "classes"),
                "pairs": with_effects(tables.pairs, "pairs"),
                "instances": tables.instances,
            }


def write_csv(
    tables: ContextTables,
    concepts: str | os.PathLike | None = None,
    classes: str | os.PathLike | None = None,
    pairs: str | os.PathLike | None = None,
    instances: str | os.PathLike | None = None,
    effects: pd.DataFrame | None = None,
) -> None:
    """Write the tables as CSV files, those whose path is given, each whole or not at all.

    Concepts are written class by class. Numbers have six digits; an empty field means that there
    is no value, and `note` says why.

    Args:
        tables: of the store.
        concepts: path of the table.
        classes: likewise.
        pairs: likewise.
        instances: likewise.
        effects: of the interventions, put beside the scores of classes and pairs, which are then
            ordered by effect.

    Raises:
        InputError: a file cannot be written.
    """
    if concepts:
        count = len(tables.store.classes)
        _write(concepts, "concepts", (tables.concepts(index) for index in range(count)))
    if classes:
        _write(classes, "classes", [with_effects(tables.classes, "classes", effects)])
    if pairs:
        _write(pairs, "pairs", [with_effects(tables.pairs, "pairs", effects)])
    if instances:
        _write(instances, "instances", [tables.instances])


def _write(path, name, parts):
    columns = list(JOINED_COLUMNS[name])
    with whole(path, durable=True) as part, part.open("w", encoding="utf-8", newline="") as file:
        pd.DataFrame(columns=columns).to_csv(file, index=False)
        for table in parts:
            table[columns].to_csv(file, index=False, header=False, float_format=FLOAT_FORMAT)
