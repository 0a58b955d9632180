"""Targets: what is explained, and the relevance that each starts with.

Initial relevance as in Dreyer et al., arXiv 2211.11426. Segmentation, class y: max(logit_y, 0)
at the pixels predicted as y, scaled to sum to one. Detection: one at the class logit of the
chosen box. Every target is scaled on its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from lcrp.attribution.forward import Record
from lcrp.errors import InputError, nearest
from lcrp.models.base import Model
from lcrp.models.predictions import Detections, Segmentation
from lcrp.object_masks import box_mask


@dataclass(frozen=True)
class Target:
    """One thing to explain.

    Attributes:
        image: its place in the batch.
        class_index: the class that is explained.
        class_name: its name.
        instance: which box or region of its class, from 0.
        score: class score (YOLO), logit (SSD), or mean probability of the pixels (segmentation).
        logit: the explained logit; for segmentation its mean over the pixels.
        box: x1 y1 x2 y2 in input pixels.
        pixels: how many are explained (0 for boxes).
        output: which of the raw outputs its relevance starts in.
        index: (n,) flat indices in that output of its image.
        value: (n,) how much relevance starts at each.
        prediction: what it was chosen from.
    """

    image: int
    class_index: int
    class_name: str
    instance: int
    score: float
    logit: float
    box: tuple[float, float, float, float]
    pixels: int
    output: int
    index: torch.Tensor = field(repr=False)
    value: torch.Tensor = field(repr=False)
    prediction: "Prediction" = field(repr=False)


class Targets(Sequence):
    """Targets of one prediction, ordered by image.

    Attributes:
        prediction: what they were chosen from; None where an empty list of targets was given.
    """

    def __init__(self, prediction: "Prediction | None", members: Iterable[Target]):
        self.prediction = prediction
        self._members = sorted(members, key=lambda target: target.image)

    @classmethod
    def of(cls, targets: Iterable[Target]) -> "Targets":
        """Any targets of one prediction, in the order given.

        Raises:
            InputError: they are of different predictions.
        """
        if isinstance(targets, Targets):
            return targets
        members = list(targets)
        predictions = {id(target.prediction): target.prediction for target in members}
        if len(predictions) > 1:
            raise InputError(
                f"targets: of {len(predictions)} predictions; explain those of each on their own"
            )
        made = cls(next(iter(predictions.values()), None), ())
        made._members = members
        return made

    def by_image(self) -> list[int]:
        """Places of the targets in the order of their images; those of one keep their order."""
        return sorted(range(len(self)), key=lambda place: self[place].image)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Targets(self.prediction, self._members[key])
        if isinstance(key, list | tuple | np.ndarray):
            return Targets(self.prediction, [self._members[i] for i in key])
        return self._members[key]

    def __repr__(self) -> str:
        return f"Targets({self._members!r})"

    def frame(self) -> pd.DataFrame:
        """One row per target.

        Returns:
            Columns image, class_index, class_name, instance, score, logit, pixels, box_x1, box_y1,
            box_x2, box_y2 (input pixels).
        """
        return pd.DataFrame(
            [
                (
                    *(t.image, t.class_index, t.class_name, t.instance),
                    *(t.score, t.logit, t.pixels, *t.box),
                )
                for t in self
            ],
            columns=[
                "image", "class_index", "class_name", "instance", "score", "logit", "pixels",
                "box_x1", "box_y1", "box_x2", "box_y2",
            ],
        )  # fmt: skip

    def mask(self, i: int) -> torch.Tensor:
        """(H, W) bool: the pixels that target i explains, which are its region or fill its box."""
        target = self[i]
        height, width = target.prediction.size
        if target.pixels:
            mask = torch.zeros(height * width, dtype=torch.bool)
            mask[target.index.cpu() % (height * width)] = True
            return mask.view(height, width)
        return torch.from_numpy(box_mask([target.box], (height, width)))


class Prediction:
    """What the model says about a batch of images.

    Attributes:
        model: the `Model` that says it.
        record: the `Record` of the forward pass, for the walks.
        size: (H, W) of the images.
        outputs: the raw outputs, (B, ...) each.
    """

    def __init__(self, model: Model, record: Record, size: Sequence[int]):
        self.model, self.record, self.size = model, record, (size[0], size[1])
        self.outputs = record.outputs
        self._decoded: dict[Any, list] = {}

    def __len__(self) -> int:
        return self.record.batch

    @property
    def decoded(self) -> list:
        """One Detections or Segmentation per image."""
        return self._candidates(0.25)

    def _candidates(self, threshold: float) -> list:
        if threshold not in self._decoded:
            self._decoded[threshold] = self.model.decode(self.outputs, threshold=threshold)
        return self._decoded[threshold]

    def targets(
        self,
        classes: Iterable | None = None,
        mode: str = "class",
        threshold: float = 0.25,
        rank: int = 1,
    ) -> Targets:
        """The targets of some classes.

        A class that the model does not predict in an image gives no target there.

        Args:
            classes: names or indices; a list of such lists, one per image; None for the classes
                that the model predicts in each image (a background class left out).
            mode: "class" (one per image and class) or "instance" (one per box or region).
            threshold: class score that a box must exceed.
            rank: which box of the class, from the best; detection in class mode only.

        Raises:
            InputError: an unknown class or mode, or not one list per image.
        """
        if mode not in ("class", "instance"):
            raise InputError(f"mode: {mode!r} is unknown; use 'class' or 'instance'")
        make = {
            ("segmentation", "class"): self._regions,
            ("segmentation", "instance"): self._components,
            ("detection", "class"): self._best_boxes,
            ("detection", "instance"): self._boxes,
        }[self.model.task, mode]
        members = []
        for image, wanted in enumerate(self._wanted(classes)):
            members += make(image, wanted, threshold, rank)
        return Targets(self, members)

    def target(self, class_name: str, image: int = 0, rank: int = 1) -> Target:
        """The target of one class in one image.

        Raises:
            InputError: the class is not predicted there; it says what is.
        """
        found = self.targets(
            [[class_name] if i == image else [] for i in range(len(self))], rank=rank
        )
        if not len(found):
            names = sorted({t.class_name for t in self.targets() if t.image == image})
            raise InputError(
                f"class {class_name!r}: not predicted in this image; "
                f"predicted: {', '.join(names) or 'nothing'}"
            )
        return found[0]

    def class_index(self, given: str | int) -> int:
        """Index of a class by name or index; InputError with the nearest names."""
        names = self.model.classes
        if isinstance(given, str):
            if given in names:
                return names.index(given)
            raise InputError(f"class {given!r}: unknown to the model; use {nearest(given, names)}")
        if not 0 <= int(given) < len(names):
            raise InputError(f"class {given}: the model has {len(names)}, counted from 0")
        return int(given)

    def predicted_classes(self) -> list[list[int]]:
        """Indices of the classes predicted in each image, the background left out."""
        return [self._predicted(image) for image in range(len(self))]

    def _wanted(self, classes: Iterable | None) -> list[list[int]]:
        if classes is None:
            return self.predicted_classes()
        nested = any(isinstance(entry, list | tuple | set | np.ndarray) for entry in classes)
        per_image = list(classes) if nested else [list(classes)] * len(self)
        if len(per_image) != len(self):
            raise InputError(
                f"classes: {len(per_image)} lists for {len(self)} images; give one each"
            )
        return [list(dict.fromkeys(self.class_index(c) for c in row)) for row in per_image]

    def _predicted(self, image: int) -> list[int]:
        decoded = self.decoded[image]
        if isinstance(decoded, Segmentation):
            found = decoded.labels.unique().tolist()
        else:
            found = sorted(set(self._evaluated()[image].labels.tolist()))
        return [c for c in found if self.model.classes[c] != "background"]

    def _evaluated(self) -> list:
        if "evaluated" not in self._decoded:
            self._decoded["evaluated"] = self.model.detect(self.outputs)
        return self._decoded["evaluated"]

    def _regions(
        self, image: int, wanted: Sequence[int], threshold: float, rank: int
    ) -> list[Target]:
        labels = self.decoded[image].labels
        regions = ((c, 0, labels == c) for c in wanted)
        return [t for c, n, region in regions if (t := self._region(image, c, n, region))]

    def _components(
        self, image: int, wanted: Sequence[int], threshold: float, rank: int
    ) -> list[Target]:
        labels = self.decoded[image].labels.cpu().numpy()
        made = []
        for c in wanted:
            numbered, count = ndimage.label(labels == c, structure=np.ones((3, 3)))
            for n in range(count):
                region = torch.from_numpy(numbered == n + 1).to(self.outputs[0].device)
                made.append(self._region(image, c, n, region))
        return [target for target in made if target]

    def _region(self, image: int, c: int, instance: int, region: torch.Tensor) -> Target | None:
        logits = self.decoded[image].logits
        value = logits[c][region].float()
        weights = value.clamp(min=0)
        total = weights.double().sum()
        if not total > 0:
            return None
        index = region.flatten().nonzero().flatten()
        height, width = region.shape
        ys, xs = index // width, index % width
        share = logits[:, region].float().softmax(dim=0)[c].mean()
        return Target(
            image, c, self.model.classes[c], instance, float(share), float(value.mean()),
            (float(xs.min()), float(ys.min()), float(xs.max()) + 1, float(ys.max()) + 1),
            len(index), 0, index + c * height * width, (weights / total).to(logits.dtype), self,
        )  # fmt: skip

    def _best_boxes(
        self, image: int, wanted: Sequence[int], threshold: float, rank: int
    ) -> list[Target]:
        found = self._candidates(threshold)[image]
        made = []
        for c in wanted:
            order = found.scores[:, c].argsort(descending=True, stable=True)
            if len(order) >= rank and found.scores[order[rank - 1], c] > threshold:
                made.append(self._box(image, c, rank - 1, found, int(order[rank - 1])))
        return made

    def _boxes(
        self, image: int, wanted: Sequence[int], threshold: float, rank: int
    ) -> list[Target]:
        found, made = self._evaluated()[image], []
        seen: dict[int, int] = {}
        for i in range(len(found.labels)):
            c = int(found.labels[i])
            if c in wanted and found.confidence[i] > threshold:
                seen[c] = seen.get(c, -1) + 1
                made.append(self._box(image, c, seen[c], found, i))
        return made

    def _box(self, image: int, c: int, instance: int, found: Detections, i: int) -> Target:
        output = int(found.output[i])
        index = (found.base[i] + c * found.stride[i]).reshape(1)
        logit = self.outputs[output][image].flatten()[index].float()
        return Target(
            image, c, self.model.classes[c], instance, float(found.scores[i, c]), float(logit),
            tuple(found.boxes[i].tolist()), 0, output, index, torch.ones(1, device=index.device),
            self,
        )  # fmt: skip
