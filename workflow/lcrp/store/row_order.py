"""The order of rows in a merged store: a total one, that does not depend on the shards."""

import re

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.store.format import TYPES


def natural_key(text: str) -> tuple:
    """Sorting key under which `2.jpg` precedes `10.jpg`; unique for every text."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), p) if p.isdigit() else (1, 0, p) for p in parts], text


def _joined(shards, name):
    """All rows of a table, with the shard they come from and their row in it."""
    parts, columns, said_by = [], None, None
    for number, shard in enumerate(shards):
        table = getattr(shard, name)
        if table.empty:
            continue
        if columns is not None and set(table.columns) != columns:
            odd = ", ".join(sorted(columns ^ set(table.columns)))
            raise InputError(
                f"{shard.path}: other columns in {name} than {said_by} ({odd}); "
                "delete the one that is out of date and run again"
            )
        if columns is None:
            columns, said_by = set(table.columns), shard.path
        parts.append(table.assign(_shard=number, _row=np.arange(len(table))))
    if not parts:
        empty = max((getattr(s, name) for s in shards), key=lambda table: sorted(table.columns))
        parts = [empty.assign(_shard=np.empty(0, np.int64), _row=np.empty(0, np.int64))]
    known = [column for column in TYPES[name] if column in parts[0]]
    own = sorted(set(parts[0].columns) - set(known))
    return pd.concat([part[known + own] for part in parts], ignore_index=True)


def sorted_images(shards, order):
    """Images of all shards in the order of the dataset (`order`, else `index`, else the id)."""
    images = _joined(shards, "images")
    double = images["id"].duplicated(keep=False)
    if double.any():
        pair = images[images["id"] == images["id"][double].iloc[0]]
        one, two = (shards[n].path for n in pair["_shard"].iloc[:2])
        raise InputError(
            f"{two}: image {pair['id'].iloc[0]!r} is also in {one}; delete the shard that is "
            "out of date and run again"
        )
    if order is not None:
        images["index"] = _places(images, shards, order)
    keys = images["id"].map(natural_key)
    if "index" in images:
        keys = pd.Series(list(zip(images["index"], keys, strict=True)), dtype=object)
    return images.iloc[sorted(range(len(images)), key=keys.tolist().__getitem__)].reset_index(
        drop=True
    )


def _places(images, shards, order):
    """Position of every image in `order`."""
    place = {name: number for number, name in enumerate(order)}
    unknown = np.flatnonzero(~images["id"].isin(place))
    if unknown.size:
        row = images.iloc[unknown[0]]
        raise InputError(
            f"{shards[row['_shard']].path}: image {row['id']!r} is not in the dataset; delete the "
            "shard and run again"
        )
    return images["id"].map(place).to_numpy(np.int64)


def sorted_targets(shards, images):
    """Targets of all shards by image, class and instance; `image` counts the merged rows."""
    targets = _joined(shards, "targets")
    place = pd.Series(
        np.arange(len(images)), index=pd.MultiIndex.from_frame(images[["_shard", "_row"]])
    )
    if len(targets):
        keys = pd.MultiIndex.from_arrays([targets["_shard"], targets["image"]])
        targets["image"] = place.reindex(keys).to_numpy(np.int32)
    by = [c for c in ("image", "class", "instance") if c in targets]
    return targets.sort_values([*by, "_row"], kind="stable", ignore_index=True)


def sorted_pairs(shards, targets):
    """Pairs of all shards by target and thing; `target` counts the merged rows."""
    pairs = _joined(shards, "pairs")
    place = pd.Series(
        np.arange(len(targets)), index=pd.MultiIndex.from_frame(targets[["_shard", "_row"]])
    )
    if len(pairs):
        keys = pd.MultiIndex.from_arrays([pairs["_shard"], pairs["target"]])
        pairs["target"] = place.reindex(keys).to_numpy(np.int32)
    by = [c for c in ("target", "thing") if c in pairs]
    return pairs.sort_values([*by, "_row"], kind="stable", ignore_index=True)
