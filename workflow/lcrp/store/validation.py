"""Checking that a file is a sound shard or store."""

import os

import numpy as np

from lcrp.errors import InputError
from lcrp.store.best_rows import RANKED
from lcrp.store.concept_store import ConceptStore
from lcrp.store.format import AXIS_OF_TABLE, RECORDED, REQUIRED
from lcrp.store.ranking import normalised

_PARTS = ("index", "value", "position")


def validate(path: str | os.PathLike) -> dict[str, int]:
    """Check a shard or merged store from end to end.

    Reads everything: checksums, shapes and dimensions of all arrays, row numbers, and whether
    the best samples of every channel are those of its recorded values.

    Returns:
        Counts: images, targets, pairs, layers, concepts, numbers (recorded ones, in all arrays of
        all layers).

    Raises:
        InputError: it names the file and the first thing that is wrong.
    """
    with ConceptStore(path) as store:
        _check_tables(store)
        rows = {axis: len(getattr(store, table)) for table, axis in AXIS_OF_TABLE.items()}
        counts = rows | {"layer": len(store.layers), "concept": 0, "number": 0}
        for name in store.layers:
            channels, numbers = _check_layer(store, name, rows)
            counts["concept"] += channels
            counts["number"] += numbers
    return {f"{key}s": value for key, value in counts.items()}


def _wrong(store, what):
    return InputError(f"{store.path}: {what}; delete it and run again, so that it is computed anew")


def _check_tables(store):
    for name, columns in REQUIRED.items():
        table = getattr(store, name)
        if name == "pairs" and table.empty:
            continue
        for column in columns:
            if column not in table:
                raise _wrong(store, f"no column {column!r} in {name}")
    if not store.images["id"].is_unique:
        raise _wrong(store, "an image id occurs twice")
    image, index = store.targets["image"], store.targets["class"]
    if len(image) and not image.between(0, len(store.images) - 1).all():
        raise _wrong(store, "a target refers to an image that is not there")
    if store.classes and len(index) and index.max() >= len(store.classes):
        raise _wrong(store, "a target refers to a class that is not there")
    pairs = store.pairs
    if len(pairs) and not pairs["target"].between(0, len(store.targets) - 1).all():
        raise _wrong(store, "a pair refers to a target that is not there")


def _check_layer(store, layer, rows):
    archive, group = store.archive, f"layers/{layer}"
    channels = archive.attributes(group)["channels"]
    numbers = 0
    for name, kind in RECORDED.items():
        key = f"{group}/{name}"
        if key not in archive:
            continue
        metadata = archive.metadata(key)
        if metadata["dimension_names"] != [kind.axis, "channel"]:
            raise _wrong(store, f"{key} has dimensions {metadata['dimension_names']}")
        if metadata["shape"] != [rows[kind.axis], channels]:
            raise _wrong(store, f"{key} has shape {metadata['shape']}")
        numbers += archive.read(key).size
    for kind, axis in (("relmax", "target"), ("actmax", "image")):
        for suffix in ("", "_by_class"):
            key = f"{group}/{kind}{suffix}"
            if key in archive:
                numbers += _check_ranking(store, key, layer, kind, rows[axis])
    return channels, numbers


def _check_ranking(store, key, layer, kind, rows):
    archive = store.archive
    parts = {n: archive.read(f"{key}/{n}") for n in _PARTS if f"{key}/{n}" in archive}
    index, numbers = parts["index"], sum(part.size for part in parts.values())
    if index.size and (index.max() >= rows or index.min() < -1):
        raise _wrong(store, f"{key} refers to a row that is not there")
    source = RANKED[kind][0]
    if f"layers/{layer}/{source}" not in archive or not index.size:
        return numbers
    values = store.read(layer, source).astype(np.float64)
    if kind == "relmax":
        values = normalised(values, store.read(layer, "absolute_sum"))
    found = index >= 0
    column = np.broadcast_to(np.arange(index.shape[-1]), index.shape)
    listed = np.where(found, values[index, column], np.nan)
    value = parts.get("value", listed).astype(np.float32)
    if not np.array_equal(listed.astype(np.float32), value, equal_nan=True):
        raise _wrong(store, f"{key} holds other values than were recorded")
    rises = found[..., 1:, :] & ~(listed[..., 1:, :] <= listed[..., :-1, :])
    if rises.any():
        raise _wrong(store, f"{key} is not sorted")
    for listed_rows, chosen in _groups(store, key, kind, listed, len(values)):
        known = np.where(np.isnan(values[chosen]), -np.inf, values[chosen])
        expected = np.full(listed_rows.shape, -np.inf)
        best = -np.sort(-known, axis=0)[: len(expected)]
        expected[: len(best)] = best
        if not np.array_equal(np.where(np.isnan(listed_rows), -np.inf, listed_rows), expected):
            raise _wrong(store, f"{key} does not list the best rows")
    return numbers


def _groups(store, key, kind, listed, rows):
    """What a ranking lists, and the rows that it is about: all, or those of each class."""
    if "by_class" not in key:
        yield listed, np.arange(rows)
        return
    for number, index in enumerate(store.archive.read(f"{key}/class")):
        chosen = np.flatnonzero(store.targets["class"] == index)
        if kind == "actmax":
            chosen = np.unique(store.targets["image"].to_numpy()[chosen])
        yield listed[number], chosen
