"""Merging shards into the store of an experiment."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveWriter
from lcrp.store.ranking import normalised, top_rows
from lcrp.store.rounding import RELATIVE_ERROR
from lcrp.store.schema import (
    ABSOLUTE_SUM,
    IDENTITY,
    IDENTITY_WORDS,
    RECORDED,
    RESERVED,
    SCHEMA,
)
from lcrp.store.shards import (
    array_attributes,
    layer_attributes,
    open_records,
    read_table,
    write_table,
)

CHUNK_ROWS = 1024
CHUNK_NUMBERS = 2**17
RANKING_NUMBERS = 2**15
MEMORY = 256 * 2**20
OPEN_SHARDS = 8
TOP_K = 40


@dataclass
class _Shard:
    path: Path
    attrs: dict
    images: pd.DataFrame
    targets: pd.DataFrame
    layers: dict
    shapes: dict


class _Readers:
    """The few shards that were read last, kept open."""

    def __init__(self):
        self._open = OrderedDict()

    def __call__(self, path):
        if path in self._open:
            self._open.move_to_end(path)
        else:
            self._open[path] = open_records(path)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        return self._open[path]

    def close(self):
        while self._open:
            self._open.popitem()[1].close()


def natural_key(text):
    """Sorting key under which `2.jpg` precedes `10.jpg`; unique for every text."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), p) if p.isdigit() else (1, 0, p) for p in parts], text


