"""Merging shards into the store of an experiment."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveWriter
from lcrp.store.best_rows import RANKED, rank_layer, rows_of_classes
from lcrp.store.format import ABSOLUTE_SUM, RECORDED
from lcrp.store.layout import chunk_shape
from lcrp.store.limits import require_limits
from lcrp.store.rounding import RELATIVE_ERROR
from lcrp.store.row_order import sorted_images, sorted_pairs, sorted_targets
from lcrp.store.shard_identity import common_attributes, common_shapes, describe, require_same
from lcrp.store.shards import array_attributes, layer_attributes, open_records, write_table

MEMORY = 256 * 2**20
OPEN_SHARDS = 8
TOP_K = 40


class _Readers:
    """The few shards that were read last, kept open."""

    def __init__(self, paths):
        self._paths = paths
        self._open = OrderedDict()

    def __call__(self, path):
        if path in self._open:
            self._open.move_to_end(path)
        else:
            self._open[path] = open_records(path, self._paths)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        return self._open[path]

    def close(self):
        while self._open:
            self._open.popitem()[1].close()


def merge_shards(
    paths: Sequence[str | os.PathLike],
    destination: str | os.PathLike,
    top_k: int = TOP_K,
    order: Sequence[str] | None = None,
    limits: Mapping[str, float | None] | None = None,
) -> None:
    """Merge shards into one store, with the best rows of every channel.

    The result depends on the rows alone: not on how they were split, nor on the order of the
    files. Rows are sorted by image (`index` in images, else id), class and instance. The memory
    needed is that of a block of rows (256 MB, or 1024 rows), whatever the number of shards.

    Args:
        paths: shard files (or merged stores) of one experiment, in any order.
        destination: the file to make.
        top_k: length of RelMax and ActMax.
        order: all image ids of the dataset, in its order, which then becomes the column `index`
            of images.
        limits: which share of the images may be unreadable or without target, as
            `require_limits` takes it.

    Raises:
        InputError: two shards do not belong together (schema version, model, dataset, classes,
            settings, layers) or hold the same image, and both are named; or one is missing,
            truncated or corrupt.
    """
    paths = [Path(p) for p in paths]
    if not paths:
        raise InputError(f"{destination}: no shards to merge; analyse at least one image")
    if top_k < 1:
        raise InputError(f"top_k: {top_k} is not positive; give 1 or more")
    readers = _Readers(paths)
    try:
        shards = []
        for path in paths:
            shards.append(describe(path, readers(path)))
            require_same(shards[0], shards[-1])
        layers = shards[0].layers
        shapes = common_shapes(shards)
        images = sorted_images(shards, order)
        require_limits(images, limits, destination)
        targets = sorted_targets(shards, images)
        attrs = common_attributes(shards)
        attrs |= {
            "kind": "store",
            "layers": list(layers),
            "relative_error": RELATIVE_ERROR,
            "top_k": int(top_k),
            "target_order": "image, class, instance",
        }
        tables = {"images": images, "targets": targets, "pairs": sorted_pairs(shards, targets)}
        with ArchiveWriter(destination) as archive:
            archive.group("", attrs)
            for name, table in tables.items():
                write_table(archive, name, _columns(table))
            archive.group("layers")
            for layer, (channels, _) in layers.items():
                archive.group(f"layers/{layer}", layer_attributes(channels, shapes[layer]))
            for name in tables:
                _copy_rows(archive, tables[name], name[:-1], layers, paths, readers)
            class_rows = dict(zip(RANKED, rows_of_classes(targets), strict=True))
            for layer, (_, names) in layers.items():
                for kind, rows in class_rows.items():
                    if RANKED[kind][0] in names:
                        rank_layer(archive, layer, kind, rows, names, top_k)
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
