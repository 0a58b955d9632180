"""A dataset in memory, and the batches that are taken from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from lcrp.datasets import Dataset
from lcrp.datasets.sample import VOID
from lcrp.errors import InputError
from lcrp.models import Model

# Samples are drawn in runs of neighbours. Neighbouring training scenes show the same objects on
# exchanged contexts, so within a batch nothing but the context tells twins apart; with mixed
# batches twins are learned several times later, or not at all.
RUN = 4


@dataclass
class Examples:
    """All samples as a network sees them.

    Attributes:
        inputs: (N, 3, H, W) float32.
        labels: (N, H, W) uint8, segmentation only.
        boxes: list of N tensors (n, 5): class, then centre x, y, width, height in input pixels;
            detection only.
    """

    inputs: torch.Tensor
    labels: torch.Tensor | None = None
    boxes: list[torch.Tensor] | None = None

    def __len__(self):
        return len(self.inputs)

    def batch(self, indices, mirrored):
        """Inputs and targets of some samples.

        Args:
            indices: (B,) int64.
            mirrored: whether left and right change places.

        Returns:
            inputs (B, 3, H, W), and labels (B, H, W) int64 or objects (n, 6): image in the
            batch, class, centre x, y, width, height.
        """
        inputs = self.inputs[indices]
        if mirrored:
            inputs = inputs.flip(3)
        if self.labels is not None:
            labels = self.labels[indices].long()
            return inputs, labels.flip(2) if mirrored else labels
        objects = torch.cat(
            [
                torch.cat([torch.full((len(self.boxes[i]), 1), float(place)), self.boxes[i]], dim=1)
                for place, i in enumerate(indices.tolist())
            ]
        )
        if mirrored:
            objects[:, 2] = inputs.shape[3] - objects[:, 2]
        return inputs, objects


def load_examples(
    model: Model, dataset: Dataset, progress: Callable[[Sequence], Iterable] = iter
) -> Examples:
    """Read a dataset for the training of a model.

    Args:
        model: its classes must be the dataset's.
        dataset: all of it is read.
        progress: wraps the samples, as tqdm does.

    Raises:
        InputError: without samples, or where the classes are not the model's.
    """
    if not len(dataset):
        raise InputError("training: the dataset has no samples; give it at least one")
    if tuple(dataset.classes) != tuple(model.classes):
        raise InputError(
            f"training: the dataset has the classes {', '.join(dataset.classes)} and the model "
            f"{', '.join(model.classes)}; make them the same"
        )
    inputs, labels, boxes = [], [], []
    for sample in progress(dataset):
        tensor, geometry = model.preprocess(sample.image())
        inputs.append(tensor)
        if model.task == "segmentation":
            labels.append(torch.from_numpy(geometry.mask_to_input(sample.labels(), fill=VOID)))
        else:
            boxes.append(_objects(sample, geometry))
    if model.task == "segmentation":
        return Examples(torch.stack(inputs), labels=torch.stack(labels))
    return Examples(torch.stack(inputs), boxes=boxes)


def _objects(sample, geometry):
    things = [thing for thing in sample.things if not thing.crowd]
    corners = geometry.boxes_to_input([thing.box for thing in things])
    corners = torch.from_numpy(corners).float().reshape(-1, 4)
    classes = torch.tensor([float(thing.class_index) for thing in things]).reshape(-1, 1)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    return torch.cat([classes, centres, corners[:, 2:] - corners[:, :2]], dim=1)


def batches(count: int, size: int, random: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless index tensors (size,): runs of neighbours, all of them before any comes again.

    Args:
        count: number of samples.
        size: samples per batch.
        random: `torch.Generator`.
    """
    run = min(RUN, size, count)
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < size:
            starts = torch.randperm(-(-count // run), generator=random) * run
            indices = (starts[:, None] + torch.arange(run)).flatten()
            waiting = torch.cat([waiting, indices[indices < count]])
        yield waiting[:size]
        waiting = waiting[size:]
