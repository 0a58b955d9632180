"""The context tables as data frames and as CSV files."""

import os
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lcrp.context.aggregation import aggregate
from lcrp.context.context_columns import COLUMNS, FEW, KINDS, UNLABELLED_NAME
from lcrp.context.joined_effects import with_effects
from lcrp.errors import InputError
from lcrp.object_masks import NOTHING, UNLABELLED
from lcrp.store.archive import ArchiveReader
from lcrp.store.shards import read_table

FLOAT_FORMAT = "%.6g"


class ContextTables:
    """The file that `aggregate` makes, opened for reading; a context manager.

    path: the file; store: the ConceptStore that it was made from (for numbers of targets and
    references). classes, pairs, instances: data frames; columns as in columns.COLUMNS, but for the
    effects.
    """

    def __init__(self, path, store):
        self.path = Path(path)
        self.store = store
        self._archive = ArchiveReader(path)
        self.attrs = self._archive.attributes()
        if self.attrs.get("kind") != "context":
            self._archive.close()
            raise InputError(f"{path}: no context tables; aggregate them from the concept store")
        self.layers = self.attrs["layers"]
        self.classes = read_table(self._archive, "classes")
        self.instances = read_table(self._archive, "instances")
        self.pairs = read_table(self._archive, "pairs")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file."""
        self._archive.close()

    def concepts(self, class_index, layers=None):
        """All concepts of a class, given by name or index, in all layers or those named.

        Returns a data frame with the columns COLUMNS["concepts"], sorted by layer and rank;
        empty for a class without targets.
        """
        wanted = self.store.class_index(class_index)
        parts = [self._concepts_of(layer, wanted) for layer in (layers or self.layers)]
        parts = [part for part in parts if part is not None]
        if not parts:
            return pd.DataFrame(columns=list(COLUMNS["concepts"]))
        return pd.concat(parts, ignore_index=True)

    def _concepts_of(self, layer, wanted):
        group = f"layers/{layer}"
        if group not in self._archive:
            raise InputError(
                f"{self.path}: no layer {layer!r}; there are {', '.join(self.layers[:5])}"
            )
        number = np.flatnonzero(self._archive.read(f"{group}/class") == wanted)
        if not number.size:
            return None
        row = slice(number[0], number[0] + 1)
        names = ("relevance", "share", "context_score", "context_low", "context_high")
        names = (*names, "context_score_relmax", "relmax_targets", "exact", "note")
        values = {name: self._archive.read(f"{group}/{name}", row)[0] for name in names}
        channels = len(values["share"])
        order = np.argsort(-np.nan_to_num(values["share"], nan=-np.inf), kind="stable")
        counts = self._counts(wanted)
        notes = np.array(self.attrs["notes"], object)[values["note"]]
        minimum = self.attrs["settings"]["minimum_targets"]
        few = f"{counts['scored']} scored targets, the minimum is {minimum}"
        notes[values["note"] == FEW] = few
        scored = np.isfinite(values["context_score"])
        kinds = np.where(values["exact"], KINDS[0], KINDS[1])
        references, images = self._references(layer, wanted)
        rank = np.empty(channels, np.int64)
        rank[order] = np.arange(1, channels + 1)
        table = pd.DataFrame(
            {
                "class": self.store.classes[wanted],
                "layer": layer,
                "concept": np.arange(channels),
                "rank": rank,
                **counts,
                **{name: values[name] for name in names[:-2]},
                "lies_on": self._things(group, row),
                "kind": np.where(scored, kinds, ""),
                "note": notes,
                "references": references,
                "reference_images": images,
            }
        )
        return table.iloc[order][list(COLUMNS["concepts"])]

    def _things(self, group, row):
        thing, share = (
            self._archive.read(f"{group}/{name}", row)[0] for name in ("thing", "thing_share")
        )
        names = dict(enumerate(self.store.classes)) | {UNLABELLED: UNLABELLED_NAME}
        return [
            ", ".join(f"{names[t]} ({s:.3f})" for t, s in zip(*own, strict=True) if t != NOTHING)
            for own in zip(thing.T, share.T, strict=True)
        ]

    def _counts(self, wanted):
        row = self.classes[
            (self.classes["class"] == self.store.classes[wanted]) & (self.classes["layer"] == "all")
        ].iloc[0]
        return {name: int(row[name]) for name in ("targets", "scored", "images")}

    def _references(self, layer, wanted):
        best = self.store.best_rows(layer, wanted)[: self.attrs["settings"]["leading"]].T
        image = self.store.targets["image"].to_numpy()
        ids = self.store.images["id"].to_numpy(object)
        rows = [[int(row) for row in column if row >= 0] for column in best]
        return (
            [" ".join(map(str, column)) for column in rows],
            ["; ".join(ids[image[row]] for row in column) for column in rows],
        )


def open_tables(path, store):
    """Open a file made by `aggregate`; see ContextTables."""
    return ContextTables(path, store)


def context_tables(store, layers="all", **settings):
    """The context tables of a store as data frames.

    store: merged ConceptStore; layers, settings: as for `aggregate`. Returns a dictionary with
    the data frames concepts, classes, pairs and instances; columns as in COLUMNS, those of effects
    empty. For large stores use `aggregate`, which does not hold all concepts of all classes at
    once.
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
                concepts = pd.DataFrame(columns=list(COLUMNS["concepts"]))
            return {
                "concepts": concepts,
                "classes": with_effects(tables.classes, "classes"),
                "pairs": with_effects(tables.pairs, "pairs"),
                "instances": tables.instances,
            }


def write_csv(tables, concepts=None, classes=None, pairs=None, instances=None, effects=None):
    """Write the tables as CSV files, those whose path is given, each whole or not at all.

    tables: ContextTables. effects: data frame of the interventions, put beside the scores of
    classes and pairs, which are then ordered by effect. Concepts are written class by class.
    Numbers have six digits; an empty field means that there is no value, and `note` says why.
    """
    count = len(tables.store.classes)
    if concepts:
        parts = (tables.concepts(index) for index in range(count))
        _write(concepts, "concepts", parts)
    if classes:
        _write(classes, "classes", [with_effects(tables.classes, "classes", effects)])
    if pairs:
        _write(pairs, "pairs", [with_effects(tables.pairs, "pairs", effects)])
    if instances:
        _write(instances, "instances", [tables.instances])


def _write(path, name, parts):
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    columns = list(COLUMNS[name])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "w", encoding="utf-8", newline="") as file:
            pd.DataFrame(columns=columns).to_csv(file, index=False)
            for table in parts:
                table[columns].to_csv(file, index=False, header=False, float_format=FLOAT_FORMAT)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or check the folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)
