"""The context tables of a store, opened for reading."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from lcrp.context.context_columns import CONTEXT_COLUMNS, FEW, KINDS, UNLABELLED_NAME
from lcrp.errors import InputError
from lcrp.object_masks import NOTHING, UNLABELLED
from lcrp.store import ConceptStore
from lcrp.store.archive import ArchiveReader
from lcrp.store.shards import read_table


class ContextTables:
    """The file that `aggregate` makes, opened for reading; a context manager.

    Attributes:
        path: the file.
        store: that it was made from (for numbers of targets and references).
        attrs: how it was made.
        layers: names of those that were aggregated.
        classes: data frame, columns as in `CONTEXT_COLUMNS`.
        pairs: likewise.
        instances: likewise.
    """

    def __init__(self, path: str | os.PathLike, store: ConceptStore):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def concepts(self, class_index: int | str, layers: Sequence[str] | None = None) -> pd.DataFrame:
        """All concepts of a class.

        Args:
            class_index: of the class, or its name.
            layers: names; None takes all.

        Returns:
            Columns as in `CONTEXT_COLUMNS["concepts"]`, sorted by layer and rank; empty for a
            class without targets.

        Raises:
            InputError: there is no such class or layer.
        """
        wanted = self.store.class_index(class_index)
        parts = [self._concepts_of(layer, wanted) for layer in (layers or self.layers)]
        parts = [part for part in parts if part is not None]
        if not parts:
            return pd.DataFrame(columns=list(CONTEXT_COLUMNS["concepts"]))
        return pd.concat(parts, ignore_index=True)

    def _concepts_of(self, layer: str, wanted: int) -> pd.DataFrame | None:
        group = f"layers/{layer}"
        if group not in self._archive:
            raise InputError(
                f"{self.path}: no layer {layer!r}; there are {', '.join(self.layers[:5])}"
            )
        number = np.flatnonzero(self._archive.read(f"{group}/class") == wanted)
        if not number.size:
            return None
        row = slice(number[0], number[0] + 1)
        names = ["relevance", "share", "context_score", "context_low", "context_high"]
        names += ["context_score_relmax", "relmax_targets", "exact", "note"]
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
        return table.iloc[order][list(CONTEXT_COLUMNS["concepts"])]

    def _things(self, group: str, row: slice) -> list[str]:
        thing, share = (
            self._archive.read(f"{group}/{name}", row)[0] for name in ("thing", "thing_share")
        )
        names = dict(enumerate(self.store.classes)) | {UNLABELLED: UNLABELLED_NAME}
        return [
            ", ".join(f"{names[t]} ({s:.3f})" for t, s in zip(*own, strict=True) if t != NOTHING)
            for own in zip(thing.T, share.T, strict=True)
        ]

    def _counts(self, wanted: int) -> dict[str, int]:
        row = self.classes[
            (self.classes["class"] == self.store.classes[wanted]) & (self.classes["layer"] == "all")
        ].iloc[0]
        return {name: int(row[name]) for name in ("targets", "scored", "images")}

    def _references(self, layer: str, wanted: int) -> tuple[list[str], list[str]]:
        best = self.store.best_rows(layer, wanted)[: self.attrs["settings"]["leading"]].T
        image = self.store.targets["image"].to_numpy()
        ids = self.store.images["id"].to_numpy(object)
        rows = [[int(row) for row in column if row >= 0] for column in best]
        return (
            [" ".join(map(str, column)) for column in rows],
            ["; ".join(ids[image[row]] for row in column) for column in rows],
        )


def open_tables(path: str | os.PathLike, store: ConceptStore) -> ContextTables:
    """Open a file made by `aggregate`.

    Args:
        path: the file.
        store: that it was made from.

    Raises:
        InputError: the file holds no context tables, or cannot be read.
    """
    return ContextTables(path, store)
