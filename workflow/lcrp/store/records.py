"""What one analysis job hands over: tables of images and targets, arrays per layer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.store.format import AXIS_OF_TABLE, RECORDED, REQUIRED, SCHEMA, TYPES


@dataclass
class LayerRecords:
    """The recorded arrays of one layer with C channels, for T targets of B images.

    An array that was not recorded is None, in every shard of an experiment alike.

    Attributes:
        relevance: (T, C) float32, summed over positions, not normalised.
        position: (T, C) int32, flat index of the most relevant neuron.
        inside: (T, C) float32, relevance that lands inside the object; NaN without annotation.
        landed: (T, C) float32, relevance that lands anywhere in the input, with which `inside` is
            to be compared; not needed where that is `relevance` itself (no bias absorbs any).
        on_thing: (P, C) float32, relevance that lands on another annotated thing, for P pairs of
            a target and a thing.
        activation: (B, C) float32, maximum over positions; NaN for an unreadable image.
        activation_position: (B, C) int32, flat index of the most active neuron; -1 where unknown.
        shape: (height, width) of the feature map that the positions count in, None if unknown.
    """

    relevance: np.ndarray | None = None
    position: np.ndarray | None = None
    inside: np.ndarray | None = None
    activation: np.ndarray | None = None
    activation_position: np.ndarray | None = None
    shape: tuple[int, int] | None = None
    landed: np.ndarray | None = None
    on_thing: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that were recorded, by name."""
        return {name: getattr(self, name) for name in RECORDED if getattr(self, name) is not None}

    @property
    def channels(self) -> int:
        """Number of channels."""
        return next(iter(self.arrays().values())).shape[1]


@dataclass
class ShardRecords:
    """The rows of one shard. Columns and attributes: docs/store.md.

    Attributes:
        attrs: what JSON can hold.
        images: one row per image, `id` and `status` at least.
        targets: one row per target, `image` (row in images) and `class` at least; no rows is fine.
        layers: `LayerRecords` by layer name, in module order, for the same layers in every shard
            even where it has no rows.
        pairs: one row per target and other annotated thing of its image, `target` (row in
            targets) and `thing` (class).
    """

    attrs: dict = field(default_factory=dict)
    images: pd.DataFrame = field(default_factory=pd.DataFrame)
    targets: pd.DataFrame = field(default_factory=pd.DataFrame)
    layers: dict[str, LayerRecords] = field(default_factory=dict)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)


def json_attributes(attrs: Mapping) -> dict:
    """Attributes as they come back from a file: tuples as lists, `schema` filled in."""
    return json.loads(json.dumps({"schema": SCHEMA} | dict(attrs), default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def column_values(series: pd.Series, kind: str | None = None) -> np.ndarray:
    """One column as the store keeps it: text as objects, other types as they are.

    Args:
        series: the column.
        kind: the type that the format prescribes; None for a column that it does not know.
    """
    if kind is None:
        if pd.api.types.is_bool_dtype(series.dtype):
            kind = "bool"
        elif pd.api.types.is_integer_dtype(series.dtype):
            kind = "int64"
        elif pd.api.types.is_float_dtype(series.dtype):
            kind = "float64"
        else:
            kind = "str"
    if kind == "str":
        values = np.empty(len(series), object)
        values[:] = ["" if pd.isna(value) else str(value) for value in series]
        return values
    return series.to_numpy(dtype=kind)


def tables(records: ShardRecords) -> dict[str, dict[str, np.ndarray]]:
    """The tables of a shard as dictionaries of columns, with the types of the format.

    An empty table may lack a required column.

    Raises:
        InputError: a column is missing or unusable.
    """
    checked = {}
    for name, types in TYPES.items():
        table = getattr(records, name)
        columns = {}
        for column in REQUIRED[name]:
            if column not in table.columns:
                if len(table):
                    raise InputError(f"{name}: no column {column!r}; add it")
                columns[column] = np.empty(0, object if types[column] == "str" else types[column])
        for column in table.columns:
            try:
                columns[str(column)] = column_values(table[column], types.get(column))
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{name}: column {column!r} does not hold {types[column]} ({error}); correct it"
                ) from error
        checked[name] = columns
    return checked


def check(records: ShardRecords) -> dict[str, dict[str, np.ndarray]]:
    """The tables of records, with the types of the format.

    Raises:
        InputError: the records contradict themselves.
    """
    attrs = json_attributes(records.attrs)
    if attrs["schema"] != SCHEMA:
        raise InputError(f"schema: version {attrs['schema']}; this version writes {SCHEMA}")
    typed = tables(records)
    rows = {axis: len(getattr(records, table)) for table, axis in AXIS_OF_TABLE.items()}
    ids = pd.Index(typed["images"]["id"])
    if not ids.is_unique:
        raise InputError(f"images: id {ids[ids.duplicated()][0]!r} occurs twice; make ids unique")
    image = typed["targets"]["image"]
    if image.size and (image.min() < 0 or image.max() >= rows["image"]):
        raise InputError(
            f"targets: image {image.max()} is not a row of {rows['image']} images; correct it"
        )
    classes, index = attrs.get("classes"), typed["targets"]["class"]
    if classes is not None and index.size and index.max() >= len(classes):
        raise InputError(
            f"targets: class {index.max()}, but only {len(classes)} classes are named; correct it"
        )
    _check_pairs(typed["pairs"], rows["target"], classes)
    for layer, recorded in records.layers.items():
        _check_layer(layer, recorded, rows)
    return typed


def _check_pairs(
    pairs: Mapping[str, np.ndarray], targets: int, classes: Sequence[str] | None
) -> None:
    target, thing = pairs["target"], pairs["thing"]
    if target.size and (target.min() < 0 or target.max() >= targets):
        raise InputError(f"pairs: target {target.max()} is not a row of {targets} targets; correct")
    if classes is not None and thing.size and not 0 <= thing.min() <= thing.max() < len(classes):
        raise InputError(
            f"pairs: thing {thing.max()}, but only {len(classes)} classes are named; correct it"
        )
    if pd.MultiIndex.from_arrays([target, thing]).has_duplicates:
        raise InputError("pairs: the same target and thing occur twice; add them up")


def _check_layer(layer: str, recorded: LayerRecords, rows: Mapping[str, int]) -> None:
    if not layer or "/" in layer or set(layer) == {"."} or layer.startswith("__"):
        raise InputError(f"layer {layer!r}: no name for a group of a Zarr store; rename it")
    arrays = recorded.arrays()
    if not arrays:
        raise InputError(f"layer {layer!r}: nothing recorded; leave the layer out")
    for name, values in arrays.items():
        expected = (rows[RECORDED[name].axis], recorded.channels)
        if np.shape(values) != expected:
            raise InputError(
                f"layer {layer!r}: {name} has shape {np.shape(values)}; {expected} was expected"
            )
