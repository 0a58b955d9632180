"""Which shards belong together, and what their common store says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveReader
from lcrp.store.format import AXIS_OF_TABLE, IDENTITY, IDENTITY_WORDS, RECORDED, RESERVED
from lcrp.store.shards import read_table


@dataclass
class Shard:
    """What a shard says, without its arrays.

    Attributes:
        path: the file.
        attrs: its attributes.
        images: one row per image.
        targets: one row per target.
        pairs: one row per target and other annotated thing.
        layers: {name: (channels, names of its arrays)}.
        shapes: {name: shape of the feature map, or None}.
    """

    path: Path
    attrs: dict
    images: pd.DataFrame
    targets: pd.DataFrame
    pairs: pd.DataFrame
    layers: dict
    shapes: dict


def describe(path: Path, reader: ArchiveReader) -> Shard:
    """Read everything but the arrays of layers."""
    attrs = reader.attributes()
    layers, shapes = {}, {}
    for layer in attrs["layers"]:
        group = f"layers/{layer}"
        names = tuple(n for n in RECORDED if f"{group}/{n}" in reader)
        layers[layer] = (reader.attributes(group)["channels"], names)
        shapes[layer] = reader.attributes(group)["shape"]
    tables = {name: read_table(reader, name) for name in AXIS_OF_TABLE}
    return Shard(path, attrs, **tables, layers=layers, shapes=shapes)


def common_shapes(shards: Sequence[Shard]) -> dict:
    """Feature map shape per layer: what those shards say that know it."""
    shapes, said_by = dict.fromkeys(shards[0].layers), {}
    for shard in shards:
        for layer, shape in shard.shapes.items():
            if shape is None:
                continue
            if shapes[layer] not in (None, shape):
                raise InputError(
                    f"{shard.path}: feature maps of layer {layer} are {shape}, in "
                    f"{said_by[layer]} {shapes[layer]}; analyse both with the same input size"
                )
            shapes[layer], said_by[layer] = shape, shard.path
    return shapes


def require_same(first: Shard, other: Shard) -> None:
    """Check that the rows of two shards belong together.

    Raises:
        InputError: they do not; it names both files.
    """
    for key in IDENTITY:
        one, two = first.attrs.get(key), other.attrs.get(key)
        if one != two:
            what = IDENTITY_WORDS.get(key, f"another {key}")
            raise InputError(
                f"{other.path}: {what} than {first.path} ({_short(two)}, not {_short(one)}); "
                "delete the one that is out of date and run again"
            )
    if list(first.layers) != list(other.layers):
        odd = set(first.layers) ^ set(other.layers)
        what = f"({', '.join(sorted(odd)[:3])})" if odd else "(another order)"
        raise InputError(
            f"{other.path}: other layers than {first.path} {what}; "
            "delete the one that is out of date and run again"
        )
    for layer, described in first.layers.items():
        if other.layers[layer] != described:
            raise InputError(
                f"{other.path}: layer {layer} has {other.layers[layer]}, in {first.path} "
                f"{described}; delete the one that is out of date and run again"
            )


def _short(value):
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def common_attributes(shards: Sequence[Shard]) -> dict:
    """What all shards say; of `versions` everything that any of them says."""
    common = {k: v for k, v in shards[0].attrs.items() if k not in RESERVED}
    versions = {}
    for shard in shards:
        common = {k: v for k, v in common.items() if k in shard.attrs and shard.attrs[k] == v}
        for package, version in (shard.attrs.get("versions") or {}).items():
            versions.setdefault(package, set()).update(str(version).split(", "))
    if versions:
        common["versions"] = {p: ", ".join(sorted(v)) for p, v in sorted(versions.items())}
    return dict(sorted(common.items()))
