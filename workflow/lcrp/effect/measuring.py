"""Interventions on a dataset, and what they do to the model."""

import heapq
import math
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pandas as pd
from tqdm import tqdm

from lcrp.effect import pixels as change
from lcrp.effect.effect_columns import COLUMNS
from lcrp.effect.proposals import co_occurring, leading_concepts, proposed_pairs
from lcrp.effect.reader import Reader
from lcrp.effect.recognised_objects import Pictures, annotated_objects, find_subjects, things_of
from lcrp.effect.settings import EffectSettings
from lcrp.effect.statistics import contrast, holm

# Of the budget, at most this share finds out which objects are recognised.
FIRST_LOOK = 0.25
# How many objects are looked at for each that is wanted: some are not recognised.
SPARE = 1.5
# Donors are drawn from this many, those first whose own objects the pasted one does not cover.
DONORS_DRAWN = 12
# Pixels around an object that are painted over with it: its outline, as annotations are drawn.
EDGE = 2


@dataclass(frozen=True)
class Example:
    """An object before and after an intervention."""

    subject: object
    before: np.ndarray
    after: np.ndarray
    probability: float


@dataclass
class Effects:
    """What was measured.

    Attributes:
        table: one row per intervention, columns as in `COLUMNS`.
        examples: per row of the table a list of `Example`, the most telling first.
        passes: images that the model was shown.
    """

    table: pd.DataFrame
    examples: list[list[Example]]
    passes: int


@dataclass
class Test:
    """An intervention that may be made, and what came of it."""

    kind: str
    class_index: int
    thing: str = ""
    switch: object = None
    subjects: list = field(default_factory=list)
    note: str = ""

    def passes(self, images, donors):
        """Images that the model is shown for so many objects."""
        number = min(images, len(self.subjects))
        return number * {"background": 2 * donors + 3, "thing": 2, "concepts": 2}[self.kind]


def measure_effects(explainer, samples, tables=None, settings=None, progress=None):
    """The effects of backgrounds, of things and of context concepts on a model.

    Only objects that the model recognises are tested, one per image and class. Needs forward
    passes alone, at most `settings.passes`.

    Args:
        explainer: `lcrp.Explainer` of the model.
        samples: list of annotated samples in the classes of the model.
        tables: `lcrp.context.ContextTables` that propose things and concepts; without them
            co-occurrence alone proposes things, and no concepts are switched off.
        settings: `EffectSettings` or a dict of them.
        progress: show a bar; None shows it on terminals only.

    Returns:
        `Effects`.

    Raises:
        InputError: for settings that cannot be used.
    """
    if not isinstance(settings, EffectSettings):
        settings = EffectSettings(**(settings or {}))
    return _Measurement(explainer, samples, tables, settings, progress).run()


def confirmed(table, floor, alpha):
    """A table of effects with `p_adjusted` and `confirmed`.

    Backgrounds and things are one family of tests, concepts another, each corrected by Holm's
    method. What the context flows through is a question about classes that need their context:
    concepts are confirmed only where the background of their class is.
    """
    table = table.copy()
    concepts = table["kind"] == "concepts"
    table["p_adjusted"] = np.nan
    for family in (~concepts, concepts):
        table.loc[family, "p_adjusted"] = holm(table.loc[family, "p"].to_numpy(float))
    enough = table[["effect", "difference"]].min(axis=1, skipna=False) >= floor
    told = (table["p_adjusted"] <= alpha) & enough
    needy = set(table.loc[told & (table["intervention"] == "other-class"), "class"])
    idle = told & concepts & ~table["class"].isin(needy)
    table.loc[idle, "note"] += "; the class was not found to need its context"
    table["confirmed"] = told & ~idle
    return table


class Regions:
    """Which pixels of an image are an object's, a thing's, or the rest of the background.

    Args:
        pictures: `Pictures` of the samples.
        samples: list of them.
        settings: `EffectSettings`.
    """

    def __init__(self, pictures, samples, settings):
        self.pictures, self.samples, self.settings = pictures, samples, settings

    def cut_out(self, subject):
        """(H, W) bool: an object with its margin."""
        return change.grown(subject.mask, self.settings.margin)

    def of(self, subject, thing):
        """(H, W) bool: all of a thing that is beside an object."""
        picture = self.pictures[subject.number]
        region = np.zeros_like(subject.mask)
        for part in things_of(self.samples[subject.number]).get(thing, ()):
            mask, _ = picture.mask(part)
            # What stuff borders on is mostly other stuff, not an outline of its own.
            region |= mask if part.class_index < 0 else change.grown(mask, EDGE)
        return region & ~self._closed(subject)

    def elsewhere(self, subject, region, random):
        """As large a region elsewhere in the background; None without room for it."""
        return change.elsewhere(region, self._closed(subject), random)

    def painted(self, subject, region):
        """The image with a region painted over."""
        return change.painted_over(self.pictures[subject.number].pixels, region)

    def _closed(self, subject):
        closed = np.ones_like(subject.mask)
        content = self.pictures[subject.number].content
        closed[content] = self.cut_out(subject)[content]
        return closed


