"""Shares of whole predictions, whichever layers their relevance passes, compared by size."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcrp.context.context_columns import NONE
from lcrp.context.scores import ClassRows, Settings
from lcrp.resampling import ImageBootstrap
from lcrp.store import ConceptStore
from lcrp.store.format import WHOLE_COLUMNS

# With how many predictions of similar size one is compared.
NEIGHBOURS = 20
OLD_STORE = (
    "the store is of schema version 1, which lacks shares of whole predictions; delete it and run "
    "again to have them"
)


class WholePredictions:
    """Where the relevance of the T whole predictions of a store lands.

    Attributes:
        recorded: whether the store says so; else all numbers are NaN.
        old: whether it is of a schema version that does not.
        landed: (T,) relevance that lands anywhere in the input.
        inside: (T,) that lands inside the object.
        near: (T,) that lands inside the object or within 1.5 times its size.
        reaches_input: (T,) share of the initial relevance that lands; biases absorb the rest.
    """

    def __init__(self, store: ConceptStore):
        targets = store.targets
        self.recorded = all(name in targets for name in WHOLE_COLUMNS)
        self.old = store.attrs["schema"] < 2
        nothing = np.full(len(targets), np.nan)
        values = {n: targets[n].to_numpy() if self.recorded else nothing for n in WHOLE_COLUMNS}
        self.landed, self.inside = values["landed"], values["landed_inside"]
        self.near = self.inside + values["landed_to_1_5"]
        self.reaches_input = shares(self.landed, values["started"])
        self._classes = targets["class"].to_numpy()
        self._area = targets["object_share"].to_numpy() if "object_share" in targets else nothing

    @property
    def outside(self) -> np.ndarray:
        """(T,) share of what lands that lies outside the object; NaN where undefined."""
        return 1 - shares(self.inside, self.landed)

    @property
    def far(self) -> np.ndarray:
        """(T,) share of what lands that lies beyond 1.5 times the size of the object."""
        return 1 - shares(self.near, self.landed)

    def compared(self, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The share outside beside those of other classes' predictions of similar size.

        Args:
            scored: (T,) bool, the targets that have a score.

        Returns:
            (T,) the median share of the 20 others nearest in area (on a logarithmic scale), and
            the share of these that the target's exceeds (equal ones count half); NaN where there
            are fewer.
        """
        share = self.outside
        known = np.flatnonzero(scored & np.isfinite(share) & (self._area > 0))
        area, classes = np.log(self._area[known]), self._classes[known]
        expected, unusual = np.full(len(share), np.nan), np.full(len(share), np.nan)
        for row, own_area, own_class in zip(known, area, classes, strict=True):
            others = np.flatnonzero(classes != own_class)
            if len(others) < NEIGHBOURS:
                continue
            order = np.argsort(np.abs(area[others] - own_area), kind="stable")[:NEIGHBOURS]
            found = share[known[others[order]]]
            expected[row] = np.median(found)
            unusual[row] = np.mean(found < share[row]) + np.mean(found == share[row]) / 2
        return expected, unusual


def shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; NaN where the whole is not positive."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


_OF_CLASSES = ("outside", "outside_low", "outside_high", "far", "far_low", "far_high")


def with_medians(
    table: pd.DataFrame,
    classes: Sequence[ClassRows],
    reaches_input: np.ndarray | None = None,
    passes: np.ndarray | None = None,
) -> pd.DataFrame:
    """A table of classes with the columns of whole predictions, of which only medians are filled.

    Args:
        table: one row per class.
        classes: the rows of each.
        reaches_input: (T,), or None to leave that column empty.
        passes: likewise.
    """
    columns = dict.fromkeys(_OF_CLASSES, np.nan)
    for name, values in (("reaches_input", reaches_input), ("passes", passes)):
        columns[name] = np.nan
        if values is not None:
            columns[name] = [_median(values[own.scored]) for own in classes]
    return table.assign(**columns)


def add_shares(
    table: pd.DataFrame,
    classes: Sequence[ClassRows],
    whole: WholePredictions,
    settings: Settings,
    bootstrap: ImageBootstrap,
) -> None:
    """Write the shares of whole predictions, with their intervals, into a table of classes."""
    for row, chosen in enumerate(classes):
        if chosen.note != NONE:
            continue
        if whole.old:
            table.loc[row, "note"] = table.loc[row, "note"] or OLD_STORE
        landed = chosen.per_image(whole.landed)
        if not landed.sum() > 0:
            continue
        for name, kept in (("outside", whole.inside), ("far", whole.near)):
            inside = chosen.per_image(kept)
            low, high = bootstrap.interval(
                chosen.index, inside[:, None], landed[:, None], settings.confidence
            )
            ends = [1 - inside.sum() / landed.sum(), low[0], high[0]]
            table.loc[row, [name, f"{name}_low", f"{name}_high"]] = ends


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else np.nan
