"""From a directory of zennit-crp to a store, without any analysis."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.store.archive import ArchiveWriter
from lcrp.store.best_rows import write_ranking
from lcrp.store.crp_directories import RANKED_BY, Best, load
from lcrp.store.format import TYPES
from lcrp.store.records import column_values, json_attributes
from lcrp.store.rounding import RELATIVE_ERROR
from lcrp.store.row_order import natural_key
from lcrp.store.shards import layer_attributes, write_table


def import_crp(
    folder: str | os.PathLike,
    destination: str | os.PathLike,
    images: pd.DataFrame | Sequence[str],
    classes: Sequence[str],
    attrs: Mapping | None = None,
    layers: Sequence[str] | None = None,
) -> None:
    """Make a store from a directory of zennit-crp's FeatureVisualization.

    The store answers `best`; it holds no relevances of targets. Targets are the pairs of image
    and class that occur; where no class is on record (no RelStats) it is -1.

    Args:
        folder: with RelMax_* and, if there, RelStats_*, ActMax_*, ActStats_*.
        destination: the file to make.
        images: the samples in the order in which zennit-crp numbered them: ids, or a data frame
            with the columns id, file, height, width as far as known.
        classes: names by class index.
        attrs: further attributes of the store (experiment, architecture, ...).
        layers: names and order of the layers, by default all in natural order.

    Raises:
        InputError: a file is missing, damaged or does not fit; it names the file.
    """
    folder = Path(folder)
    sources = {
        by: (_source(folder, f"{short}Max", wanted), _source(folder, f"{short}Stats", wanted))
        for by, short, wanted in (("relevance", "Rel", "sum"), ("activation", "Act", "max"))
    }
    table = _image_table(images)
    names = layers or _layer_names(folder, sources)
    found = {}
    for layer in names:
        for by, (best, stats) in sources.items():
            found[layer, by] = (
                load(best / layer, len(table["id"])) if best else None,
                _load_classes(stats, layer, len(table["id"]), len(classes)) if stats else {},
            )
    for layer in names:
        _require_channels(folder, layer, [found[layer, by] for by in sources])
    owners = {
        layer: _classes_of(*found[layer, "relevance"])
        for layer in names
        if found[layer, "relevance"][0] is not None
    }
    targets, row_of = _target_table(names, found, owners)
    attrs = json_attributes(dict(attrs or {}) | {"classes": list(classes)})
    attrs |= {
        "kind": "store",
        "layers": list(names),
        "relative_error": RELATIVE_ERROR,
        "top_k": max((len(f[0].index) for f in found.values() if f[0] is not None), default=0),
        "target_order": "image, class",
        "imported_from": "zennit-crp",
    }
    with ArchiveWriter(destination) as archive:
        archive.group("", attrs)
        write_table(archive, "images", table)
        write_table(archive, "targets", targets)
        archive.group("layers")
        for layer in names:
            channels = _channels([found[layer, by] for by in sources])
            archive.group(f"layers/{layer}", layer_attributes(channels, None))
            for by, (best, _) in sources.items():
                overall, per_class = found[layer, by]
                if overall is None:
                    continue
                ranked_by = RANKED_BY[best.name.partition("_")[2]]
                if by == "relevance":
                    overall = Best(
                        row_of(overall.index, owners[layer]), overall.value, overall.position
                    )
                    per_class = {
                        c: Best(row_of(b.index, c), b.value, b.position)
                        for c, b in per_class.items()
                    }
                kind, axis = ("relmax", "target") if by == "relevance" else ("actmax", "image")
                group = f"layers/{layer}/{kind}"
                write_ranking(archive, group, _padded([overall])[0], axis, f"{by}: {ranked_by}")
                stacked = _stacked(per_class, channels)
                write_ranking(
                    archive,
                    f"{group}_by_class",
                    stacked,
                    axis,
                    f"{by}: {ranked_by}",
                    sorted(per_class),
                )


def _source(folder, kind, wanted):
    """The directory of a kind of maximisation: the usual one, else any there is."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory; give one made by zennit-crp")
    there = sorted(p for p in folder.glob(f"{kind}_*") if p.name.partition("_")[2] in RANKED_BY)
    there.sort(key=lambda p: p.name != f"{kind}_{wanted}_normed")
    if not there and kind == "RelMax":
        raise InputError(f"{folder}: no directory RelMax_sum_normed; give one made by zennit-crp")
    return there[0] if there else None