def chunk_shape(rows, channels):
    """Chunks of a merged (rows, channels) array: good for one column and for one row."""
    height = max(1, min(rows, CHUNK_ROWS))
    width = max(1, min(channels, max(64, CHUNK_NUMBERS // height)))
    return height, width


def _describe(path, reader):
    attrs = reader.attributes()
    layers, shapes = {}, {}
    for layer in attrs["layers"]:
        group = f"layers/{layer}"
        names = tuple(n for n in RECORDED if f"{group}/{n}" in reader)
        layers[layer] = (reader.attributes(group)["channels"], names)
        shapes[layer] = reader.attributes(group)["shape"]
    images, targets = read_table(reader, "images"), read_table(reader, "targets")
    return _Shard(path, attrs, images, targets, layers, shapes)


def _common_shapes(shards):
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


def _require_same(first, other):
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


def _common_attributes(shards):
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
        empty = max((getattr(s, name) for s in shards), key=lambda table: len(table.columns))
        return empty.assign(_shard=np.empty(0, np.int64), _row=np.empty(0, np.int64))
    return pd.concat([part[parts[0].columns] for part in parts], ignore_index=True)


def _sorted_images(shards, order):
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


def _sorted_targets(shards, images):
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


def merge_shards(paths, destination, top_k=TOP_K, order=None):
    """Merge shards into one store, with the best rows of every channel.

    paths: shard files (or merged stores) of one experiment, in any order; destination: the file
    to make; top_k: length of RelMax and ActMax; order: all image ids of the dataset, in its
    order, which then becomes the column `index` of images. The result depends on the rows alone:
    not on how they were split, nor on the order of the files. Rows are sorted by image (`index`
    in images, else id), class and instance. Needs memory for a block of rows (256 MB), whatever
    the number of shards.

    Raises InputError, naming both files, when two shards do not belong together (schema version,
    model, dataset, classes, settings, layers) or hold the same image; and, naming the file, when
    one is missing, truncated or corrupt.
    """
    paths = [Path(p) for p in paths]
    if not paths:
        raise InputError(f"{destination}: no shards to merge; analyse at least one image")
    if top_k < 1:
        raise InputError(f"top_k: {top_k} is not positive; give 1 or more")
    readers = _Readers()
    try:
        shards = []
        for path in paths:
            shards.append(_describe(path, readers(path)))
            _require_same(shards[0], shards[-1])
        layers = shards[0].layers
        shapes = _common_shapes(shards)
        images = _sorted_images(shards, order)
        targets = _sorted_targets(shards, images)
        attrs = _common_attributes(shards)
        attrs |= {
            "schema": SCHEMA,
            "kind": "store",
            "layers": list(layers),
            "relative_error": RELATIVE_ERROR,
            "top_k": int(top_k),
            "target_order": "image, class, instance",
        }
        tables = {"images": images, "targets": targets}
        with ArchiveWriter(destination) as archive:
            archive.group("", attrs)
            for name, table in tables.items():
                write_table(archive, name, _columns(table))
            archive.group("layers")
            for layer, (channels, _) in layers.items():
                archive.group(f"layers/{layer}", layer_attributes(channels, shapes[layer]))
            for name in tables:
                _copy_rows(archive, tables[name], name[:-1], layers, paths, readers)
            rows = _rows_of_classes(targets)
            for layer, (_, names) in layers.items():
                for kind, rows_of_classes in zip(_RANKED, rows, strict=True):
                    if _RANKED[kind][0] in names:
                        _write_ranking(archive, layer, kind, rows_of_classes, names, top_k)
    finally:
        readers.close()


def _columns(table):
    return {
        str(c): table[c].to_numpy(object if table[c].dtype.kind not in "iufb" else None)
        for c in table.columns
        if c not in ("_shard", "_row")
    }


def _arrays_of(axis, names):
    """Arrays with that row axis: name, type, fill value, whether it has channels."""
    arrays = [(n, RECORDED[n].dtype, RECORDED[n].fill, True) for n in names]
    arrays = [a for a in arrays if RECORDED[a[0]].axis == axis]
    if axis == "target" and "relevance" in names:
        arrays.append(("absolute_sum", np.dtype("float64"), np.nan, False))
    return arrays


def _copy_rows(archive, table, axis, layers, paths, readers):
    """Copy the rows of one axis of all layers, block by block of merged rows."""
    rows = len(table)
    width = 0
    for layer, (channels, names) in layers.items():
        for name, dtype, fill, deep in _arrays_of(axis, names):
            chunks = chunk_shape(rows, channels)
            width += dtype.itemsize * (channels if deep else 1)
            meaning = array_attributes(name) if deep else {"description": ABSOLUTE_SUM}
            archive.declare(
                f"layers/{layer}/{name}",
                (rows, channels) if deep else (rows,),
                dtype,
                (axis, "channel") if deep else (axis,),
                chunks if deep else chunks[:1],
                fill,
                meaning,
            )
    height = chunk_shape(rows, 1)[0]
    block_rows = height * max(1, MEMORY // max(1, width * height))
    for start in range(0, rows, block_rows):
        block = table.iloc[start : start + block_rows]
        sources = [
            (paths[number], group.index.to_numpy() - start, group["_row"].to_numpy())
            for number, group in block.groupby("_shard")
        ]
        buffers = _gather(sources, len(block), axis, layers, readers)
        for key in list(buffers):
            values = buffers.pop(key)
            archive.write(key, values, (start,) + (0,) * (values.ndim - 1))


def _gather(sources, rows, axis, layers, readers):
    buffers = {}
    for layer, (channels, names) in layers.items():
        for name, dtype, fill, deep in _arrays_of(axis, names):
            shape = (rows, channels) if deep else (rows,)
            buffers[f"layers/{layer}/{name}"] = np.full(shape, fill, dtype)
    for path, into, rows_of in sources:
        reader = readers(path)
        first, last = rows_of.min(), rows_of.max()
        for key, buffer in buffers.items():
            buffer[into] = reader.read(key, slice(first, last + 1))[rows_of - first]
    return buffers


def _rows_of_classes(targets):
    """Rows of the targets of every class that occurs, and of their images."""
    of_class = targets["class"].to_numpy()
    image = targets["image"].to_numpy()
    rows = {int(c): np.flatnonzero(of_class == c) for c in np.unique(of_class) if c >= 0}
    return rows, {c: np.unique(image[r]) for c, r in rows.items()}


_RANKED = {
    "relmax": ("relevance", "position", "target", "relevance divided by absolute_sum"),
    "actmax": ("activation", "activation_position", "image", "activation"),
}


def _write_ranking(archive, layer, kind, class_rows, names, top_k):
    source, where, axis, ranked_by = _RANKED[kind]
    group = f"layers/{layer}"
    rows, channels = archive.shape(f"{group}/{source}")
    positions = where in names
    k = min(top_k, rows)
    class_k = min(top_k, max(map(len, class_rows.values()), default=0))
    overall = _empty_ranking((k, channels))
    per_class = _empty_ranking((len(class_rows), class_k, channels))
    width = chunk_shape(rows, channels)[1]
    sums = archive.read(f"{group}/absolute_sum") if kind == "relmax" else None
    for start in range(0, channels, width):
        part = slice(start, min(start + width, channels))
        values = archive.read(f"{group}/{source}", slice(None), part)
        values = values.astype(np.float64) if sums is None else normalised(values, sums)
        at = archive.read(f"{group}/{where}", slice(None), part) if positions else None
        _rank(overall, (slice(None), part), values, at, np.arange(rows), k)
        for number, chosen in enumerate(class_rows.values()):
            at_class = None if at is None else at[chosen]
            place = (number, slice(None), part)
            _rank(per_class, place, values[chosen], at_class, chosen, class_k)
    write_ranking(archive, f"{group}/{kind}", overall, axis, ranked_by)
    write_ranking(archive, f"{group}/{kind}_by_class", per_class, axis, ranked_by, list(class_rows))


def _empty_ranking(shape):
    return {
        "index": np.full(shape, -1, np.int32),
        "value": np.full(shape, np.nan, np.float32),
        "position": np.full(shape, -1, np.int32),
    }


def _rank(ranking, place, values, positions, rows, k):
    best = top_rows(values, k)
    found = best >= 0
    if not found.any():
        return
    column = np.broadcast_to(np.arange(best.shape[1]), best.shape)
    ranking["index"][place] = np.where(found, rows[best], -1)
    ranking["value"][place] = np.where(found, values[best, column], np.nan)
    if positions is not None:
        ranking["position"][place] = np.where(found, positions[best, column], -1)


def write_ranking(archive, group, ranking, axis, ranked_by, classes=None):
    """Write RelMax or ActMax: `index`, `value`, `position`, best first.

    ranking: arrays (k, C), or (class, k, C) with the class indices in `classes`.
    """
    archive.group(group, {"ranked_by": ranked_by, "index_counts": axis})
    dimensions = ("rank", "channel") if classes is None else ("class", "rank", "channel")
    meanings = {
        "index": f"row of the {axis}, -1 where there is none",
        "value": f"{ranked_by}, NaN where there is none",
        "position": "flat index of the strongest neuron, -1 where there is none",
    }
    if classes is not None:
        archive.array(
            f"{group}/class",
            np.asarray(classes, np.int32),
            ("class",),
            attributes={"description": "index into the attribute classes; those that occur"},
        )
    for name, values in ranking.items():
        chunks = values.shape
        if classes is not None:
            together = RANKING_NUMBERS // max(1, values.shape[1] * values.shape[2])
            chunks = (max(1, min(together, len(values))), *values.shape[1:])
        fill = np.nan if name == "value" else -1
        archive.array(
            f"{group}/{name}",
            values,
            dimensions,
            chunks,
            fill,
            {"description": meanings[name]},
        )
