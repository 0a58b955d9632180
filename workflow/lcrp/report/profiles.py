"""What classes rely on, per layer and concept: the numbers behind the pages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONCEPTS_AT_ONCE = 256


@dataclass
class LayerProfile:
    """Means of one layer over the targets of each class, and over all.

    classes: indices of the classes that have targets, ascending (K of them); targets: (K,) how
    many. relevance: (K + 1, C) mean normalised relevance, the last row over all targets.
    outside: (K + 1, C) share of the relevance outside the object, over all targets together; NaN
    without annotation or without positive relevance.
    """

    layer: str
    classes: np.ndarray
    targets: np.ndarray
    relevance: np.ndarray
    outside: np.ndarray

    @property
    def channels(self) -> int:
        """Number of concepts."""
        return self.relevance.shape[1]

    def leading(self, class_index: int | None, count: int) -> list[tuple[int, float, float]]:
        """The concepts that matter most to a class (None: to all): concept, relevance, outside."""
        row = -1 if class_index is None else int(np.searchsorted(self.classes, class_index))
        order = np.argsort(-self.relevance[row], kind="stable")[:count]
        return [
            (int(c), float(self.relevance[row, c]), float(self.outside[row, c]))
            for c in order
            if self.relevance[row, c] > 0
        ]


def layer_profile(store, layer: str) -> LayerProfile:
    """The profile of a layer, read in blocks of concepts."""
    of_target = store.targets["class"].to_numpy(np.int64)
    classes, number = np.unique(of_target, return_inverse=True)
    targets = np.bincount(number, minlength=len(classes))
    channels = store.layer(layer).channels
    shape = (len(classes) + 1, channels)
    relevance, outside = np.full(shape, np.nan), np.full(shape, np.nan)
    if not len(of_target):
        return LayerProfile(layer, classes, targets, np.zeros(shape), outside)
    for start in range(0, channels, CONCEPTS_AT_ONCE):
        block = slice(start, min(start + CONCEPTS_AT_ONCE, channels))
        share = np.nan_to_num(store.normalised(layer, concepts=block))
        relevance[:, block] = _means(_sums(share, number, len(classes)), targets)
        if store.holds(layer, "inside"):
            outside[:, block] = _outside(store, layer, block, number, len(classes))
    return LayerProfile(layer, classes, targets, relevance, outside)


def _outside(store, layer, block, number, count):
    """Share outside the object, (K + 1, C), as the context tables define it.

    What lands inside is compared with what lands anywhere, where a store has recorded that:
    biases on the way take a part of a concept's relevance.
    """
    inside = store.read(layer, "inside", concepts=block).astype(np.float64)
    whole = "landed" if store.holds(layer, "landed") else "relevance"
    total = store.read(layer, whole, concepts=block).astype(np.float64)
    known = np.isfinite(inside) & (total > 0)
    total = _sums(np.where(known, total, 0), number, count)
    within = _sums(np.where(known, inside, 0), number, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.clip(1 - within / total, 0, 1)
    return np.where(total > 0, score, np.nan)


def _sums(values, number, count):
    """Sums over the targets of each class, and over all: (K + 1, C)."""
    member = (number == np.arange(count)[:, None]).astype(np.float64)
    sums = member @ values
    return np.vstack([sums, sums.sum(axis=0)])


def _means(sums, targets):
    counts = np.append(targets, targets.sum())
    return sums / np.maximum(counts, 1)[:, None]
