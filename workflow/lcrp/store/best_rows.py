"""RelMax and ActMax of a store: the best rows of every channel, overall and per class."""

import numpy as np
import pandas as pd

from lcrp.store.layout import RANKING_NUMBERS, chunk_shape
from lcrp.store.ranking import normalised, top_rows

# Recorded values, their positions, what their rows are, and what the values are called.
RANKED = {
    "relmax": ("relevance", "position", "target", "relevance divided by absolute_sum"),
    "actmax": ("activation", "activation_position", "image", "activation"),
}


def rows_of_classes(
    targets: pd.DataFrame,
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Per class that occurs the rows of its targets, and those of the images that have one."""
    of_class = targets["class"].to_numpy()
    image = targets["image"].to_numpy()
    rows = {int(c): np.flatnonzero(of_class == c) for c in np.unique(of_class) if c >= 0}
    return rows, {c: np.unique(image[r]) for c, r in rows.items()}


def rank_layer(archive, layer, kind, class_rows, names, top_k):
    """Rank the rows of a layer that has been written, and write RelMax or ActMax.

    Reads one column of chunks at a time. Per class only the rows are written: their values and
    positions are in the recorded arrays.

    Args:
        archive: `ArchiveWriter`.
        layer: its name.
        kind: a key of RANKED.
        class_rows: rows by class index.
        names: the arrays that the layer has.
        top_k: how many rows are kept.
    """
    source, where, axis, ranked_by = RANKED[kind]
    group = f"layers/{layer}"
    rows, channels = archive.shape(f"{group}/{source}")
    positions = where in names
    k = min(top_k, rows)
    class_k = min(top_k, max(map(len, class_rows.values()), default=0))
    overall = {
        "index": np.full((k, channels), -1, np.int32),
        "value": np.full((k, channels), np.nan, np.float32),
        "position": np.full((k, channels), -1, np.int32),
    }
    per_class = np.full((len(class_rows), class_k, channels), -1, np.int32)
    width = chunk_shape(rows, channels)[1]
    sums = archive.read(f"{group}/absolute_sum") if kind == "relmax" else None
    for start in range(0, channels, width):
        part = slice(start, min(start + width, channels))
        values = archive.read(f"{group}/{source}", slice(None), part)
        values = values.astype(np.float64) if sums is None else normalised(values, sums)
        best = top_rows(values, k)
        overall["index"][:, part] = best
        overall["value"][:, part] = pick(values, best, np.nan)
        if positions:
            at = archive.read(f"{group}/{where}", slice(None), part)
            overall["position"][:, part] = pick(at, best, -1)
        for number, chosen in enumerate(class_rows.values()):
            best = top_rows(values[chosen], class_k)
            per_class[number, :, part] = np.where(best >= 0, chosen[best], -1)
    write_ranking(archive, f"{group}/{kind}", overall, axis, ranked_by)
    write_ranking(
        archive, f"{group}/{kind}_by_class", {"index": per_class}, axis, ranked_by, class_rows
    )


def pick(values: np.ndarray, rows: np.ndarray, empty: float) -> np.ndarray:
    """Values (n, C) at rows (k, C) of every channel, `empty` where the row is -1."""
    if not values.size:
        return np.full(rows.shape, empty)
    column = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    return np.where(rows >= 0, values[rows, column], empty)


def write_ranking(archive, group, ranking, axis, ranked_by, classes=None):
    """Write RelMax or ActMax: `index` and, if given, `value` and `position`, best first.

    Args:
        archive: `ArchiveWriter`.
        group: the path to write to.
        ranking: arrays (k, C), or (class, k, C).
        axis: what the rows are: "target" or "image".
        ranked_by: by what they are ranked, in words.
        classes: the class indices, for arrays per class.
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
            np.array(list(classes), np.int32),
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
