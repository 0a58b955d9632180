"""Context scores of all concepts of a layer, for all classes at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcrp.configuration import Context
from lcrp.context.context_columns import FEW, NO_RELEVANCE, NONE
from lcrp.object_masks import MET, NOTHING, UNLABELLED
from lcrp.resampling import ImageBootstrap
from lcrp.store import ConceptStore

# Stored numbers are rounded: a share may exceed its bounds by that much and still be exact.
TOLERANCE = 2.0**-9

# How many things a concept's outside relevance is said to lie on, and the least share worth it.
THINGS = 3
LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Settings:
    """How the tables are made.

    minimum_targets: classes with fewer scored targets get no score. minimum_iou: targets whose
    prediction overlaps the annotated object less have no score: their object is not known.
    relmax_targets: how many of the best targets the paper's average takes. draws, confidence,
    seed: of the bootstrap. leading: number of leading concepts and of references that are named.
    """

    minimum_targets: int = Context().minimum_targets
    minimum_iou: float = MET
    relmax_targets: int = 15
    draws: int = 1000
    confidence: float = 0.95
    seed: int = 0
    leading: int = 5


@dataclass
class ClassRows:
    """The targets of one class.

    Attributes:
        index: of the class.
        rows: of its targets in the store.
        scored: rows of those with a score, sorted, so that those of an image follow each other.
        starts: places in `scored` where another image begins.
        note: why the class has no score, an index into `NOTES`.
    """

    index: int
    rows: np.ndarray
    scored: np.ndarray
    starts: np.ndarray
    note: int

    @property
    def images(self) -> int:
        """Number of images of the scored targets."""
        return len(self.starts)

    def per_image(self, values: np.ndarray) -> np.ndarray:
        """Sums over the scored targets of each image: (T, ...) of the store to (images, ...)."""
        if not self.images:
            return values[:0]
        return np.add.reduceat(values[self.scored], self.starts, axis=0)


@dataclass
class LayerScores:
    """Of one layer with C concepts, for K classes, T targets and P pairs of target and thing.

    Attributes:
        relevance: (K, C) float32, mean relevance.
        share: (K, C) float32, mean normalised relevance.
        context_score: (K, C) float32.
        context_low: (K, C) float32, lower end of its interval.
        context_high: (K, C) float32, upper end.
        context_score_relmax: (K, C) float32, mean score of the best targets.
        relmax_targets: (K, C) int32, number of these.
        exact: (K, C) bool, whether the score is a share of positive relevance.
        note: (K, C) int8, why there is no score, indices into `NOTES`.
        outside: (K, C) float32, share of the class's outside relevance in the layer.
        thing: (K, N, C) int16, the N things with most of the relevance outside the object: class
            indices, `UNLABELLED` or `NOTHING`.
        thing_share: (K, N, C) float32, their shares of it.
        on_thing: (P,) float64, positive relevance of all concepts that lies on the thing.
        total: (T,) float64, positive relevance of all concepts.
        inside: (T,) float64, the part of it inside the object.
        leading_share: (T,) float32, largest normalised relevance of a concept outside the object.
        leading_concept: (T,) int32, that concept.
        signed: (T,) bool, whether some relevance is negative.
    """

    relevance: np.ndarray
    share: np.ndarray
    context_score: np.ndarray
    context_low: np.ndarray
    context_high: np.ndarray
    context_score_relmax: np.ndarray
    relmax_targets: np.ndarray
    exact: np.ndarray
    note: np.ndarray
    outside: np.ndarray
    thing: np.ndarray
    thing_share: np.ndarray
    on_thing: np.ndarray
    total: np.ndarray
    inside: np.ndarray
    leading_share: np.ndarray
    leading_concept: np.ndarray
    signed: np.ndarray


def _empty_scores(classes, channels, targets, pairs):
    floats = ("relevance", "share", "context_score", "context_low", "context_high")
    floats = (*floats, "context_score_relmax", "outside")
    return LayerScores(
        **{name: np.full((classes, channels), np.nan, np.float32) for name in floats},
        relmax_targets=np.zeros((classes, channels), np.int32),
        exact=np.ones((classes, channels), bool),
        note=np.full((classes, channels), NONE, np.int8),
        thing=np.full((classes, THINGS, channels), NOTHING, np.int16),
        thing_share=np.full((classes, THINGS, channels), np.nan, np.float32),
        on_thing=np.zeros(pairs),
        total=np.zeros(targets),
        inside=np.zeros(targets),
        leading_share=np.full(targets, -np.inf, np.float32),
        leading_concept=np.full(targets, -1, np.int32),
        signed=np.zeros(targets, bool),
    )


class ThingsBeside:
    """Targets and the other things of their images; which of them count for which class.

    Args:
        table: the store's pairs.
        classes: whose targets count.
    """

    def __init__(self, table: pd.DataFrame, classes: Sequence[ClassRows]):
        count = len(table)
        self.target = table["target"].to_numpy() if count else np.empty(0, np.int64)
        self.thing = table["thing"].to_numpy() if count else np.empty(0, np.int64)
        self._rows = []
        for rows in classes:
            chosen = np.flatnonzero(np.isin(self.target, rows.scored))
            self._rows.append(chosen[np.argsort(self.thing[chosen], kind="stable")])

    def __len__(self):
        return len(self.target)

    def of_class(self, number, values):
        """Things of the scored targets of a class (K,), and the sums of values (P, ...) on each."""
        rows = self._rows[number]
        things, starts = np.unique(self.thing[rows], return_index=True)
        if not len(rows):
            return things, np.zeros((0, *values.shape[1:]))
        return things, np.add.reduceat(values[rows], starts, axis=0)


def _clean(values):
    return np.where(np.isfinite(values), values, 0.0)


def score_layer(
    store: ConceptStore,
    layer: str,
    classes: Sequence[ClassRows],
    settings: Settings,
    bootstrap: ImageBootstrap | None = None,
) -> LayerScores:
    """Context scores of all concepts of a layer: the definition that tables and figures share.

    The score of a concept is 1 - sum(inside) / sum(whole) over all scored targets of a class in
    which the latter is positive. `whole` is `landed` (the concept's relevance that reaches the
    input at all) where that was recorded, else `relevance`.

    Args:
        store: merged, with `inside` recorded.
        layer: name.
        classes: those that are scored.
        settings: of the tables.
        bootstrap: of their images; made where none is given.
    """
    bootstrap = bootstrap or ImageBootstrap(
        {c.index: c.images for c in classes}, settings.draws, settings.seed
    )
    opened = store.layer(layer)
    pairs = ThingsBeside(
        store.pairs if store.holds(layer, "on_thing") else store.pairs[:0], classes
    )
    scores = _empty_scores(len(classes), opened.channels, len(store.targets), len(store.pairs))
    sums = store.read(layer, "absolute_sum")
    width = opened.relevance.chunks[1]
    for start in range(0, opened.channels, width):
        part = slice(start, min(start + width, opened.channels))
        relevance = store.read(layer, "relevance", concepts=part).astype(np.float64)
        inside = store.read(layer, "inside", concepts=part).astype(np.float64)
        whole = relevance
        if store.holds(layer, "landed"):
            whole = store.read(layer, "landed", concepts=part).astype(np.float64)
        block = _Block(relevance, whole, inside, sums)
        block.add_to_targets(scores, start)
        if len(pairs):
            on_thing = store.read(layer, "on_thing", concepts=part).astype(np.float64)
            block.add_things(scores, pairs, on_thing, classes, part)
        for number, rows in enumerate(classes):
            best = store.best_rows(layer, rows.index, part)
            block.score_class(scores, number, rows, part, best, settings, bootstrap)
    for number, rows in enumerate(classes):
        total = np.nansum(scores.outside[number])
        if rows.images and total > 0:
            scores.outside[number] /= total
    return scores


class _Block:
    """Some concepts of a layer, for all targets."""

    def __init__(self, relevance, whole, inside, sums):
        known = np.isfinite(relevance) & np.isfinite(whole) & np.isfinite(inside)
        slack = TOLERANCE * np.abs(whole)
        self.outlying = known & (
            (relevance < 0) | (whole < 0) | (inside < -slack) | (inside > whole + slack)
        )
        self.counted = known & (whole > 0)
        self.total = np.where(self.counted, whole, 0.0)
        self.inside = np.where(self.counted, inside, 0.0)
        self.relevance = relevance
        self.share = relevance / np.where(sums == 0, 1.0, sums)[:, None]

    def add_to_targets(self, scores, start):
        scores.total += self.total.sum(axis=1)
        scores.inside += self.inside.sum(axis=1)
        scores.signed |= self.outlying.any(axis=1)
        if not self.total.size:
            return
        ratio = np.divide(
            self.total - self.inside,
            self.total,
            out=np.zeros_like(self.total),
            where=self.counted,
        )
        outside = np.where(self.counted, ratio * np.abs(_clean(self.share)), -np.inf)
        leading = outside.argmax(axis=1)
        value = np.take_along_axis(outside, leading[:, None], 1)[:, 0]
        better = value > scores.leading_share
        scores.leading_share[better] = value[better]
        scores.leading_concept[better] = leading[better] + start

    def add_things(self, scores, pairs, on_thing, classes, part):
        """What lies on other things: per pair, and per class and concept the largest shares."""
        on_thing = np.where(self.counted[pairs.target], _clean(on_thing), 0.0)
        scores.on_thing += on_thing.sum(axis=1)
        for number, rows in enumerate(classes):
            things, sums = pairs.of_class(number, on_thing)
            if rows.note not in (NONE, FEW) or not rows.images:
                continue
            outside = (self.total - self.inside)[rows.scored].sum(axis=0)
            # What is left to unlabelled ground may fall below zero by rounding.
            rest = np.maximum(outside - sums.sum(axis=0), 0)
            sums = np.vstack([sums, rest])
            things = np.append(things, UNLABELLED)
            share = np.divide(sums, outside, out=np.zeros_like(sums), where=outside > 0)
            best = np.argsort(-share, axis=0, kind="stable")[:THINGS]
            largest = np.take_along_axis(share, best, 0)
            there = largest > LEAST_SHARE
            scores.thing[number, : len(best), part] = np.where(there, things[best], NOTHING)
            scores.thing_share[number, : len(best), part] = np.where(there, largest, np.nan)

    def score_class(self, scores, number, rows, part, best, settings, bootstrap):
        place = (number, part)
        finite = rows.rows[np.isfinite(self.share[rows.rows]).all(axis=1)]
        if finite.size:
            scores.relevance[place] = self.relevance[finite].mean(axis=0)
            scores.share[place] = self.share[finite].mean(axis=0)
        scores.note[place] = rows.note
        if rows.note not in (NONE, FEW) or not rows.images:
            return
        scores.exact[place] = ~self.outlying[rows.scored].any(axis=0)
        inside, total = rows.per_image(self.inside), rows.per_image(self.total)
        scores.outside[place] = np.maximum(total.sum(axis=0) - inside.sum(axis=0), 0)
        if rows.note == FEW:
            return
        with np.errstate(invalid="ignore"):
            score = 1 - inside.sum(axis=0) / total.sum(axis=0)
        low, high = bootstrap.interval(rows.index, inside, total, settings.confidence)
        exact = scores.exact[place]
        for name, values in (
            ("context_score", score),
            ("context_low", low),
            ("context_high", high),
        ):
            getattr(scores, name)[place] = np.where(exact, np.clip(values, 0, 1), values)
        scores.note[place] = np.where(np.isnan(score), NO_RELEVANCE, NONE)
        mean, count = self._over_best(rows, best, settings.relmax_targets)
        scores.context_score_relmax[place] = np.where(exact, np.clip(mean, 0, 1), mean)
        scores.relmax_targets[place] = count

    def _over_best(self, rows, best, targets):
        """Mean of the scores of the best targets that have one, and how many these are."""
        usable = np.zeros(len(self.total), bool)
        usable[rows.scored] = True
        column = np.broadcast_to(np.arange(best.shape[1]), best.shape)
        there = (best >= 0) & usable[best] & self.counted[best, column]
        there &= np.cumsum(there, axis=0) <= targets
        total = np.where(there, self.total[best, column], 1.0)
        score = np.where(there, 1 - self.inside[best, column] / total, 0.0)
        count = there.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return score.sum(axis=0) / count, count
