"""Reading a concept store: lazy arrays, and data frames that answer questions."""

import os
from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from lcrp.errors import InputError, nearest
from lcrp.store.best_rows import RANKED, pick
from lcrp.store.format import RECORDED
from lcrp.store.layer import Layer
from lcrp.store.ranking import normalised
from lcrp.store.shards import open_records, read_table

_KINDS = {"relevance": "relmax", "activation": "actmax"}


class ConceptStore:
    """A store (or shard) opened for reading; a context manager.

    Layers are named as in the network, concepts are channel numbers, classes are given by name or
    index. What does not exist raises InputError, with the nearest names. The tables `images`,
    `targets` and `pairs` are in the order that all row numbers refer to.

    Attributes:
        path: the file.
        archive: it, open.
        attrs: its attributes.
        layers: names in module order.
        classes: names by class index.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.archive = open_records(self.path)
        self.attrs = self.archive.attributes()
        self.layers = list(self.attrs["layers"])
        self.classes = tuple(self.attrs.get("classes") or ())
        # Figures ask for one concept of many classes in a row: its column is read once.
        self._last: tuple[Any, Any] = (None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rows = f"{len(self.targets)} targets of {len(self.images)} images"
        return f"<ConceptStore {self.path}: {rows}, {len(self.layers)} layers>"

    def close(self) -> None:
        """Close the file."""
        self.archive.close()
        if "zarr" in self.__dict__:
            self.zarr.store.close()

    @cached_property
    def images(self) -> pd.DataFrame:
        """The table of images."""
        return read_table(self.archive, "images")

    @cached_property
    def targets(self) -> pd.DataFrame:
        """The table of targets."""
        return read_table(self.archive, "targets")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The table of pairs: targets, and the other annotated things of their images."""
        return read_table(self.archive, "pairs")

    @cached_property
    def zarr(self) -> Any:
        """The whole as a zarr group."""
        # Imported here: no step of the workflow needs it, and each would wait for it.
        import zarr

        store = zarr.storage.ZipStore(self.path, mode="r")
        return zarr.open_group(store, mode="r", use_consolidated=False)

    def layer(self, name: str) -> Layer:
        """The Layer of that name."""
        group = f"layers/{self._layer(name)}"
        return Layer(name, self.archive.attributes(group), lambda: self.zarr[group])

    def _layer(self, name: str) -> str:
        if name not in self.layers:
            raise InputError(f"{self.path}: no layer {name!r}; {_hint(name, self.layers)}")
        return name

    def class_index(self, given: str | int) -> int:
        """Index of a class given by name or index."""
        if isinstance(given, Integral) and not isinstance(given, bool):
            if 0 <= given < len(self.classes):
                return int(given)
            raise InputError(
                f"{self.path}: no class {given}; indices run from 0 to {len(self.classes) - 1}"
            )
        if given in self.classes:
            return self.classes.index(given)
        raise InputError(f"{self.path}: no class {given!r}; {_hint(given, self.classes)}")

    def _concept(self, layer: str, concept: int) -> int:
        channels = self.archive.attributes(f"layers/{layer}")["channels"]
        if not isinstance(concept, Integral) or not 0 <= concept < channels:
            raise InputError(
                f"{self.path}: no concept {concept} in layer {layer}; "
                f"its concepts run from 0 to {channels - 1}"
            )
        return int(concept)

    def _target(self, target: int) -> int:
        if not isinstance(target, Integral) or not 0 <= target < len(self.targets):
            raise InputError(
                f"{self.path}: no target {target}; targets run from 0 to {len(self.targets) - 1}"
            )
        return int(target)

    def read(
        self, layer: str, name: str, rows: slice = slice(None), concepts: slice = slice(None)
    ) -> np.ndarray:
        """Part of a recorded array.

        Args:
            layer: its name.
            name: of the array.
            rows: a slice with step 1.
            concepts: a slice with step 1.

        Returns:
            (rows, concepts), or (rows,) for `absolute_sum`.

        Raises:
            InputError: it was not recorded.
        """
        key = f"layers/{self._layer(layer)}/{name}"
        if key not in self.archive:
            raise InputError(
                f"{self.path}: no {name} for layer {layer}; "
                "this store holds reference samples only, analyse the images to have it"
            )
        wide = len(self.archive.metadata(key)["shape"]) == 2
        return self.archive.read(key, rows, concepts) if wide else self.archive.read(key, rows)

    def holds(self, layer: str, name: str) -> bool:
        """Whether an array (`inside`, `landed`, ...) or ranking (`relmax`, ...) is there."""
        return f"layers/{self._layer(layer)}/{name}" in self.archive

    def ranking(
        self,
        layer: str,
        by: str = "relevance",
        class_index: str | int | None = None,
        concepts: slice = slice(None),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """RelMax or ActMax of several concepts, as arrays.

        Args:
            layer: its name.
            by: see `best`.
            class_index: see `best`.
            concepts: a slice.

        Returns:
            Index (row of the target or image, -1 where there is none), value and position, each
            (k, concepts), best first.
        """
        group = self._ranking(layer, by, class_index)
        place = self._place(group, class_index)
        rows = self._ranked(f"{group}/index", place, concepts)
        if f"{group}/value" in self.archive:
            value = self._ranked(f"{group}/value", place, concepts)
            return rows, value, self._ranked(f"{group}/position", place, concepts)
        value, position = self._recorded(layer, by, concepts)
        return rows, pick(value, rows, np.nan), pick(position, rows, -1)

    def best_rows(
        self,
        layer: str,
        class_index: str | int | None = None,
        concepts: slice = slice(None),
        by: str = "relevance",
    ) -> np.ndarray:
        """Rows of the best samples of several concepts: (k, concepts) int32, -1 where none."""
        group = self._ranking(layer, by, class_index)
        return self._ranked(f"{group}/index", self._place(group, class_index), concepts)

    def _place(self, group: str, class_index: str | int | None) -> int | None:
        """Where the ranking of a class is: None for the one of all rows, -1 for nowhere."""
        if class_index is None:
            return None
        wanted = self.class_index(class_index)
        number = np.flatnonzero(self.archive.read(f"{group}/class") == wanted)
        return int(number[0]) if number.size else -1

    def _ranked(self, key: str, place: int | None, concepts: slice) -> np.ndarray:
        if place is None:
            return self.archive.read(key, slice(None), concepts)
        if place < 0:
            dtype = self.archive.metadata(key)["data_type"]
            channels = self.archive.metadata(key)["shape"][-1]
            return np.empty((0, len(range(channels)[concepts])), dtype)
        return self.archive.read(key, slice(place, place + 1), slice(None), concepts)[0]

    def _recorded(self, layer: str, by: str, concepts: slice) -> tuple[np.ndarray, np.ndarray]:
        """What a ranking is made of: values and positions (rows, concepts)."""
        if self._last[0] != (layer, by, concepts.start, concepts.stop):
            source, where, *_ = RANKED[_KINDS[by]]
            if by == "relevance":
                value = self.normalised(layer, None, concepts)
            else:
                value = self.read(layer, source, concepts=concepts).astype(np.float64)
            position = np.full(value.shape, -1)
            if self.holds(layer, where):
                position = self.read(layer, where, concepts=concepts)
            self._last = (layer, by, concepts.start, concepts.stop), (value, position)
        return self._last[1]

    def normalised(
        self,
        layer: str,
        targets: npt.ArrayLike | slice | None = None,
        concepts: slice = slice(None),
    ) -> np.ndarray:
        """Relevance divided by the sum of absolute relevances of the layer, per target.

        Args:
            layer: its name.
            targets: row numbers or a slice, by default all.
            concepts: a slice of channels.

        Returns:
            (targets, concepts) float64; NaN for a target whose relevance is not finite, zero for
            one without any relevance.
        """
        if targets is None:
            targets = slice(None)
        if isinstance(targets, slice) and targets.step in (None, 1):
            return self._normalised(layer, targets, concepts)
        index: Any = targets
        chosen = np.arange(len(self.targets))[index]
        first = int(chosen.min()) if chosen.size else 0
        rows = slice(first, int(chosen.max()) + 1 if chosen.size else first)
        return self._normalised(layer, rows, concepts)[chosen - first]

    def _normalised(self, layer: str, rows: slice, concepts: slice) -> np.ndarray:
        relevance = self.read(layer, "relevance", rows, concepts)
        return normalised(relevance, self.read(layer, "absolute_sum", rows))

    def profile(self, target: int, layer: str) -> pd.DataFrame:
        """All concepts of a layer for one target.

        Args:
            target: its row.
            layer: its name.

        Returns:
            Row i for concept i: concept, relevance, normalised, inside (relevance inside the
            object, NaN without annotation), position (flat index of the strongest neuron).
        """
        number = self._target(target)
        row = slice(number, number + 1)
        relevance = self.read(layer, "relevance", row)
        table = {
            "concept": np.arange(relevance.shape[1]),
            "relevance": relevance[0],
            "normalised": normalised(relevance, self.read(layer, "absolute_sum", row))[0],
        }
        for name in ("inside", "position"):
            if f"layers/{layer}/{name}" in self.archive:
                table[name] = self.read(layer, name, row)[0]
            else:
                table[name] = np.full(relevance.shape[1], RECORDED[name].fill)
        return pd.DataFrame(table)

    def top_concepts(
        self, layer: str, class_index: str | int | None = None, k: int = 10
    ) -> pd.DataFrame:
        """The concepts with the largest mean normalised relevance, best first.

        Args:
            layer: its name.
            class_index: average over the targets of this class (name or index), by default all.
            k: how many.

        Returns:
            concept, mean_relevance (NaN without targets), targets (their number). Equal means are
            ordered by concept.
        """
        rows = None
        if class_index is not None:
            rows = np.flatnonzero(self.targets["class"] == self.class_index(class_index))
        values = self.normalised(layer, rows)
        values = values[~np.isnan(values).any(axis=1)]
        count = len(values)
        mean = values.mean(axis=0) if count else np.full(values.shape[1], np.nan)
        order = np.argsort(-mean, kind="stable")[:k]
        return pd.DataFrame({"concept": order, "mean_relevance": mean[order], "targets": count})

    def best(
        self,
        layer: str,
        concept: int,
        by: str = "relevance",
        class_index: str | int | None = None,
        k: int | None = None,
    ) -> pd.DataFrame:
        """The reference samples of a concept, best first.

        Args:
            layer: its name.
            concept: its channel.
            by: "relevance" (RelMax: targets by normalised relevance) or "activation" (ActMax:
                images by maximal activation).
            class_index: only targets of this class, or images that have one (name or index).
            k: at most so many.

        Returns:
            target (row, -1 for images), image (row), image_id, class (index, -1 where it is an
            image's), value, position (flat index of the strongest neuron).
        """
        concept = self._concept(self._layer(layer), concept)
        column = slice(concept, concept + 1)
        found = [p[:k, 0] for p in self.ranking(layer, by, class_index, column)]
        there = found[0] >= 0
        index = -1 if class_index is None else self.class_index(class_index)
        rows, values, positions = (part[there] for part in found)
        return self._samples(rows, values, positions, by, index)

    def _ranking(self, layer: str, by: str, class_index: str | int | None) -> str:
        if by not in _KINDS:
            raise InputError(f"by: {by!r}; choose 'relevance' or 'activation'")
        suffix = "" if class_index is None else "_by_class"
        group = f"layers/{self._layer(layer)}/{_KINDS[by]}{suffix}"
        if group not in self.archive:
            reason = (
                "a shard has none; merge the shards"
                if self.attrs.get("kind") == "shard"
                else f"{by} was not recorded"
            )
            raise InputError(f"{self.path}: no best samples by {by} for layer {layer}; {reason}")
        return group

    def _samples(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        positions: np.ndarray,
        by: str,
        class_index: int,
    ) -> pd.DataFrame:
        rows = rows.astype(np.int64)
        if by == "relevance":
            targets = self.targets.iloc[rows]
            image = targets["image"].to_numpy(np.int64)
            classes = targets["class"].to_numpy(np.int64)
            target = rows
        else:
            image, classes = rows, np.full(len(rows), class_index)
            target = np.full(len(rows), -1)
        return pd.DataFrame(
            {
                "target": target,
                "image": image,
                "image_id": self.images["id"].to_numpy(object)[image],
                "class": classes,
                "value": values.astype(np.float64),
                "position": positions.astype(np.int64),
            }
        )


def _hint(given: object, names: Sequence[str]) -> str:
    return f"nearest: {nearest(given, names)}" if names else "it has none"


def open_store(path: str | os.PathLike) -> ConceptStore:
    """Open a concept store for reading.

    Raises:
        InputError: the file is missing, truncated, corrupt or of another schema version.
    """
    return ConceptStore(path)
