"""Everything that a figure of one explanation shows, gathered into plain arrays."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lcrp.errors import InputError
from lcrp.render.explanation import ConceptPart, Explanation, Marked, file_name
from lcrp.render.references import References, as_arrays

MATCHED = 0.3  # intersection over union of a prediction with its annotation


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
    kept (a directory; None: nowhere). experiment: named on the figures. pictures: paths of
    pictures outside the dataset, which can be named by their file without its ending as well.

    Raises InputError where two pictures, or a picture and an image of the dataset, share a name.
    """

    def __init__(
        self, explainer, model, dataset, store, *, references=None, experiment="", pictures=()
    ):
        self.explainer = explainer
        self.model = model
        self.dataset = dataset
        self.store = store
        self.experiment = experiment
        self.references = References(explainer, model, dataset, store, references)
        self.pictures = {}
        for path in map(Path, pictures):
            if path.stem in self.references.samples or path.stem in self.pictures:
                raise InputError(f"{path}: there is another image {path.stem}; rename this file")
            self.pictures[path.stem] = path

    def compose(self, image, target, settings: Settings) -> Explanation:
        """One explanation, see `without_references`, with the reference images of its concepts."""
        explanation = self.without_references(image, target, settings)
        self.add_references([explanation], settings)
        return explanation

    def add_references(self, explanations, settings: Settings):
        """Gives the concepts of explanations their reference images.

        Of many together, an image that is a reference of several concepts is read and predicted
        once.
        """
        parts = [part for explanation in explanations for part in explanation.concepts]
        keys = [(part.layer, part.concept, None) for part in parts]
        found = self.references.several(keys, settings.references, settings.by)
        for part, key in zip(parts, keys, strict=True):
            part.references = found[key]

    def without_references(self, image, target, settings: Settings) -> Explanation:
        """One explanation, its concepts without reference images.

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
        predicted = self._predictions(prediction, targets, geometry)
        explained = next(marked for marked in predicted if marked.explained)
        scene = _Scene(sample, self.model, geometry, targets, single)

        heatmap = as_arrays(result.heatmaps)[0]
        parts = []
        for layer in layers:
            parts += self._concepts(result, targets[0], layer, settings, geometry, scene)
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
            outside=outside_share(heatmap, scene.object),
            object_from=scene.object_from,
            model=self.model.architecture,
            experiment=self.experiment,
            by=settings.by,
            notes=self._notes(sample, scene, explained),
        )

    def picture(self, image) -> np.ndarray:
        """An image as (h, w, 3) uint8 RGB; InputError as for `compose`."""
        return self._picture(image)[2]

    def predicted(self, image, threshold=0.25) -> list[str]:
        """The classes that the model predicts in an image, as targets are named in file names.

        image: as for `compose`. Empty where nothing is predicted or the image cannot be read.
        """
        try:
            picture = self.picture(image)
        except InputError:
            return []
        images, _ = self.model.preprocess(picture)
        found = self.explainer.predict(images[None]).targets(threshold=threshold)
        return list(dict.fromkeys(file_name(target.class_name) for target in found))

    def numbered(self, number, order="listed") -> str:
        """Id of the image that stands at a place of the dataset, counted from 0.

        order: "listed", as the dataset's own list or annotation file names the images, or
        "files", sorted by file name. Raises InputError if there are not so many.
        """
        dataset = self.references.samples.dataset
        ids = dataset.listed
        if order == "files":
            ids = [id for _, id in sorted(zip(dataset.files, dataset.ids, strict=True))]
        if number >= len(ids):
            raise InputError(f"sample {number}: the dataset has {len(ids)} images, counted from 0")
        return ids[number]

    def _notes(self, sample, scene, explained):
        if sample is None:
            return ["This image is not part of the dataset."]
        if scene.iou < MATCHED:
            return [
                f"The prediction hardly lies on an annotated {explained.label}: their "
                f"intersection over union is {scene.iou:.2f}."
            ]
        return []

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
        path = self.pictures.get(str(image), Path(image))
        if path.is_file():
            from lcrp.datasets import read_image

            return None, path.stem, read_image(path)
        known = [*samples, *self.pictures]
        near = difflib.get_close_matches(str(image), known, 4, 0.5)
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

    def _concepts(self, result, target, layer, settings, geometry, scene):
        relevance = as_arrays(result.relevance[layer])[0]
        total = np.abs(relevance).sum()
        normalised = relevance / total if total > 0 else np.zeros_like(relevance)
        active = settings.by == "activation"
        activation = as_arrays(result.activation[layer])[0] if active else None
        concepts = chosen_concepts(normalised, settings.concepts, layer)
        heatmaps = as_arrays(self.explainer.conditional(target, layer, concepts))
        return [
            ConceptPart(
                layer=layer,
                concept=concept,
                relevance=float(normalised[concept]),
                activation=float(activation[concept]) if active else None,
                heatmap=geometry.map_to_original(heatmap),
                outside=outside_share(heatmap, scene.object),
                lies_on=scene.lies_on(heatmap),
            )
            for concept, heatmap in zip(concepts, heatmaps, strict=True)
        ]


class _Scene:
    """What is annotated in an image, and where the object of a target is.

    object: (H, W) bool in input pixels, and object_from what it was taken from. iou: of the
    prediction with the annotated object, NaN without.
    """

    def __init__(self, sample, model, geometry, targets, single):
        # Imports torch, which is not needed to draw or to collect what was drawn.
        from lcrp.analysis.annotation import Annotation

        self.task, self.geometry = model.task, geometry
        self.things, self.of_class, self.single, self.iou = None, [], None, np.nan
        predicted = np.asarray(targets.mask(0))
        self.object, self.object_from = predicted, "prediction"
        if sample is None or not sample.dataset.annotated:
            return
        self.things = list(sample.things)
        classes = sample.dataset.class_map.onto(model.classes)
        mode = "instance" if single else "class"
        annotation = Annotation(sample, geometry, self.task, classes, mode)
        match = annotation.match(targets[0], predicted)
        self.iou = match.iou
        if match.thing:
            self.object, self.object_from = match.mask, "annotation"
            self.single = match.thing if single else None
            self.of_class = annotation.of_class(targets[0].class_index)

    @property
    def marked(self):
        """The annotated objects to draw; None if the image has no annotation."""
        if self.things is None:
            return None
        if self.task == "segmentation":
            return self._marked_regions()
        return [
            Marked(thing.class_name, _tuple(thing.box), explained=self._is_object(thing))
            for thing in self.things
        ]

    def _marked_regions(self):
        if not self.of_class:
            return []
        name = self.of_class[0].class_name
        if self.single is None:
            mask = np.logical_or.reduce([thing.mask() for thing in self.of_class])
        else:
            mask = self.geometry.map_to_original(self.object) > 0.5
        return [Marked(name, mask=mask, explained=True)]

    def _is_object(self, thing):
        is_class = any(thing is other for other in self.of_class)
        return is_class and self.single in (None, thing.id)

    def lies_on(self, heatmap):
        """(class name, share of the positive relevance) of each other annotated class.

        Counted outside the object only; by mask where there is one, else by box.
        """
        positive = np.clip(heatmap, 0, None)
        total = positive.sum()
        if total <= 0:
            return []
        shares = [(name, float(positive[m].sum() / total)) for name, m in self.others.items()]
        return sorted((s for s in shares if s[1] >= 0.005), key=lambda s: (-s[1], s[0]))

    @cached_property
    def others(self):
        """{class name: (H, W) bool} where the other annotated things are, without the object."""
        regions = {}
        for thing in self.things or []:
            of_class = any(thing is other for other in self.of_class)
            if self._is_object(thing) or (of_class and self.task == "segmentation"):
                continue
            name = f"another {thing.class_name}" if of_class else thing.class_name
            region = self._region(thing) & ~self.object
            regions[name] = regions[name] | region if name in regions else region
        return regions

    def _region(self, thing):
        mask = thing.mask()
        if mask is not None:
            return self.geometry.mask_to_input(np.asarray(mask, bool))
        return box_mask(thing.box, self.geometry)


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


def _number(value):
    value = float(value)
    return value if np.isfinite(value) else None


def _tuple(box):
    return tuple(float(value) for value in box)
