"""Which interventions are made, on which objects, within the budget of forward passes."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lcrp.configuration import Effect
from lcrp.context import ContextTables
from lcrp.datasets.sample import Sample, Thing
from lcrp.effect.proposals import Switch, co_occurring, context_switch, proposed_pairs
from lcrp.effect.reader import Reader
from lcrp.effect.recognised_objects import Pictures, RecognisedObject, find_recognised

# Of the budget, at most this share finds out which objects are recognised.
FIRST_LOOK = 0.25
# How many objects are looked at for each that is wanted: some are not recognised.
SPARE = 1.5

ObjectsByClass = Mapping[int, Mapping[int, Sequence[Thing]]]


@dataclass
class Intervention:
    """An intervention that may be made.

    Attributes:
        kind: "background", "thing" or "concepts".
        class_index: of the class that is asked about.
        thing: what is painted over, else empty.
        switch: the concepts that are switched off, else None.
        subjects: the recognised objects that it is made on.
        note: why it is not made, else empty.
    """

    kind: str
    class_index: int
    thing: str = ""
    switch: Switch | None = None
    subjects: list[RecognisedObject] = field(default_factory=list)
    note: str = ""

    def passes(self, images: int, donors: int) -> int:
        """Images that the model is shown, on at most so many objects and with so many donors."""
        number = min(images, len(self.subjects))
        return number * {"background": 2 * donors + 3, "thing": 2, "concepts": 2}[self.kind]


def plan_interventions(
    reader: Reader,
    pictures: Pictures,
    samples: Sequence[Sample],
    objects: ObjectsByClass,
    tables: ContextTables | None,
    settings: Effect,
    progress: Callable[[list], Iterable] = iter,
) -> tuple[list[Intervention], int]:
    """All interventions that the annotations and the context tables propose.

    The model is shown the untouched images, to find the objects that it recognises.

    Args:
        reader: of the model.
        pictures: of the samples.
        samples: annotated ones.
        objects: {class index: {sample number: things}}, those that are asked about.
        tables: propose things and concepts; None leaves that to co-occurrence.
        settings: of the measurement.
        progress: wraps the numbers of the samples that are looked at.

    Returns:
        The interventions, those that cannot be made with a note; and on how many objects at
        most each is made, so that the budget is kept.
    """
    classes = reader.model.classes
    met = co_occurring(samples, objects, classes, settings.minimum_images)
    scores = None if tables is None else tables.pairs
    pairs = proposed_pairs(met, scores, classes, settings.things)
    wanted = _wanted(objects, pairs, settings)
    looked = {index: numbers for index, numbers in wanted.items() if numbers is not None}
    found, reasons = find_recognised(reader, pictures, objects, looked, settings.seed, progress)

    def propose(kind, index, beside=None, note="", **what):
        subjects = found.get(index, [])
        if beside is not None:
            subjects = [subject for subject in subjects if subject.number in beside]
        if not note and wanted[index] is None:
            note = _beyond(settings)
        note = note or _too_few(len(subjects), reasons.get(index, {}), settings.minimum_images)
        return Intervention(kind, index, subjects=subjects, note=note, **what)

    interventions = [propose("background", index) for index in objects]
    interventions += [
        propose("thing", index, set(pair.numbers), thing=pair.thing)
        for index in objects
        for pair in pairs[index]
    ]
    interventions += [
        propose("concepts", index, note=switch.note, switch=switch)
        for index in objects
        for switch in _switches(tables, classes[index], settings.concepts)
    ]
    left = settings.passes - reader.passes
    return interventions, _within_budget(interventions, left, settings)


def _wanted(objects, pairs, settings):
    """{class index: numbers of samples to look at}, those first whose background is replaced.

    None for a class that the budget does not allow to look at.
    """
    drawn = {
        index: np.random.default_rng([settings.seed, index]).permutation(sorted(numbers))
        for index, numbers in objects.items()
    }
    budget = FIRST_LOOK * settings.passes
    for images in range(math.ceil(SPARE * settings.images), settings.minimum_images - 1, -1):
        wanted = {index: list(numbers[:images]) for index, numbers in drawn.items()}
        for index, proposed in pairs.items():
            for pair in proposed:
                both = set(pair.numbers)
                wanted[index] += [n for n in drawn[index] if n in both][:images]
        if len(set().union(*wanted.values(), ())) <= budget:
            break
    else:
        wanted = _most_classes(drawn, budget, settings.minimum_images)
    return {
        index: None if numbers is None else [int(n) for n in dict.fromkeys(numbers)]
        for index, numbers in wanted.items()
    }


def _most_classes(drawn, budget, images):
    """So many samples per class, of as many classes as the budget allows to look at."""
    wanted, looked = {}, set()
    for index, numbers in drawn.items():
        own = list(numbers[:images])
        if len(looked.union(own)) <= budget:
            wanted[index] = own
            looked.update(own)
        else:
            wanted[index] = None
    return wanted


def _too_few(number: int, reasons: Mapping[str, int], minimum: int) -> str:
    if number >= minimum:
        return ""
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"{number} recognised objects, the minimum is {minimum}{f' ({why})' if why else ''}"


def _switches(tables: ContextTables | None, name: str, most: int) -> list[Switch]:
    if tables is None:
        return []
    table = tables.concepts(name)
    switches = [
        context_switch(table[table["layer"] == layer], layer, most) for layer in tables.layers
    ]
    return [switch for switch in switches if switch is not None]


def _within_budget(interventions, left, settings):
    """Objects per intervention, so that the budget is kept; those beyond it get a note."""
    possible = [intervention for intervention in interventions if not intervention.note]
    for images in range(settings.images, settings.minimum_images - 1, -1):
        if sum(one.passes(images, settings.donors) for one in possible) <= left:
            return images
    for intervention in possible:
        left -= intervention.passes(images, settings.donors)
        if left < 0:
            intervention.note = _beyond(settings)
    return images


def _beyond(settings):
    return f"beyond the budget of {settings.passes} forward passes"