class _Measurement:
    def __init__(self, explainer, samples, tables, settings, progress):
        self.model, self.samples, self.tables = explainer.model, list(samples), tables
        self.settings, self.hidden = settings, None if progress is None else not progress
        self.reader = Reader(explainer, settings.threshold)
        self.pictures = Pictures(self.model, self.samples)
        self.regions = Regions(self.pictures, self.samples, settings)
        background = {i for i, name in enumerate(self.model.classes) if name == "background"}
        found = annotated_objects(self.samples)
        self.objects = {i: found[i] for i in sorted(found.keys() - background)}
        self.unseen = set()

    def run(self):
        settings = self.settings
        classes = self.model.classes
        met = co_occurring(self.samples, self.objects, classes, settings.minimum_images)
        scores = None if self.tables is None else self.tables.pairs
        pairs = proposed_pairs(met, scores, classes, settings.things)
        subjects, reasons = self._subjects(pairs)
        tests = self._tests(subjects, pairs, reasons)
        images = self._within_budget(tests)
        rows, examples = [], []
        with tqdm(total=sum(t.passes(images, settings.donors) for t in tests if not t.note),
                  desc="Intervening", disable=self.hidden) as bar:  # fmt: skip
            for test in tests:
                test.subjects = test.subjects[:images]
                made, kept = self._made(test)
                rows += made
                examples += kept
                bar.update(0 if test.note else test.passes(images, settings.donors))
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return Effects(
            confirmed(table, settings.floor, settings.alpha), examples, self.reader.passes
        )

    # Which objects.

    def _subjects(self, pairs):
        """Recognised objects by class, those first that the background is replaced of."""
        settings = self.settings
        drawn = {
            index: np.random.default_rng([settings.seed, index]).permutation(sorted(numbers))
            for index, numbers in self.objects.items()
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
            wanted = self._most_classes(drawn, budget)
        wanted = {i: [int(n) for n in dict.fromkeys(numbers)] for i, numbers in wanted.items()}
        return find_subjects(
            self.reader, self.pictures, self.objects, wanted, settings.seed,
            lambda numbers: tqdm(numbers, desc="Looking", disable=self.hidden),
        )  # fmt: skip

    def _most_classes(self, drawn, budget):
        """The fewest images per class, of as many classes as the budget allows to look at."""
        wanted, looked = {}, set()
        for index, numbers in drawn.items():
            own = numbers[: self.settings.minimum_images]
            fits = len(looked.union(own)) <= budget
            wanted[index] = list(own) if fits else []
            looked.update(wanted[index])
            if not fits:
                self.unseen.add(index)
        return wanted

    def _tests(self, subjects, pairs, reasons):
        backgrounds, things, concepts = [], [], []
        for index in self.objects:
            own = subjects[index]
            backgrounds.append(
                Test("background", index, subjects=own, note=self._few(own, index, reasons))
            )
            for pair in pairs[index]:
                beside = [subject for subject in own if subject.number in set(pair.numbers)]
                things.append(
                    Test(
                        "thing", index, pair.thing, subjects=beside,
                        note=self._few(beside, index, reasons),
                    )
                )  # fmt: skip
            for switch in self._switches(index):
                note = switch.note or self._few(own, index, reasons)
                concepts.append(Test("concepts", index, switch=switch, subjects=own, note=note))
        return [*backgrounds, *things, *concepts]

    def _few(self, subjects, index, reasons):
        if index in self.unseen:
            return self._beyond()
        if len(subjects) >= self.settings.minimum_images:
            return ""
        why = ", ".join(f"{number} {reason}" for reason, number in reasons[index].items())
        return (
            f"{len(subjects)} recognised objects, the minimum is "
            f"{self.settings.minimum_images}{f' ({why})' if why else ''}"
        )

    def _switches(self, index):
        if self.tables is None:
            return []
        name = self.model.classes[index]
        table = self.tables.concepts(name)
        switches = [
            leading_concepts(table[table["layer"] == layer], layer, self.settings.concepts)
            for layer in self.tables.layers
        ]
        return [switch for switch in switches if switch is not None]

    def _within_budget(self, tests):
        """Objects per test, so that the budget is kept; tests beyond it get a note."""
        settings = self.settings
        left = settings.passes - self.reader.passes
        open_tests = [test for test in tests if not test.note]
        for images in range(settings.images, settings.minimum_images - 1, -1):
            if sum(test.passes(images, settings.donors) for test in open_tests) <= left:
                return images
        for test in open_tests:
            left -= test.passes(images, settings.donors)
            if left < 0:
                test.note = self._beyond()
        return images

    def _beyond(self):
        return f"beyond the budget of {self.settings.passes} forward passes"

    # What is done to them.

    def _made(self, test):
        """Rows of a test, and examples of each."""
        if test.note:
            return [self._row(test, _INTERVENTIONS[test.kind])], [[]]
        return {
            "background": self._background,
            "thing": self._thing,
            "concepts": self._concepts,
        }[test.kind](test)

    def _random(self, subject, *purpose):
        return np.random.default_rng(
            [self.settings.seed, subject.class_index, subject.number, *purpose]
        )

    def _background(self, test):
        settings = self.settings
        shows = self.objects[test.class_index].keys()
        others = sorted(set(range(len(self.samples))) - shows)
        kinds = {
            "other-class": lambda s: self._donated(s, others),
            "same-class": lambda s: self._donated(s, sorted(shows - {s.number})),
            "blur": lambda s: [self._replaced(s, change.blurred)],
            "noise": lambda s: [self._replaced(s, change.noisy, self._random(s, 1))],
            "mean": lambda s: [self._replaced(s, change.plain)],
        }
        boxes = sum(not subject.exact for subject in test.subjects)
        note = f"{boxes} cut out by their boxes, which carry context along" if boxes else ""
        outcomes = {name: self._outcome(test.subjects, make) for name, make in kinds.items()}
        rows, examples = [], []
        for name, outcome in outcomes.items():
            control = outcomes["same-class"] if name == "other-class" else None
            said = note
            if name == "other-class" and not (outcome.complete and control.complete):
                missing = "without" if not outcome.complete else "with"
                said = f"no image {missing} the class to take a background from"
                control = None
            rows.append(self._row(test, name, outcome, control, said))
            examples.append(outcome.examples(settings.examples))
        return rows, examples

    def _replaced(self, subject, replace, *more):
        picture = self.pictures[subject.number]
        return replace(picture.pixels, self.regions.cut_out(subject), picture.content, *more)

    def _donated(self, subject, numbers):
        """The object on backgrounds of some of the samples."""
        random = self._random(subject, 2)
        numbers = random.permutation(numbers)[:DONORS_DRAWN]
        x1, y1, x2, y2 = subject.box / np.tile(subject.mask.shape[::-1], 2)

        def covered(number):
            sample = self.samples[number]
            overlap = 0.0
            for thing in sample.things:
                a1, b1, a2, b2 = np.divide(thing.box, [*sample.size[::-1]] * 2)
                overlap += max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            return overlap

        picture, made = self.pictures[subject.number], []
        for number in sorted(numbers, key=covered):
            donor = self.pictures[int(number)]
            if donor is not None:
                made.append(
                    change.put_into(
                        picture.pixels, self.regions.cut_out(subject), picture.content,
                        donor.pixels, donor.content,
                    )
                )  # fmt: skip
            if len(made) == self.settings.donors:
                break
        return made

    def _thing(self, test):
        regions, subjects = {}, []
        for subject in test.subjects:
            region = self.regions.of(subject, test.thing)
            control = self.regions.elsewhere(subject, region, self._random(subject, 3))
            if control is not None:
                regions[subject.number] = region, control
                subjects.append(subject)
        if len(subjects) < self.settings.minimum_images:
            test.note = (
                f"{len(subjects)} images leave room for a control, the minimum is "
                f"{self.settings.minimum_images}"
            )
            return [self._row(test, "removed")], [[]]

        def painted(which):
            return lambda s: [self.regions.painted(s, regions[s.number][which])]

        outcome = self._outcome(subjects, painted(0))
        control = self._outcome(subjects, painted(1))
        return [self._row(test, "removed", outcome, control)], [
            outcome.examples(self.settings.examples)
        ]

    def _concepts(self, test):
        switch = test.switch

        def same(subject):
            return [self.pictures[subject.number].pixels]

        outcome, control = (
            self._outcome(test.subjects, same, off={switch.layer: channels})
            for channels in (switch.concepts, switch.control)
        )
        note = "relevance {:.3g}, of the control {:.3g}".format(*switch.shares)
        return [self._row(test, "switched-off", outcome, control, note)], [[]]

    def _outcome(self, subjects, make, off=None):
        outcome = Outcome(subjects, self.settings.examples)

        def looks():
            for subject in subjects:
                for changed in make(subject):
                    yield subject.look(changed)

        for look, reading in self.reader.read(looks(), off):
            outcome.add(look, reading)
        outcome.keep_originals(self.pictures)
        return outcome

    def _row(self, test, intervention, outcome=None, control=None, note=""):
        row = dict.fromkeys(COLUMNS, np.nan) | {
            "kind": test.kind,
            "intervention": intervention,
            "class": self.model.classes[test.class_index],
            "thing": test.thing,
            "layer": test.switch.layer if test.switch else "",
            "concepts": " ".join(map(str, test.switch.concepts)) if test.switch else "",
            "images": len(test.subjects),
            "note": test.note or note,
        }
        if outcome is None or not outcome.complete:
            return row | {"note": row["note"] or "no background to take"}
        detection = self.model.task == "detection"
        measures = ["probability", "said"] if detection else ["probability"]
        settings, found = self.settings, {}
        for measure in measures:
            found[measure] = contrast(
                outcome.drop(measure),
                control.drop(measure) if control else None,
                draws=settings.draws,
                confidence=settings.confidence,
                seed=settings.seed,
            )
        best = self._telling(found.values())
        return row | {
            "images": len(outcome.subjects),
            "probability_before": outcome.before("probability").mean(),
            "probability_after": outcome.after("probability").mean(),
            "logit_change": -outcome.drop("logit").mean(),
            "detected_after": outcome.after("said").mean() if detection else np.nan,
            "effect": best.effect,
            "low": best.low,
            "high": best.high,
            "control": best.control,
            "difference": best.difference,
            "size": best.size,
            # Which of two measures is taken was chosen by what they say.
            "p": min(1.0, best.p * len(measures)) if control else np.nan,
        }

    def _telling(self, contrasts):
        """Of the two measures of a detector, the one that decides.

        That with the larger effect; of two that reach the floor, the better established one.
        """
        floor = self.settings.floor
        large = [c for c in contrasts if min(c.effect, c.difference) >= floor]
        if large:
            return min(large, key=lambda entry: (entry.p, -entry.effect))
        return max(contrasts, key=lambda entry: entry.effect)


_INTERVENTIONS = {"background": "other-class", "thing": "removed", "concepts": "switched-off"}


class Outcome:
    """Readings of the same objects after an intervention, several draws of each."""

    def __init__(self, subjects, kept):
        self.subjects, self._kept = subjects, kept
        self._readings = {subject.number: [] for subject in subjects}
        self._best, self._ties = [], count()

    def add(self, look, reading):
        """Note what the model says of a changed image."""
        subject = look.tag
        self._readings[subject.number].append(reading)
        drop = subject.before.probability - reading.probability
        entry = (drop, -next(self._ties), look, reading)
        if len(self._best) < self._kept:
            heapq.heappush(self._best, entry)
        elif self._kept:
            heapq.heappushpop(self._best, entry)

    def keep_originals(self, pictures):
        """Turn the most telling looks into examples."""
        self._best = [
            Example(look.tag, pictures[look.tag.number].pixels, look.pixels, reading.probability)
            for _, _, look, reading in sorted(self._best, key=lambda entry: entry[:2], reverse=True)
        ]

    def examples(self, most):
        """The objects whose probability fell most, each once."""
        first = {}
        for example in self._best:
            first.setdefault(example.subject.number, example)
        return list(first.values())[:most]

    @property
    def complete(self):
        """Whether every object was seen after the intervention."""
        return all(self._readings.values())

    def before(self, measure):
        """(n,) values of the untouched images."""
        return np.array([float(getattr(s.before, measure)) for s in self.subjects])

    def after(self, measure):
        """(n,) values after the intervention, means over draws."""
        return np.array(
            [
                np.mean([float(getattr(reading, measure)) for reading in readings])
                for readings in self._readings.values()
            ]
        )

    def drop(self, measure):
        """(n,) by how much the values fell."""
        return self.before(measure) - self.after(measure)
