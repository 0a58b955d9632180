"""What a model finds in the images of a dataset, in the pixels of the images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lcrp.datasets.sample import VOID, Sample
from lcrp.errors import InputError
from lcrp.models import Geometry, Model


@dataclass(frozen=True)
class Found:
    """The boxes of one image.

    Attributes:
        boxes: (n, 4) float, x1 y1 x2 y2 in pixels of the original image.
        scores: (n,) float, what ranks them.
        labels: (n,) int, class indices of the model.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@torch.no_grad()
def predict(
    model: Model,
    samples: Sequence[Sample],
    *,
    candidates: bool = False,
    batch_size: int = 8,
    progress: Callable[[Sequence], Iterable] = iter,
) -> Iterator[tuple[Sample, "Found | np.ndarray | None"]]:
    """Run a model over samples.

    Args:
        model: any.
        samples: a dataset, or a list of its samples.
        candidates: of a detector, the boxes from which targets are chosen (`Model.decode`)
            instead of those that its evaluation keeps (`Model.detect`).
        batch_size: images at a time; the results do not depend on it.
        progress: wraps the samples.

    Yields:
        (sample, prediction) in the samples' order: `Found`, or for segmentation a class map
        (h, w) uint8, 255 where the network did not see the image; None for an image that
        cannot be read.
    """
    device = next(model.network.parameters()).device
    waiting = []
    for sample in progress(samples):
        try:
            waiting.append((sample, *model.preprocess(sample.image())))
        except InputError:
            waiting.append((sample, None, None))
        if len(waiting) == batch_size:
            yield from _predict_batch(model, waiting, candidates, device)
            waiting = []
    yield from _predict_batch(model, waiting, candidates, device)


def _predict_batch(model, waiting, candidates, device):
    inputs = [tensor for _, tensor, _ in waiting if tensor is not None]
    results = []
    if inputs:
        outputs = model.network(torch.stack(inputs).to(device))
        keep = candidates or model.task == "segmentation"
        results = model.decode(outputs) if keep else model.detect(outputs)
    results = iter(results)
    for sample, tensor, geometry in waiting:
        if tensor is None:
            yield sample, None
        elif model.task == "segmentation":
            labels = next(results).labels.to(torch.uint8).cpu().numpy()
            yield sample, labels_to_original(labels, geometry)
        else:
            found = next(results)
            yield (
                sample,
                Found(
                    geometry.boxes_to_original(found.boxes.cpu().numpy()),
                    found.confidence.cpu().double().numpy(),
                    found.labels.cpu().numpy(),
                ),
            )


def labels_to_original(labels: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Class map (H, W) of the input as (h, w) of the image: for each pixel the nearest.

    Pixels that the network did not see get 255.
    """
    (height, width), (rows_in, columns_in) = geometry.original, geometry.input
    columns = np.floor((np.arange(width) + 0.5) * geometry.scale[0] + geometry.offset[0])
    rows = np.floor((np.arange(height) + 0.5) * geometry.scale[1] + geometry.offset[1])
    seen = ((rows >= 0) & (rows < rows_in))[:, None] & ((columns >= 0) & (columns < columns_in))
    rows = np.clip(rows, 0, rows_in - 1).astype(np.int64)
    columns = np.clip(columns, 0, columns_in - 1).astype(np.int64)
    return np.where(seen, labels[rows[:, None], columns], np.uint8(VOID))
