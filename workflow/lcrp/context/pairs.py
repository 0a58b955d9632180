"""Which other things the relevance of a class lies on, and whether more than area would give."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lcrp.context.context_columns import CONTEXT_COLUMNS, NONE, UNLABELLED_NAME
from lcrp.context.scores import ClassRows, Settings
from lcrp.resampling import ImageBootstrap, sign_flip
from lcrp.store import ConceptStore

DRAWS = 4000


def pair_table(
    store: ConceptStore,
    classes: Sequence[ClassRows],
    sums: object,
    on_thing: np.ndarray,
    settings: Settings,
    bootstrap: ImageBootstrap,
    explain: Callable[[ClassRows], str],
) -> pd.DataFrame:
    """The table of pairs: a row for every thing beside a class, and one for the unlabelled rest.

    Args:
        store: merged.
        classes: rows of all classes.
        sums: has `total` and `inside`, (T,) positive relevance of all layers.
        on_thing: (P,) the part on the thing of each of the store's pairs.
        settings: of the tables.
        bootstrap: of the classes' images.
        explain: why a class has no score.

    Returns:
        Columns as in `CONTEXT_COLUMNS["pairs"]`.
    """
    things = _RelevanceOnThings(store, sums, on_thing)
    columns = list(CONTEXT_COLUMNS["pairs"])
    rows = []
    for chosen in classes:
        if not len(chosen.rows) or not len(store.pairs):
            continue
        for thing in [*things.beside(chosen), None]:
            row = dict.fromkeys(columns, np.nan)
            row |= {"class": store.classes[chosen.index], "note": ""}
            row["thing"] = UNLABELLED_NAME if thing is None else store.classes[thing]
            on, expected, there = things.of(thing)
            targets = chosen.scored[there[chosen.scored]]
            both = np.zeros(len(chosen.starts), bool)
            if chosen.images:
                both = np.logical_or.reduceat(there[chosen.scored], chosen.starts)
            row |= {"targets": len(targets), "images": int(both.sum())}
            rows.append(row)
            if chosen.note != NONE:
                row["note"] = explain(chosen)
                continue
            row["together"] = both.mean()
            if len(targets) < settings.minimum_targets:
                row["note"] = (
                    f"{len(targets)} scored targets with both, "
                    f"the minimum is {settings.minimum_targets}"
                )
                continue
            whole, part, null = (chosen.per_image(v) for v in (sums.total, on, expected))
            if not whole.sum() > 0:
                row["note"] = "no positive relevance"
                continue
            row["share"] = part.sum() / whole.sum()
            row["share_together"] = part[both].sum() / whole[both].sum()
            low, high = bootstrap.interval(
                chosen.index, (whole - part)[:, None], whole[:, None], settings.confidence
            )
            row["low"], row["high"] = low[0], high[0]
            if not np.isfinite(null).all():
                row["note"] = "the area of its things was not recorded"
                continue
            row["expected"] = null.sum() / whole.sum()
            if row["expected"] > 0:
                row["lift"] = row["share"] / row["expected"]
            row["p"] = chance_of_excess((part - null)[both], settings.seed)
    return pd.DataFrame(rows, columns=columns)


class _RelevanceOnThings:
    """Relevance of every target on every other thing of its image, seen thing by thing."""

    def __init__(self, store, sums, on_thing):
        pairs, targets = store.pairs, len(store.targets)
        self._target = pairs["target"].to_numpy() if len(pairs) else np.empty(0, int)
        self._thing = pairs["thing"].to_numpy() if len(pairs) else np.empty(0, int)
        self._area = pairs["area"].to_numpy() if "area" in pairs else np.full(len(pairs), np.nan)
        self._on = on_thing
        self._outside = sums.total - sums.inside
        unknown = np.full(targets, np.nan)
        background = store.targets.get("background", pd.Series(unknown)).to_numpy(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._density = np.where(background > 0, self._outside / background, np.nan)
        self._background = background

    def beside(self, chosen):
        """Things of the images of a class's scored targets."""
        return np.unique(self._thing[np.isin(self._target, chosen.scored)])

    def of(self, thing):
        """(T,) relevance on a thing, the expected one, and whether the image has the thing."""
        count = len(self._outside)
        rows = slice(None) if thing is None else np.flatnonzero(self._thing == thing)
        target = self._target[rows]
        on = np.bincount(target, self._on[rows], count)
        area = np.bincount(target, self._area[rows], count)
        there = np.bincount(target, minlength=count) > 0
        if thing is None:
            area = self._background - area
            on = np.maximum(self._outside - on, 0)
            there = np.ones(count, bool)
        return on, np.where(there, self._density * area, 0.0), there


def chance_of_excess(excess: np.ndarray, seed: int = 0) -> float:
    """How often random signs give as large a sum.

    Args:
        excess: (n,) relevance on a thing beyond the expected, one per image.
        seed: of the random signs.

    Returns:
        The p-value; NaN for fewer than two images.
    """
    if len(excess) < 2:
        return np.nan
    random = np.random.default_rng([seed, len(excess)])
    return sign_flip(excess, random, DRAWS, np.int64)
