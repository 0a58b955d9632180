"""The quality of a model on a dataset, whatever its task."""

from dataclasses import dataclass

import pandas as pd

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


def measure_quality(model, samples, *, batch_size=8, progress=None):
    """Compares a model's predictions with annotations, in the pixels of the images.

    Args:
        model: `lcrp.models.Model`.
        samples: `lcrp.datasets.Dataset` or a list of samples; the classes must be the model's.
        batch_size: images at a time.
        progress: show a bar; None shows it on terminals only.

    Returns:
        `Quality`.
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
