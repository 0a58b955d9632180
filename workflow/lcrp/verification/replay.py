"""The targets of a store, predicted once more."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lcrp.analysis.annotation import Annotation
from lcrp.attribution import Explainer
from lcrp.attribution.targets import Prediction, Target, Targets
from lcrp.configuration import Targets as TargetSettings
from lcrp.datasets.sample import Dataset
from lcrp.store import ConceptStore


@dataclass(frozen=True)
class Replayed:
    """A target of a store that was predicted again.

    Attributes:
        row: of the store's targets.
        image: (3, H, W), the network's input.
        target: the same prediction.
        object: (H, W) bool, the annotated object in input pixels.
    """

    row: int
    image: torch.Tensor
    target: Target
    object: np.ndarray

    @property
    def targets(self) -> Targets:
        """The target alone, as Targets."""
        return Targets(self.target.prediction, [self.target])


class Replay:
    """Predicts targets of a store again, one image after the other.

    Args:
        explainer: of the store's model.
        dataset: the images that the store was made of.
        store: merged concept store.
    """

    def __init__(self, explainer: Explainer, dataset: Dataset, store: ConceptStore):
        self.explainer, self.dataset, self.store = explainer, dataset, store
        self._classes = dataset.class_map.onto(explainer.model.classes)

    def of(self, rows: Iterable[int]) -> Iterator[Replayed]:
        """Those of some rows of the store's targets that are still found, image by image."""
        table = self.store.targets.iloc[sorted(int(row) for row in rows)]
        names = self.store.images["id"].to_numpy(object)
        attrs, model = self.store.attrs, self.explainer.model
        mode = attrs.get("target_mode", "class")
        for image, group in table.groupby("image", sort=True):
            sample = self.dataset[str(names[image])]
            tensor, geometry = model.preprocess(sample.image())
            prediction = self.explainer.predict(tensor[None])
            annotation = Annotation(sample, geometry, model.task, self._classes, mode)
            wanted = [sorted(int(c) for c in group["class"].unique())]
            threshold = attrs.get("threshold", TargetSettings().threshold)
            targets = prediction.targets(wanted, mode=mode, threshold=threshold)
            found = {(t.class_index, t.instance): i for i, t in enumerate(targets)}
            for row, entry in group.iterrows():
                place = found.get((int(entry["class"]), int(entry.get("instance", 0))))
                if place is None:
                    continue
                match = annotation.match(targets[place], targets.mask(place))
                if match.thing:
                    yield Replayed(int(row), tensor, targets[place], match.mask)


def on_other_images(target: Target, prediction: Prediction) -> Targets:
    """The same output explained in every image of another prediction.

    The box, or the pixels, stay those of the target; the logits of pixels are the new ones.
    """
    members = []
    for image in range(len(prediction)):
        value = target.value
        if target.pixels:
            logits = prediction.outputs[target.output][image].flatten()[target.index]
            value = logits.float().clamp(min=0)
            value = value / value.sum().clamp(min=1e-12)
        members.append(replace(target, image=image, value=value, prediction=prediction))
    return Targets(prediction, members)
