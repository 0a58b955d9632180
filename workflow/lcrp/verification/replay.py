"""The targets of a store, predicted once more."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from lcrp.analysis.annotation import Annotation
from lcrp.attribution.targets import Targets


@dataclass(frozen=True)
class Subject:
    """A target of a store: its input (3, H, W), the target and its object (H, W) bool."""

    row: int
    image: torch.Tensor
    target: object
    object: np.ndarray

    @property
    def targets(self):
        """The target alone, as Targets."""
        return Targets(self.target.prediction, [self.target])


class Subjects:
    """Predicts targets of a store again, one image after the other."""

    def __init__(self, explainer, dataset, store):
        self.explainer, self.dataset, self.store = explainer, dataset, store
        self._classes = dataset.class_map.onto(explainer.model.classes)

    def of(self, rows):
        """Subjects of rows of the store's targets, image by image; those that are still found."""
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
            threshold = attrs.get("threshold", 0.25)
            targets = prediction.targets(wanted, mode=mode, threshold=threshold)
            found = {(t.class_index, t.instance): i for i, t in enumerate(targets)}
            for row, entry in group.iterrows():
                place = found.get((int(entry["class"]), int(entry.get("instance", 0))))
                if place is None:
                    continue
                match = annotation.match(targets[place], targets.mask(place))
                if match.thing:
                    yield Subject(int(row), tensor, targets[place], match.mask)


def on_other_images(target, prediction):
    """The same output explained in every image of another prediction: Targets.

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