def _layer_names(folder, sources):
    names = set()
    for best, _ in sources.values():
        if best:
            names |= {p.name.removesuffix("_data.npy") for p in best.glob("*_data.npy")}
    if not names:
        raise InputError(f"{folder}: no <layer>_data.npy in it; give a directory of zennit-crp")
    return sorted(names, key=natural_key)


def _load_classes(stats, layer, samples, classes):
    found = {}
    for path in sorted((stats / layer).glob("*_data.npy")):
        name = path.name.removesuffix("_data.npy")
        if not re.fullmatch(r"\d+", name) or int(name) >= classes:
            raise InputError(f"{path}: class {name} of {classes}; give the names of all classes")
        found[int(name)] = load(path.with_name(name), samples)
    return dict(sorted(found.items()))


def _channels(rankings):
    return next(b.index.shape[1] for b, _ in rankings if b is not None)


def _require_channels(folder, layer, rankings):
    widths = {b.index.shape[1] for b, _ in rankings if b is not None}
    widths |= {b.index.shape[1] for _, classes in rankings for b in classes.values()}
    if len(widths) > 1:
        raise InputError(
            f"{folder}: layer {layer} has {sorted(widths)} channels in different files; "
            "take all files from one analysis"
        )


def _image_table(images):
    if not isinstance(images, pd.DataFrame):
        images = pd.DataFrame({"id": list(images)})
    if "id" not in images or not images["id"].is_unique:
        raise InputError("images: need unique ids; give one per sample")
    columns = {"index": np.arange(len(images))}
    for column in images.columns:
        if column != "index":
            columns[column] = column_values(images[column], TYPES["images"].get(column))
    if "status" not in columns:
        columns["status"] = np.full(len(images), "ok", object)
    return columns


def _classes_of(overall, per_class):
    """Class of each entry of RelMax (k, C): the one whose own list has that sample and value."""
    owner = np.full(overall.index.shape, -1)
    for index, best in per_class.items():
        same = (best.index[:, None] == overall.index) & (best.value[:, None] == overall.value)
        owner[(owner < 0) & same.any(axis=0)] = index
    return owner


def _target_table(names, found, owners):
    """The pairs of image and class that occur, and a function from such pairs to rows."""
    pairs = [np.empty((0, 2), np.int64)]
    for layer in names:
        overall, per_class = found[layer, "relevance"]
        if overall is not None:
            pairs.append(np.stack([overall.index.ravel(), owners[layer].ravel()], 1))
        for index, best in per_class.items():
            pairs.append(np.stack([best.index.ravel(), np.full(best.index.size, index)], 1))
    pairs = np.unique(np.concatenate(pairs), axis=0)
    key = pairs[:, 0] * 2**32 + pairs[:, 1]
    columns = {
        "image": pairs[:, 0].astype(np.int32),
        "class": pairs[:, 1].astype(np.int32),
        "instance": np.zeros(len(pairs), np.int32),
    }
    return columns, lambda image, index: np.searchsorted(
        key, image.astype(np.int64) * 2**32 + index
    )


def _padded(rankings):
    """Rankings of unequal length as arrays of the longest, -1 and NaN where there is none."""
    k = max((len(b.index) for b in rankings), default=0)
    return [
        {
            "index": np.pad(b.index, ((0, k - len(b.index)), (0, 0)), constant_values=-1).astype(
                np.int32
            ),
            "value": np.pad(
                b.value.astype(np.float32), ((0, k - len(b.value)), (0, 0)), constant_values=np.nan
            ),
            "position": np.pad(
                b.position, ((0, k - len(b.position)), (0, 0)), constant_values=-1
            ).astype(np.int32),
        }
        for b in rankings
    ]


def _stacked(per_class, channels):
    padded = _padded(list(per_class.values()))
    if not padded:
        return {
            "index": np.empty((0, 0, channels), np.int32),
            "value": np.empty((0, 0, channels), np.float32),
            "position": np.empty((0, 0, channels), np.int32),
        }
    return {part: np.stack([b[part] for b in padded]) for part in padded[0]}
