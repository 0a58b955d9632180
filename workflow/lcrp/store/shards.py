"""Shard files: the rows of one analysis job."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveReader, ArchiveWriter
from lcrp.store.format import (
    ABSOLUTE_SUM,
    AXIS_OF_TABLE,
    IMAGE_COLUMNS,
    PAIR_COLUMNS,
    READABLE,
    RECORDED,
    RESERVED,
    SCHEMA,
    TARGET_COLUMNS,
)
from lcrp.store.records import LayerRecords, ShardRecords, check, json_attributes
from lcrp.store.rounding import RELATIVE_ERROR, relative_error, round_mantissa

_MEANINGS = {"images": IMAGE_COLUMNS, "targets": TARGET_COLUMNS, "pairs": PAIR_COLUMNS}


def absolute_sums(relevance: np.ndarray) -> np.ndarray:
    """Sum of absolute relevances over the channels of each target.

    Each row is summed by itself, so that the sum does not depend on which other rows there are.

    Args:
        relevance: (T, C) float32 as stored.

    Returns:
        (T,) float64, NaN where a channel is not finite: such a target has no normalised relevance.
    """
    sizes = np.abs(np.asarray(relevance, np.float64), order="C")
    sums = np.array([np.add.reduce(row) for row in sizes], np.float64)
    sums[~np.isfinite(sums)] = np.nan
    return sums


def write_table(
    archive: ArchiveWriter, name: str, columns: Mapping[str, np.ndarray] | pd.DataFrame
) -> None:
    """Write a table as one array per column, in group `name`."""
    archive.group(name)
    for column, values in columns.items():
        meaning = _MEANINGS.get(name, {}).get(str(column))
        archive.array(
            f"{name}/{column}",
            values,
            (AXIS_OF_TABLE.get(name, name),),
            attributes={"description": meaning} if meaning else None,
        )


def read_table(archive: ArchiveReader, name: str) -> pd.DataFrame:
    """A table as a data frame whose index counts its rows."""
    columns = {c: archive.read(f"{name}/{c}") for c in archive.children(name)}
    return pd.DataFrame(columns).rename_axis(AXIS_OF_TABLE.get(name))


def layer_attributes(channels: int, shape: Sequence[int] | None) -> dict[str, Any]:
    """Attributes of the group of a layer."""
    return {"channels": int(channels), "shape": [int(n) for n in shape] if shape else None}


def array_attributes(name: str) -> dict:
    """Attributes of a recorded array."""
    attributes: dict[str, Any] = {"description": RECORDED[name].meaning}
    if RECORDED[name].bits:
        attributes["relative_error"] = relative_error(RECORDED[name].bits)
    return attributes


def write_shard(path: str | os.PathLike, records: ShardRecords) -> None:
    """Write a shard file, whole or not at all.

    Args:
        path: the file to make, by custom `<n>.zarr.zip`.
        records: relevances and activations are rounded to a relative error of 2^-12.

    Raises:
        InputError: the records contradict themselves, or the file cannot be written.
    """
    try:
        typed = check(records)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    attrs = json_attributes(records.attrs)
    attrs |= {"kind": "shard", "layers": list(records.layers), "relative_error": RELATIVE_ERROR}
    with ArchiveWriter(path) as archive:
        archive.group("", attrs)
        for name, columns in typed.items():
            write_table(archive, name, columns)
        archive.group("layers")
        for layer, recorded in records.layers.items():
            group = f"layers/{layer}"
            archive.group(group, layer_attributes(recorded.channels, recorded.shape))
            for name, values in recorded.arrays().items():
                kind = RECORDED[name]
                if kind.bits:
                    values = round_mantissa(values, kind.bits)
                else:
                    values = np.asarray(values, kind.dtype)
                archive.array(
                    f"{group}/{name}",
                    values,
                    (kind.axis, "channel"),
                    fill=kind.fill,
                    attributes=array_attributes(name),
                )
                if name == "relevance":
                    archive.array(
                        f"{group}/absolute_sum",
                        absolute_sums(values),
                        ("target",),
                        fill=np.nan,
                        attributes={"description": ABSOLUTE_SUM},
                    )


def open_records(
    path: str | os.PathLike, others: Iterable[str | os.PathLike] = ()
) -> ArchiveReader:
    """Open a shard or a merged store, and check its schema version.

    Args:
        path: the file.
        others: files that it is to be put together with; an error names one of the right version.

    Raises:
        InputError: the file is missing, damaged, or of another version.
    """
    archive = ArchiveReader(path)
    version = archive.attributes().get("schema")
    if version in READABLE:
        return archive
    archive.close()
    other = next((other for other in others if _schema_version(other) == SCHEMA), None)
    if other is not None:
        raise InputError(
            f"{path}: another schema version than {other} ({version}, not {SCHEMA}); "
            "delete the one that is out of date and run again"
        )
    raise InputError(
        f"{path}: schema version {version}, this version reads {SCHEMA}; "
        "delete it and run again, so that it is computed anew"
    )


def _schema_version(path: str | os.PathLike) -> Any:
    with ArchiveReader(path) as archive:
        return archive.attributes().get("schema")


def read_shard(path: str | os.PathLike) -> ShardRecords:
    """Read a shard (or all rows of a merged store).

    Raises:
        InputError: the file is missing, truncated, corrupt or of another schema version.
    """
    with open_records(path) as archive:
        attrs = archive.attributes()
        layers = {}
        for layer in attrs["layers"]:
            group = f"layers/{layer}"
            shape = archive.attributes(group)["shape"]
            layers[layer] = LayerRecords(
                **{n: archive.read(f"{group}/{n}") for n in RECORDED if f"{group}/{n}" in archive},
                shape=tuple(shape) if shape else None,
            )
        return ShardRecords(
            attrs={key: value for key, value in attrs.items() if key not in RESERVED},
            images=read_table(archive, "images"),
            targets=read_table(archive, "targets"),
            layers=layers,
            pairs=read_table(archive, "pairs"),
        )
