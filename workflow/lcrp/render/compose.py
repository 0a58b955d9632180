"""Everything that a figure of one explanation shows, gathered into plain arrays."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lcrp.errors import InputError
from lcrp.render.explanation import ConceptPart, Explanation, Marked, file_name
from lcrp.render.references import References, as_arrays


@dataclass(frozen=True)
class Settings:
    """What a figure shows.

    layers: names in the store. concepts: how many of each layer, the most relevant first, or
    their numbers. references: reference images per concept. by: what ranks these, "relevance"
    or "activation". threshold: least class score of a box.
    """

    layers: tuple[str, ...]
    concepts: int | tuple[int, ...] = 3
    references: int = 12
    by: str = "relevance"
    threshold: float = 0.25


@dataclass(frozen=True)
class Wanted:
    """Which prediction of an image is meant: the n-th of a class, or of all (class_index None).

    rank counts from 1.
    """

    class_index: int | None
    rank: int = 1


class Composer:
    """Composes explanations of one model against one store.

    dataset: gives images and annotations by id. references: where computed reference images are
    kept (a directory; None: nowhere). experiment: named on the figures.
    """

    def __init__(self, explainer, model, dataset, store, *, references=None, experiment=""):
        self.explainer = explainer
        self.model = model
        self.dataset = dataset
        self.store = store
        self.experiment = experiment
        self.references = References(explainer, model, dataset, store, references)

    def compose(self, image, target, settings: Settings) -> Explanation:
        """One explanation.

        image: id in the dataset, or path of a picture outside it. target: a class by name (also
        as it stands in file names) or index, `<class>-<n>` for its n-th box or region, or
        `instance-<n>` for the n-th of the image, counted from 1 and the best first.

        Raises InputError where one of these, a layer or a concept does not exist (naming what
        does), where the image cannot be read, and where it holds no such prediction.
        """
        layers = self._checked_layers(settings)
        sample, image_id, picture = self._picture(image)
        images, geometry = self.model.preprocess(picture)
        wanted = parse_target(target, self.model.classes)
        active = settings.by == "activation"
        prediction = self.explainer.predict(images[None], activations=layers if active else ())
        targets, single = self._targets(prediction, wanted, image_id, settings)
        class_index = targets[0].class_index

        result = self.explainer.explain(targets, layers, heatmaps=True, activations=active)
        scene = _Scene.of(sample, self.model.task, class_index)
        predicted = self._predictions(prediction, targets, geometry)
        explained = next(marked for marked in predicted if marked.explained)
        if single:
            scene.keep_only(explained)
        inside, object_from = scene.object_mask(geometry, explained)

        heatmap = as_arrays(result.heatmaps)[0]
        parts = []
        for layer in layers:
            parts += self._concepts(result, targets[0], layer, settings, geometry, inside, scene)
        return Explanation(
            image_id=image_id,
            target=str(target),
            class_index=class_index,
            class_name=str(self.model.classes[class_index]),
            picture=picture,
            heatmap=geometry.map_to_original(heatmap),
            predictions=predicted,
            truth=scene.marked,
            concepts=parts,
            score=_number(targets[0].score),
            outside=outside_share(heatmap, inside),
            object_from=object_from,
            model=self.model.architecture,
            experiment=self.experiment,
            by=settings.by,
            notes=[] if sample is not None else ["This image is not part of the dataset."],
        )

    def _checked_layers(self, settings):
        if settings.by not in ("relevance", "activation"):
            raise InputError(f"by: {settings.by!r}; use relevance or activation")
        for layer in settings.layers:
            if layer not in self.store.layers:
                near = difflib.get_close_matches(layer, self.store.layers, 5, 0.3)
                raise InputError(
                    f"layer {layer}: not in the store; it has "
                    f"{', '.join(near or self.store.layers[:8])}"
                )
        return list(settings.layers)

    def _picture(self, image):
        samples = self.references.samples
        if str(image) in samples:
            sample = samples[image]
            return sample, str(image), sample.image()
        if Path(image).is_file():
            from lcrp.datasets import read_image

            return None, Path(image).stem, read_image(image)
        near = difflib.get_close_matches(str(image), list(samples), 4, 0.5)
        hint = f"did you mean {', '.join(near)}" if near else "give an id of the dataset or a path"
        raise InputError(f"image {image}: neither in the dataset nor a file; {hint}")

    def _targets(self, prediction, wanted: Wanted, image_id, settings):
        """The wanted target as Targets of one, and whether it is a single object of its class.

        Raises InputError that says what is predicted instead.
        """
        by_instance = self.store.attrs.get("target_mode") == "instance"
        threshold = settings.threshold
        classes = None if wanted.class_index is None else [wanted.class_index]
        region = self.model.task == "segmentation" and wanted.rank > 1
        if by_instance or classes is None or region:
            found = prediction.targets(classes, mode="instance", threshold=threshold)
            place, single = wanted.rank - 1, True
        else:
            found = prediction.targets(classes, threshold=threshold, rank=wanted.rank)
            place, single = 0, wanted.rank > 1
        if place < len(found):
            return found[place : place + 1], single
        there = prediction.targets(mode="instance", threshold=threshold)
        counts = Counter(target.class_name for target in there)
        listed = ", ".join(f"{name} ({count})" for name, count in counts.items()) or "nothing"
        name = "instance" if classes is None else self.model.classes[wanted.class_index]
        number = f" number {wanted.rank}" if wanted.rank > 1 or classes is None else ""
        raise InputError(f"image {image_id}: no {name}{number} is predicted; predicted: {listed}")

    def _predictions(self, prediction, targets, geometry):
        name, score = targets[0].class_name, _number(targets[0].score)
        if self.model.task == "segmentation":
            mask = geometry.map_to_original(as_arrays(targets.mask(0))) > 0.5
            return [Marked(name, mask=mask, score=score, explained=True)]
        box = np.asarray(targets[0].box)
        decoded = prediction.decoded[0]
        boxes = as_arrays(decoded.boxes)
        same = np.abs(boxes - box).max(axis=1, initial=0) < 0.01
        marked = [
            Marked(str(self.model.classes[int(label)]), _tuple(shown), score=float(confidence))
            for shown, label, confidence, skip in zip(
                geometry.boxes_to_original(boxes),
                decoded.labels,
                decoded.confidence,
                same,
                strict=True,
            )
            if not skip
        ]
        shown = geometry.boxes_to_original(box[None])[0]
        return [*marked, Marked(name, _tuple(shown), score=score, explained=True)]

    def _concepts(self, result, target, layer, settings, geometry, inside, scene):
        relevance = as_arrays(result.relevance[layer])[0]
        total = np.abs(relevance).sum()
        normalised = relevance / total if total > 0 else np.zeros_like(relevance)
        active = settings.by == "activation"
        activation = as_arrays(result.activation[layer])[0] if active else None
        concepts = chosen_concepts(normalised, settings.concepts, layer)
        heatmaps = as_arrays(self.explainer.conditional(target, layer, concepts))
        references = self.references.of(
            layer, concepts, target.class_index, settings.references, settings.by
        )
        return [
            ConceptPart(
                layer=layer,
                concept=concept,
                relevance=float(normalised[concept]),
                activation=float(activation[concept]) if active else None,
                heatmap=geometry.map_to_original(heatmap),
                outside=outside_share(heatmap, inside),
                lies_on=scene.lies_on(heatmap, geometry),
                references=references[concept],
            )
            for concept, heatmap in zip(concepts, heatmaps, strict=True)
        ]


class _Scene:
    """What is annotated in an image, and where the explained object is."""

    def __init__(self, task, class_index, things):
        self.task = task
        self.class_index = class_index
        self.things = things  # None: the image has no annotation

    @classmethod
    def of(cls, sample, task, class_index):
        things = None if sample is None or sample.things is None else list(sample.things)
        return cls(task, class_index, things)

    @property
    def objects(self):
        return [t for t in self.things or [] if t.class_index == self.class_index]

    @property
    def marked(self):
        if self.things is None:
            return None
        return [
            Marked(
                thing.class_name,
                _tuple(thing.box),
                mask=thing.mask() if self.task == "segmentation" else None,
                explained=thing.class_index == self.class_index,
            )
            for thing in self.things
            if self.task != "segmentation" or thing.class_index == self.class_index
        ]

    def keep_only(self, explained: Marked):
        """Of several objects of the class, keeps the one that an instance was predicted for."""
        objects = self.objects
        if len(objects) < 2:
            return
        overlaps = [_overlap(explained, thing) for thing in objects]
        best = objects[int(np.argmax(overlaps))]
        others = [thing for thing in objects if thing is not best]
        self.things = [thing for thing in self.things if not any(thing is o for o in others)]

    def object_mask(self, geometry, explained: Marked):
        """The object in input pixels, (H, W) bool, and what it was taken from."""
        masks = [self._region(thing, geometry) for thing in self.objects]
        if masks:
            return np.logical_or.reduce(masks), "annotation"
        if explained.mask is not None:
            return geometry.mask_to_input(explained.mask), "prediction"
        return box_mask(explained.box, geometry), "prediction"

    def lies_on(self, heatmap, geometry):
        """(class name, share of the positive relevance) of each other annotated class."""
        positive = np.clip(heatmap, 0, None)
        total = positive.sum()
        if total <= 0:
            return []
        regions = {}
        for thing in self.things or []:
            if thing.class_index != self.class_index:
                region = self._region(thing, geometry)
                known = regions.get(thing.class_name)
                regions[thing.class_name] = region if known is None else known | region
        shares = [(name, float(positive[m].sum() / total)) for name, m in regions.items()]
        return sorted((s for s in shares if s[1] >= 0.005), key=lambda s: (-s[1], s[0]))

    def _region(self, thing, geometry):
        mask = thing.mask() if self.task == "segmentation" else None
        if mask is not None:
            return geometry.mask_to_input(np.asarray(mask, bool))
        return box_mask(thing.box, geometry)


def parse_target(text, classes) -> Wanted:
    """What a target is called in file names, as the class and rank or the instance it means.

    Raises InputError with the nearest class names if there is no such class.
    """
    text = str(text)
    by_name = {}
    for index, name in enumerate(classes):
        for form in (str(name), file_name(name)):
            by_name.setdefault(form, index)
            by_name.setdefault(form.lower(), index)
    for form in (text, text.lower()):
        if form in by_name:
            return Wanted(by_name[form])
    if match := re.fullmatch(r"instance-([1-9]\d*)", text):
        return Wanted(None, rank=int(match[1]))
    if match := re.fullmatch(r"(.+)-([1-9]\d*)", text):
        stem = match[1]
        index = by_name.get(stem, by_name.get(stem.lower()))
        if index is not None:
            return Wanted(index, rank=int(match[2]))
    if text.isdecimal() and int(text) < len(classes):
        return Wanted(int(text))
    near = difflib.get_close_matches(text.lower(), [str(c).lower() for c in classes], 4, 0.4)
    names = near or [str(name) for name in classes[:10]]
    raise InputError(f"class {text}: unknown to the model; it knows {', '.join(names)}")


def chosen_concepts(relevance, wanted, layer) -> list[int]:
    """The `wanted` most relevant concepts, or the wanted ones themselves, checked.

    relevance: (channels,). wanted: a number, or concept numbers.
    """
    if isinstance(wanted, int):
        order = np.argsort(-relevance, kind="stable")
        return [int(concept) for concept in order[:wanted]]
    for concept in wanted:
        if not 0 <= int(concept) < len(relevance):
            raise InputError(
                f"concept {concept}: layer {layer} has the concepts 0 to {len(relevance) - 1}"
            )
    return [int(concept) for concept in wanted]


def outside_share(heatmap, inside) -> float | None:
    """Share of the positive relevance outside a mask; None where there is no positive relevance.

    heatmap: (H, W); inside: (H, W) bool. This is the context score C of DESIGN's definition.
    """
    positive = np.clip(heatmap, 0, None).astype(np.float64)
    total = positive.sum()
    return float(positive[~inside].sum() / total) if total > 0 else None


def box_mask(box, geometry) -> np.ndarray:
    """A box of the original image filled in the input: (H, W) bool, pixels by their centre."""
    x1, y1, x2, y2 = geometry.boxes_to_input(np.asarray(box, dtype=np.float64)[None])[0]
    height, width = geometry.input
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    return ((rows >= y1) & (rows <= y2))[:, None] & ((columns >= x1) & (columns <= x2))


def _overlap(explained: Marked, thing):
    mask = thing.mask() if explained.mask is not None else None
    if mask is not None:
        union = np.logical_or(mask, explained.mask).sum()
        return np.logical_and(mask, explained.mask).sum() / max(union, 1)
    if explained.box is None:
        return 0.0
    a, b = explained.box, thing.box
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / max(sum(areas) - shared, 1e-9)


def _number(value):
    value = float(value)
    return value if np.isfinite(value) else None


def _tuple(box):
    return tuple(float(value) for value in box)
