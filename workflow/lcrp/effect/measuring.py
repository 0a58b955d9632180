"""Interventions on a dataset, and what they do to the model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcrp.attribution import Explainer
from lcrp.configuration import Effect, parse_entries
from lcrp.context import ContextTables
from lcrp.datasets.classes import background_classes
from lcrp.datasets.sample import Sample
from lcrp.effect import pixels as change
from lcrp.effect.effect_columns import EFFECT_COLUMNS
from lcrp.effect.outcome import Example, Outcome, observe
from lcrp.effect.planning import Intervention, ObjectsByClass, plan_interventions
from lcrp.effect.reader import THRESHOLD, Reader
from lcrp.effect.recognised_objects import Pictures, annotated_objects
from lcrp.effect.regions import Regions
from lcrp.effect.verdict import confirmed, judged

# The rows that stand for an intervention which is not made.
_NAMES = {"background": "other-class", "thing": "removed", "concepts": "switched-off"}


@dataclass
class Effects:
    """What was measured.

    Attributes:
        table: one row per intervention, columns as in `EFFECT_COLUMNS`.
        examples: per row of the table a list of `Example`, the most telling first.
        passes: images that the model was shown.
    """

    table: pd.DataFrame
    examples: list[list[Example]]
    passes: int


def measure_effects(
    explainer: Explainer,
    samples: Iterable[Sample],
    tables: ContextTables | None = None,
    settings: Effect | dict | None = None,
    progress: Callable[[list], Iterable] = iter,
) -> Effects:
    """The effects of backgrounds, of things and of context concepts on a model.

    Only objects that the model recognises are tested, one per image and class. Needs forward
    passes alone, at most `settings.passes`.

    Args:
        explainer: of the model.
        samples: annotated ones, in the classes of the model.
        tables: propose things and concepts; without them co-occurrence alone proposes things,
            and no concepts are switched off.
        settings: of the measurement.
        progress: wraps the list of images that are looked at, then that of the interventions.

    Raises:
        InputError: for settings that cannot be used.
    """
    settings = parse_entries(Effect, settings, "effect")
    samples, model = list(samples), explainer.model
    reader, pictures = Reader(explainer, THRESHOLD), Pictures(model, samples)
    found = annotated_objects(samples)
    objects = {i: found[i] for i in sorted(found.keys() - background_classes(model.classes))}
    interventions, images = plan_interventions(
        reader, pictures, samples, objects, tables, settings, progress
    )
    regions = Regions(pictures, samples, settings)
    world = _World(reader, pictures, regions, objects, len(samples), settings)
    rows, examples = [], []
    for intervention in progress(interventions):
        intervention.subjects = intervention.subjects[:images]
        for row, shown in _made(intervention, world):
            rows.append(row)
            examples.append(shown)
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    return Effects(confirmed(table, settings.floor, settings.alpha), examples, reader.passes)


@dataclass(frozen=True)
class _World:
    """What interventions are made in."""

    reader: Reader
    pictures: Pictures
    regions: Regions
    objects: ObjectsByClass
    samples: int
    settings: Effect

    def observe(self, subjects, changed, off=None) -> Outcome:
        return observe(self.reader, self.pictures, subjects, changed, self.settings.examples, off)

    def random(self, subject, *purpose) -> np.random.Generator:
        """Draws that depend on nothing but the object and what they are for."""
        return np.random.default_rng(
            [self.settings.seed, subject.class_index, subject.number, *purpose]
        )


Row = tuple[dict, Sequence[Example]]


def _made(intervention: Intervention, world: _World) -> list[Row]:
    """The rows of an intervention, each with its examples."""
    if intervention.note:
        return [(_row(intervention, world, _NAMES[intervention.kind]), [])]
    make = {"background": _replace_background, "thing": _remove_thing, "concepts": _switch_off}
    return make[intervention.kind](intervention, world)


def _replace_background(intervention, world):
    regions, subjects = world.regions, intervention.subjects
    shows = world.objects[intervention.class_index].keys()
    others = sorted(set(range(world.samples)) - shows)

    def donated(subject, numbers):
        return regions.donated(subject, numbers, world.random(subject, 2))

    kinds = {
        "other-class": lambda s: donated(s, others),
        "same-class": lambda s: donated(s, sorted(shows - {s.number})),
        "blur": lambda s: [regions.replaced(s, change.blurred)],
        "noise": lambda s: [regions.replaced(s, change.noisy, world.random(s, 1))],
        "mean": lambda s: [regions.replaced(s, change.plain)],
    }
    outcomes = {name: world.observe(subjects, changed) for name, changed in kinds.items()}
    boxes = sum(not subject.exact for subject in subjects)
    note = f"{boxes} cut out by their boxes, which carry context along" if boxes else ""
    rows = []
    for name, outcome in outcomes.items():
        control = outcomes["same-class"] if name == "other-class" else None
        said = note
        if control and not (outcome.complete and control.complete):
            missing = "without" if not outcome.complete else "with"
            said = f"no image {missing} the class to take a background from"
            control = None
        row = _row(intervention, world, name, outcome, control, said)
        rows.append((row, outcome.examples(world.settings.examples)))
    return rows


def _remove_thing(intervention, world):
    painted, elsewhere, subjects = {}, {}, []
    for subject in intervention.subjects:
        region = world.regions.of(subject, intervention.thing)
        control = world.regions.elsewhere(subject, region, world.random(subject, 3))
        if control is not None:
            painted[subject.number], elsewhere[subject.number] = region, control
            subjects.append(subject)
    minimum = world.settings.minimum_images
    if len(subjects) < minimum:
        intervention.note = (
            f"{len(subjects)} images leave room for a control, the minimum is {minimum}"
        )
        return [(_row(intervention, world, "removed"), [])]
    outcome, control = (
        world.observe(subjects, lambda s, where=where: [world.regions.painted(s, where[s.number])])
        for where in (painted, elsewhere)
    )
    row = _row(intervention, world, "removed", outcome, control)
    return [(row, outcome.examples(world.settings.examples))]


def _switch_off(intervention, world):
    switch = intervention.switch
    outcome, control = (
        world.observe(
            intervention.subjects,
            lambda s: [world.pictures[s.number].pixels],
            {switch.layer: channels},
        )
        for channels in (switch.concepts, switch.control)
    )
    note = "relevance {:.3g}, of the control {:.3g}".format(*switch.shares)
    return [(_row(intervention, world, "switched-off", outcome, control, note), [])]


def _row(intervention, world, name, outcome=None, control=None, note=""):
    """A row of the table of effects, but for what depends on all rows."""
    switch, model = intervention.switch, world.reader.model
    row = dict.fromkeys(EFFECT_COLUMNS, np.nan) | {
        "kind": intervention.kind,
        "intervention": name,
        "class": model.classes[intervention.class_index],
        "thing": intervention.thing,
        "layer": switch.layer if switch else "",
        "concepts": " ".join(map(str, switch.concepts)) if switch else "",
        "images": len(intervention.subjects),
        "note": intervention.note or note,
    }
    if outcome is None or not outcome.complete:
        return row | {"note": row["note"] or "no background to take"}
    return row | judged(outcome, control, model.task == "detection", world.settings)
