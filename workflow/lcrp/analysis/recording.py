"""Glocal analysis: a slice of a dataset, explained, as the records of one shard.

What is recorded follows Dreyer et al., arXiv 2211.11426: for every target the relevance of every
concept and its strongest neuron, for every image the maximal activations. With them goes the
relevance that lands inside the annotated object and on each other annotated thing, from which
context scores follow.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from lcrp.analysis.annotation import Annotation
from lcrp.attribution import Explainer
from lcrp.attribution.memory import exhausted
from lcrp.configuration import Analysis
from lcrp.datasets.images import WrongSize
from lcrp.datasets.sample import Dataset
from lcrp.distance_bands import BEYOND
from lcrp.errors import InputError
from lcrp.models.base import CLASS_LOGIT
from lcrp.store import LayerRecords, ShardRecords
from lcrp.store.format import WHOLE_COLUMNS

log = logging.getLogger(__name__)
PREDICTED, AUTO = "predicted", "auto"


def analyse(
    explainer: Explainer,
    dataset: Dataset,
    ids: Sequence[str],
    settings: Analysis,
    attrs: Mapping[str, object] | None = None,
    progress: Callable[[list], Iterable] = iter,
) -> ShardRecords:
    """Explain some images of a dataset.

    Unreadable images and images without a target become rows with that status.

    Args:
        explainer: of the model.
        dataset: the images and what is annotated in them.
        ids: of the images.
        settings: what is explained.
        attrs: further attributes of the shard.
        progress: wraps the list of batches.

    Raises:
        InputError: dataset and model have no class in common, or a class is annotated that the
            model does not have.
    """
    layers = explainer.select(settings.layers)
    batches = [ids[i : i + settings.batch_size] for i in range(0, len(ids), settings.batch_size)]
    analysis = _Analysis(explainer, dataset, settings, layers)
    for batch in progress(batches):
        analysis.add(batch)
    return analysis.records(attrs or {})


class _PartsOfTarget(NamedTuple):
    """What `Parts` says about one target, and whether its object is annotated (known)."""

    image: int
    masks: np.ndarray
    whole: np.ndarray
    object: np.ndarray
    background: float
    things: dict
    known: bool


class _Analysis:
    """Collects the rows of a shard, batch by batch."""

    def __init__(self, explainer, dataset, settings, layers):
        self.explainer, self.dataset, self.settings = explainer, dataset, settings
        self.model, self.layers = explainer.model, layers
        self.classes = dataset.class_map.onto(self.model.classes)
        self.images, self.targets, self.pairs, self._halved = [], [], [], False
        self.arrays = {layer: {name: [] for name in _ARRAYS} for layer in layers}

    def add(self, ids):
        """Analyse some images; in halves when memory runs out."""
        try:
            self._add(ids)
        except (MemoryError, RuntimeError) as error:
            if not exhausted(error) or len(ids) == 1:
                raise
            if not self._halved:
                log.warning("memory exhausted: going on with fewer images at a time")
            self._halved = True
            half = len(ids) // 2
        else:
            return
        self.add(ids[:half])
        self.add(ids[half:])

    def _add(self, ids):
        rows, places, inputs, annotations = [], [], [], []
        for sample in (self.dataset[name] for name in ids):
            row = {"index": sample.number, "id": sample.id, "file": sample.file}
            rows.append(row)
            try:
                image = sample.image()
            except InputError as problem:
                status = "wrong-size" if isinstance(problem, WrongSize) else "unreadable"
                row |= {"height": 0, "width": 0, "status": status}
                continue
            tensor, geometry = self.model.preprocess(image)
            row |= {"height": image.shape[0], "width": image.shape[1], "status": "no-target"}
            places.append(len(rows) - 1)
            inputs.append(tensor)
            annotations.append(
                Annotation(
                    sample, geometry, self.model.task, self.classes, self.settings.targets.mode
                )
            )
        if not inputs:
            self._add_images(rows, places, None)
            return
        prediction = self.explainer.predict(torch.stack(inputs), activations=self.layers)
        targets = prediction.targets(
            self._wanted(prediction, annotations),
            mode=self.settings.targets.mode,
            threshold=self.settings.targets.threshold,
        )
        first = len(self.images)
        for target in targets:
            rows[places[target.image]]["status"] = "ok"
        if len(targets):
            self._add_targets(targets, annotations, [first + place for place in places])
        self._add_images(rows, places, prediction.record)

    def _wanted(self, prediction, annotations):
        chosen = self.settings.targets.classes
        limit = None if chosen == "all" else {prediction.class_index(c) for c in chosen}
        predicted = prediction.predicted_classes()
        wanted = []
        for annotation, found in zip(annotations, predicted, strict=True):
            use = annotation.classes
            automatic = self.settings.targets.source == AUTO and not use
            if self.settings.targets.source == PREDICTED or automatic:
                use = found
            wanted.append([c for c in use if limit is None or c in limit])
        return wanted

    def _add_images(self, rows, places, record):
        """Rows of a batch; a record of those at `places`, the others being unreadable."""
        self.images += rows
        for layer in self.layers:
            arrays, shape = self.arrays[layer], (len(rows), self.explainer.layers[layer])
            activation = np.full(shape, np.nan, np.float32)
            position = np.full(shape, -1, np.int32)
            if places:
                activation[places] = record.activation[layer].float().cpu().numpy()
                position[places] = record.activation_position[layer].cpu().numpy()
            arrays["activation"].append(activation)
            arrays["activation_position"].append(position)

    def _add_targets(self, targets, annotations, image_rows):
        found = [annotations[t.image].match(t, targets.mask(i)) for i, t in enumerate(targets)]
        parts = self._parts(targets, annotations, found)
        result = self.explainer.explain(
            targets,
            layers=self.layers,
            heatmaps=True,
            parts={own.image: torch.from_numpy(own.masks) for own in parts},
        )
        frame = targets.frame().rename(columns={"class_index": "class"})
        frame = frame.drop(columns="class_name").assign(
            image=np.array(image_rows)[frame["image"]],
            pixels=frame["pixels"].where(frame["pixels"] > 0).astype(float),
            iou=[match.iou for match in found],
            thing=[match.thing for match in found],
            object_share=[match.mask.mean() if match.thing else np.nan for match in found],
            background=[own.background if own.known else np.nan for own in parts],
            **_whole(targets, result.heatmaps.numpy(), found),
        )
        first = sum(map(len, self.targets))
        self.targets.append(frame)
        pairs = [
            (row, thing, own, area, float(result.on_parts[row][own].sum()))
            for row, parts_of in enumerate(parts)
            if parts_of.known
            for thing, (own, area) in sorted(parts_of.things.items())
        ]
        self.pairs += [(first + row, thing, area, on) for row, thing, _, area, on in pairs]
        for layer in self.layers:
            arrays = self.arrays[layer]
            landed = [own.numpy() for own in result.parts[layer]]
            arrays["relevance"].append(result.relevance[layer].numpy())
            arrays["position"].append(result.positions[layer].numpy().astype(np.int32))
            for name in ("landed", "inside"):
                chosen = [own.whole if name == "landed" else own.object for own in parts]
                sums = [v[c].sum(axis=0) for v, c in zip(landed, chosen, strict=True)]
                arrays[name].append(np.stack(sums))
            arrays["inside"][-1][[not own.known for own in parts]] = np.nan
            if pairs:
                on_thing = [landed[row][own].sum(axis=0) for row, _, own, *_ in pairs]
                arrays["on_thing"].append(np.stack(on_thing))

    def _parts(self, targets, annotations, found):
        """`_PartsOfTarget` of each target; those of an image share their masks."""
        images = np.array([target.image for target in targets])
        made = []
        for image in dict.fromkeys(images.tolist()):
            rows = np.flatnonzero(images == image)
            objects = np.stack([found[row].mask for row in rows])
            parts = annotations[image].parts(objects, self.settings.things)
            made += [
                _PartsOfTarget(
                    image, parts.masks, parts.whole, parts.object[n], parts.background[n],
                    parts.things[n], bool(found[row].thing),
                )
                for n, row in enumerate(rows)
            ]  # fmt: skip
        return made

    def records(self, attrs):
        """All rows so far."""
        program = self.explainer.program(self.model.input_size)
        layers = {}
        for layer in self.layers:
            channels = self.explainer.layers[layer]
            arrays = {
                name: np.concatenate([np.empty((0, channels), kind), *self.arrays[layer][name]])
                for name, kind in _ARRAYS.items()
            }
            if not self.settings.things:
                del arrays["on_thing"]
            shape = program.graph.nodes[program.layers[layer]].shape[2:]
            layers[layer] = LayerRecords(**arrays, shape=tuple(shape))
        targets = pd.concat(self.targets, ignore_index=True) if self.targets else pd.DataFrame()
        pairs = pd.DataFrame(self.pairs, columns=["target", "thing", "area", "landed"])
        images = pd.DataFrame(self.images)
        return ShardRecords(self._attrs() | attrs, images, targets, layers, pairs)

    def _attrs(self):
        composite = self.explainer.composite
        attrs = {
            "architecture": self.model.architecture,
            "task": self.model.task,
            "classes": list(self.model.classes),
            "composite": composite if isinstance(composite, str) else type(composite).__name__,
            "target_mode": self.settings.targets.mode,
            "target_source": self.settings.targets.source,
            "input_size": list(self.model.input_size),
        }
        usual = self.model.explained == CLASS_LOGIT
        return attrs if usual else attrs | {"explained": self.model.explained}


def _whole(targets, heatmaps, found):
    """`WHOLE_COLUMNS` of targets: where the relevance of the whole prediction lands."""
    sums = np.array(
        [
            np.bincount(match.bands.ravel(), heatmap.ravel(), BEYOND + 1)
            for match, heatmap in zip(found, heatmaps, strict=True)
        ]
    )
    landed = sums.sum(axis=1)
    sums[[not match.thing for match in found]] = np.nan
    started = [float(target.value.sum()) for target in targets]
    return dict(zip(WHOLE_COLUMNS, [started, landed, *sums.T[:BEYOND]], strict=True))


_ARRAYS = {
    "relevance": np.float32,
    "position": np.int32,
    "inside": np.float32,
    "landed": np.float32,
    "on_thing": np.float32,
    "activation": np.float32,
    "activation_position": np.int32,
}
