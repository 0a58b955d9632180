"""From a store to a directory that zennit-crp reads."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.store.concept_store import ConceptStore
from lcrp.store.crp_directories import ACTIVATION, RELEVANCE, Best, save, save_array
from lcrp.store.ranking import normalised, top_rows
from lcrp.store.shards import absolute_sums


def export_crp(store: ConceptStore, folder: str | os.PathLike) -> None:
    """Write the reference samples of a store as a directory that zennit-crp reads.

    Samples are numbered by the column `index` of images, where there is one, else by their row.
    Values are normalised over the channels, as zennit-crp has them; ranks (k, C) that not every
    channel has are left out. In ActStats an image counts for every class that it has a target of
    (zennit-crp counts it for one).

    In zennit-crp: `FeatureVisualization(..., path=folder)`, and for activations
    `Maximization("activation", "max", True, folder)` in place of its ActMax.

    Args:
        store: a merged store.
        folder: gets RelMax_sum_normed, RelStats_sum_normed, ActMax_max_normed and
            ActStats_max_normed, as far as the store has the rankings.

    Raises:
        InputError: a file cannot be written.
    """
    folder = Path(folder)
    sample = store.images.get("index", pd.Series(range(len(store.images)))).to_numpy(np.int64)
    target_image = store.targets["image"].to_numpy()
    class_sets = {"relevance": set(), "activation": set()}
    for layer in store.layers:
        for by, (best, stats) in (("relevance", RELEVANCE), ("activation", ACTIVATION)):
            for class_index, found in _rankings(store, layer, by):
                rows = target_image[found.index] if by == "relevance" else found.index
                found = Best(sample[rows], found.value, found.position)
                if class_index is None:
                    save(folder / best / layer, found)
                else:
                    save(folder / stats / layer / str(class_index), found)
                    class_sets[by].add(class_index)
    for by, (_, stats) in (("relevance", RELEVANCE), ("activation", ACTIVATION)):
        if class_sets[by]:
            save_array(folder / stats / "targets.npy", np.array(sorted(class_sets[by])))


def _rankings(store, layer, by):
    """(class index or None, Best) of a layer, values normalised over the channels."""
    kind = {"relevance": "relmax", "activation": "actmax"}[by]
    group = f"layers/{layer}/{kind}"
    if not store.holds(layer, kind):
        return
    by_class = store.archive.read(f"{group}_by_class/class")
    if "divided by" in store.archive.attributes(group)["ranked_by"]:
        for index in (None, *map(int, by_class)):
            yield index, _complete(*store.ranking(layer, by, index))
        return
    activation = store.read(layer, "activation")
    position = store.read(layer, "activation_position")
    values = normalised(activation, absolute_sums(activation))
    k = store.attrs["top_k"]
    yield None, _best_of(values, position, np.arange(len(values)), k)
    for index in by_class:
        of_class = store.targets["class"].to_numpy() == index
        rows = np.unique(store.targets["image"].to_numpy()[of_class])
        yield int(index), _best_of(values, position, rows, k)


def _best_of(values, position, rows, k):
    best = top_rows(values[rows], min(k, len(rows)))
    chosen = np.where(best >= 0, rows[best], -1)
    column = np.broadcast_to(np.arange(chosen.shape[1]), chosen.shape)
    return _complete(chosen, values[chosen, column], position[chosen, column])


def _complete(index, value, position):
    """The ranks that every channel has."""
    k = int((index >= 0).all(axis=1).sum())
    return Best(index[:k], value[:k].astype(np.float32), position[:k].astype(np.int64))
