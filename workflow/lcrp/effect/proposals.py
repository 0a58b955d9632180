"""What attribution and co-occurrence propose to intervene on: things and concepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd

from lcrp.datasets.sample import Sample, Thing
from lcrp.effect.recognised_objects import things_of


@dataclass(frozen=True)
class Proposal:
    """A class and a thing beside it.

    Attributes:
        class_index: of the class.
        thing: name of another class of objects, or of stuff.
        numbers: samples in which both are annotated.
        lift: how much more often they meet than their frequencies alone would have it.
    """

    class_index: int
    thing: str
    numbers: tuple[int, ...]
    lift: float


def co_occurring(
    samples: Sequence[Sample],
    objects: Mapping[int, Mapping[int, Sequence[Thing]]],
    classes: Sequence[str],
    minimum: int,
) -> dict[int, list[Proposal]]:
    """Per class the things that it meets, the most telling first, from the annotations alone.

    Ranked by images with both times the logarithm of their lift, which is what a pair adds to
    the mutual information of class and thing.

    Args:
        samples: list of samples.
        objects: `annotated_objects` of them.
        classes: names by class index.
        minimum: images with both.

    Returns:
        {class index: [`Proposal`]}
    """
    images = {}
    for number, sample in enumerate(samples):
        for name in things_of(sample):
            images.setdefault(name, set()).add(number)
    pairs = {}
    for index, own in objects.items():
        found = []
        for name, theirs in images.items():
            both = sorted(theirs & own.keys())
            if name == classes[index] or len(both) < max(minimum, 1):
                continue
            lift = len(both) * len(samples) / (len(own) * len(theirs))
            found.append(Proposal(index, name, tuple(both), lift))
        found.sort(key=lambda pair: (-len(pair.numbers) * np.log(pair.lift), pair.thing))
        pairs[index] = found
    return pairs


def proposed_pairs(
    met: Mapping[int, list[Proposal]],
    scores: pd.DataFrame | None,
    classes: Sequence[str],
    most: int,
) -> dict[int, list[Proposal]]:
    """Per class the pairs that are tested: in turn what attribution and co-occurrence name first.

    Args:
        met: {class index: [`Proposal`]} that `co_occurring` found, all of them.
        scores: table of pairs with `class`, `thing`, `share` (of the class's relevance that lies
            on the thing), or None: then co-occurrence proposes alone.
        classes: names by class index.
        most: pairs per class.

    Returns:
        {class index: [`Proposal`]}
    """
    if scores is None:
        return {index: pairs[:most] for index, pairs in met.items()}
    chosen = {}
    for index, pairs in met.items():
        by_name = {pair.thing: pair for pair in pairs}
        own = scores[(scores["class"] == classes[index]) & (scores["share"] > 0)]
        attributed = own.sort_values("share", ascending=False, kind="stable")["thing"]
        attributed = [by_name[name] for name in attributed if name in by_name]
        turns = [pair for turn in zip_longest(attributed, pairs) for pair in turn if pair]
        chosen[index] = list(dict.fromkeys(turns))[:most]
    return chosen


@dataclass(frozen=True)
class Switch:
    """Concepts of a layer that are switched off, and as relevant ones for comparison.

    Attributes:
        layer: name.
        concepts: leading context concepts: those with most relevance outside the object.
        control: concepts of as much relevance whose context score is below the median.
        shares: relevance of both, shares of the layer's.
        note: why there is no control, else empty.
    """

    layer: str
    concepts: tuple[int, ...]
    control: tuple[int, ...]
    shares: tuple[float, float]
    note: str = ""


def context_switch(table: pd.DataFrame, layer: str, most: int) -> Switch | None:
    """The concepts of a layer that most of a class's context relevance flows through.

    Args:
        table: rows of one class and layer, columns `concept`, `share`, `context_score`.
        layer: its name.
        most: how many.

    Returns:
        `Switch`, or None where no concept has a context score.
    """
    table = table[(table["share"] > 0) & table["context_score"].notna()]
    outside = (table["share"] * table["context_score"]).sort_values(ascending=False, kind="stable")
    outside = outside[outside > 0]
    if outside.empty or not most:
        return None
    leading = table.loc[outside.index[:most]]
    quiet = table.drop(leading.index)
    quiet = quiet[quiet["context_score"] < table["context_score"].median()]
    control = []
    for share in leading["share"].sort_values(ascending=False):
        if quiet.empty:
            break
        nearest = (quiet["share"] - share).abs().idxmin()
        control.append(quiet.loc[nearest])
        quiet = quiet.drop(nearest)
    shares = float(leading["share"].sum()), float(sum(row["share"] for row in control))
    note = "" if shares[1] >= shares[0] / 2 else "no concepts of low context score are as relevant"
    return Switch(
        layer,
        tuple(int(c) for c in leading["concept"]),
        tuple(int(row["concept"]) for row in control),
        shares,
        note,
    )
