"""Everything that a figure of one explanation shows, gathered into plain arrays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lcrp.configuration.analysis import Targets
from lcrp.configuration.outputs import Explanations
from lcrp.datasets import read_image
from lcrp.errors import InputError, nearest
from lcrp.file_names import FileNames
from lcrp.object_masks import MET, outside_share
from lcrp.render.explanation import ConceptPart, Explanation, Marked, plain_box
from lcrp.render.naming import Wanted, parse_target
from lcrp.render.references import References, as_arrays
from lcrp.render.scene import Scene


@dataclass(frozen=True)
class Settings:
    """What a figure shows.

    layers: names in the store. concepts: how many of each layer, the most relevant first, or
    their numbers. references: reference images per concept. by: what ranks these, "relevance"
    or "activation". threshold: least class score of a box.
    """

    layers: tuple[str, ...]
    concepts: int | tuple[int, ...] = Explanations().concepts
    references: int = Explanations().references
    by: str = Explanations().by
    threshold: float = Targets().threshold


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
        scene = Scene(sample, self.model, geometry, targets, single)

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
            outside=_number(outside_share(heatmap, scene.object)),
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
        files = FileNames(self.model.classes)
        return list(dict.fromkeys(files[target.class_name] for target in found))

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
        if scene.iou < MET:
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
                raise InputError(
                    f"layer {layer}: not in the store; it has {nearest(layer, self.store.layers)}"
                )
        return list(settings.layers)

    def _picture(self, image):
        samples = self.references.samples
        if str(image) in samples:
            sample = samples[image]
            return sample, str(image), sample.image()
        path = self.pictures.get(str(image), Path(image))
        if path.is_file():
            return None, path.stem, read_image(path)
        known = [*samples, *self.pictures]
        raise InputError(
            f"image {image}: neither in the dataset nor a file; give a path, or an id such as "
            f"{nearest(image, known)}"
        )

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
            Marked(str(self.model.classes[int(label)]), plain_box(shown), score=float(confidence))
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
        return [*marked, Marked(name, plain_box(shown), score=score, explained=True)]

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
                outside=_number(outside_share(heatmap, scene.object)),
                lies_on=scene.lies_on(heatmap),
            )
            for concept, heatmap in zip(concepts, heatmaps, strict=True)
        ]


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


def _number(value):
    value = float(value)
    return value if np.isfinite(value) else None
