"""Context ablation: a class's context concepts switched off one after the other.

As in Dreyer et al., arXiv 2211.11426: the relative change of the class's logit, apart for images
with and without the thing that the concepts are thought to stand for. And the direct test: the
thing itself painted over.
"""

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from lcrp.attribution import Explainer
from lcrp.configuration import Effect, parse_entries
from lcrp.context import ContextTables
from lcrp.datasets.sample import Sample
from lcrp.effect.proposals import context_switch
from lcrp.effect.reader import THRESHOLD, Reader
from lcrp.effect.recognised_objects import Pictures, annotated_objects, find_recognised, things_of
from lcrp.effect.regions import Regions
from lcrp.errors import InputError, nearest

ABLATION_COLUMNS = {
    "images": "with: those that show the thing; without: those that do not",
    "step": "number of concepts that are off",
    "off": "the concepts that are off, separated by spaces; `thing` where it is painted over",
    "number": "number of images",
    "change": "mean relative change of the class's logit against the untouched image",
    "error": "its standard error",
    "probability": "mean probability of the class",
}


def ablate_context(
    explainer: Explainer,
    samples: Iterable[Sample],
    label: str,
    thing: str,
    layer: str,
    concepts: Sequence[int] | None = None,
    tables: ContextTables | None = None,
    settings: Effect | dict | None = None,
    progress: Callable[[list], Iterable] = iter,
) -> pd.DataFrame:
    """Switch off a class's context concepts one by one.

    Args:
        explainer: of the model.
        samples: annotated ones, in the classes of the model.
        label: name of the class.
        thing: what the concepts are thought to stand for: a class, or annotated stuff.
        layer: whose concepts they are.
        concepts: in this order; None takes those with most of the class's context relevance.
        tables: needed where no concepts are given.
        settings: of the measurement; `images` is taken of each group.
        progress: wraps the list of steps, for images with the thing and for those without.

    Returns:
        One row per step and group, columns as in `ABLATION_COLUMNS`.

    Raises:
        InputError: for an unknown class, thing, layer or concept, or without recognised objects.
    """
    settings = parse_entries(Effect, settings, "effect")
    samples, model = list(samples), explainer.model
    if label not in model.classes:
        raise InputError(f"class {label!r}: unknown; use {nearest(label, model.classes)}")
    (layer,) = explainer.select([layer])
    concepts = _concepts(explainer, layer, concepts, label, tables, settings)
    own = annotated_objects(samples).get(model.classes.index(label), {})
    shown = {n for n in own if thing in things_of(samples[n])}
    names = sorted({name for sample in samples for name in things_of(sample)})
    if thing not in names:
        raise InputError(
            f"thing {thing!r}: not annotated in any image; use {nearest(thing, names)}"
        )
    groups = _groups(explainer, samples, label, own, shown, settings)
    reader = Reader(explainer, THRESHOLD)
    regions = Regions(groups["pictures"], samples, settings)
    rows = []
    steps = [concepts[:count] for count in range(1, len(concepts) + 1)]
    for name in ("with", "without"):
        subjects = groups[name]
        rows.append(_row(name, 0, "", subjects, [s.before for s in subjects]))
        for off in progress(steps):
            looks = (s.look(groups["pictures"][s.number].pixels) for s in subjects)
            readings = [reading for _, reading in reader.read(looks, {layer: off})]
            rows.append(_row(name, len(off), " ".join(map(str, off)), subjects, readings))
    painted = [s for s in groups["with"] if regions.of(s, thing).any()]
    looks = (s.look(regions.painted(s, regions.of(s, thing))) for s in painted)
    readings = [reading for _, reading in reader.read(looks)]
    rows.append(_row("with", 0, "thing", painted, readings))
    return pd.DataFrame(rows, columns=list(ABLATION_COLUMNS))


def _concepts(explainer, layer, concepts, label, tables, settings):
    if concepts is None:
        if tables is None:
            raise InputError("concepts: none given, and no context tables that propose some")
        switch = context_switch(tables.concepts(label, [layer]), layer, max(settings.concepts, 1))
        if switch is None:
            raise InputError(f"class {label!r}: no concept of {layer} has a context score")
        concepts = switch.concepts
    channels = explainer.layers[layer]
    for concept in concepts:
        if not 0 <= concept < channels:
            raise InputError(f"concept {concept}: {layer} has {channels}, counted from 0")
    return [int(concept) for concept in concepts]


def _groups(explainer, samples, label, own, shown, settings):
    """Recognised objects in images with and without the thing, and the pictures of all."""
    index = explainer.model.classes.index(label)
    pictures = Pictures(explainer.model, samples)
    reader = Reader(explainer, THRESHOLD)
    random = np.random.default_rng([settings.seed, index])
    groups = {"pictures": pictures}
    for name, numbers in (("with", shown), ("without", own.keys() - shown)):
        drawn = [int(n) for n in random.permutation(sorted(numbers))[: 2 * settings.images]]
        found, _ = find_recognised(reader, pictures, {index: own}, {index: drawn}, settings.seed)
        groups[name] = found[index][: settings.images]
    if not groups["with"]:
        raise InputError(
            f"class {label!r}: recognised in no image that shows the thing; choose another pair"
        )
    return groups


def _row(images, step, off, subjects, readings):
    before = np.array([subject.before.logit for subject in subjects])
    after = np.array([reading.logit for reading in readings])
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (after - before) / np.abs(before)
    change = change[np.isfinite(change)]
    several = len(change) > 1
    return {
        "images": images,
        "step": step,
        "off": off,
        "number": len(subjects),
        "change": change.mean() if len(change) else np.nan,
        "error": change.std(ddof=1) / np.sqrt(len(change)) if several else np.nan,
        "probability": np.mean([r.probability for r in readings]) if readings else np.nan,
    }


def draw_ablation(table: pd.DataFrame, title: str, path: str | os.PathLike) -> None:
    """Draw the curves of a table of `ablate_context`; the ending of the path decides the format."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(5.2, 3.6), layout="constrained")
    styles = {"with": ("#D55E00", "o-"), "without": ("#0072B2", "s--")}
    for name, (colour, line) in styles.items():
        rows = table[(table["images"] == name) & (table["off"] != "thing")]
        if not rows["number"].any():
            continue
        panel.errorbar(
            rows["step"], 100 * rows["change"], 100 * rows["error"].fillna(0), fmt=line,
            color=colour, capsize=3, label=f"images {name} it ({rows['number'].iloc[0]})",
        )  # fmt: skip
    painted = table[table["off"] == "thing"].iloc[0]
    if painted["number"]:
        panel.axhline(
            100 * painted["change"], color="#4D4D4D", ls=":",
            label=f"painted over ({painted['number']})",
        )  # fmt: skip
    off = table.loc[table["step"].idxmax(), "off"].split()
    panel.set_xticks(range(len(off) + 1), ["none", *(f"+ {concept}" for concept in off)])
    panel.set_xlabel("concepts switched off")
    panel.set_ylabel("change of the logit, %")
    panel.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    panel.set_title(title, fontsize=11, parse_math=False)  # a class may be called `$`
    panel.legend(fontsize=9)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
