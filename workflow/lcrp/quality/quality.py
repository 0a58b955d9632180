"""The quality of a model on a dataset, whatever its task."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from lcrp.datasets.sample import Sample
from lcrp.models import Model
from lcrp.quality.detection import detection_quality
from lcrp.quality.predicting import predict
from lcrp.quality.segmentation import Confusion


@dataclass(frozen=True)
class Quality:
    """What was measured.

    Attributes:
        summary: `task`; `images` that were measured; `unreadable` and `unannotated` ones, which
            were not; `mAP` and `mAP50`, or `mIoU` and `pixel_accuracy` (None where nothing could
            be measured).
        classes: one row per class.
    """

    summary: dict
    classes: pd.DataFrame


def measure_quality(
    model: Model,
    samples: Sequence[Sample],
    *,
    batch_size: int = 8,
    progress: Callable[[Sequence], Iterable] = iter,
) -> Quality:
    """Compare a model's predictions with annotations, in the pixels of the images.

    Args:
        model: any.
        samples: a dataset, or a list of samples; the classes must be the model's.
        batch_size: images at a time.
        progress: wraps the samples.
    """
    counts = {"images": 0, "unreadable": 0, "unannotated": 0}
    confusion = Confusion(model.classes)
    measured, found = [], []
    for sample, prediction in predict(model, samples, batch_size=batch_size, progress=progress):
        if prediction is None:
            counts["unreadable"] += 1
        elif not sample.dataset.annotated:
            counts["unannotated"] += 1
        elif model.task == "detection":
            measured.append(sample)
            found.append(prediction)
        elif (labels := sample.labels()) is None:
            counts["unannotated"] += 1
        else:
            counts["images"] += 1
            confusion.add(labels, prediction)
    if model.task == "detection":
        counts["images"] = len(measured)
        values, table = detection_quality(measured, found, model.classes)
    else:
        values, table = confusion.quality()
    values = {name: None if value != value else value for name, value in values.items()}
    return Quality({"task": model.task, **counts, **values}, table)
