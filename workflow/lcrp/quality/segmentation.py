"""Mean intersection over union, from a confusion matrix that grows image by image."""

import numpy as np
import pandas as pd

from lcrp.datasets.sample import VOID


class Confusion:
    """Counts of pixels by annotated and predicted class.

    Attributes:
        counts: (C, C) int64, rows annotated, columns predicted.
    """

    def __init__(self, classes):
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes),) * 2, np.int64)

    def add(self, annotated, predicted):
        """Counts an image.

        Args:
            annotated: (h, w) class indices; 255 does not count.
            predicted: (h, w) class indices; 255 (not seen by the network) does not count.
        """
        number = len(self.classes)
        valid = (annotated != VOID) & (predicted != VOID)
        pairs = annotated[valid].astype(np.int64) * number + predicted[valid]
        self.counts += np.bincount(pairs, minlength=number**2).reshape(number, number)

    def quality(self):
        """What `segmentation_quality` returns."""
        right = np.diag(self.counts).astype(float)
        annotated, predicted = self.counts.sum(axis=1), self.counts.sum(axis=0)
        union = annotated + predicted - right
        with np.errstate(invalid="ignore"):
            iou = np.where(union > 0, right / union, np.nan)
        total = annotated.sum()
        table = pd.DataFrame({"class": self.classes, "pixels": annotated, "IoU": iou})
        summary = {
            "mIoU": float(np.nanmean(iou)) if total else float("nan"),
            "pixel_accuracy": float(right.sum() / total) if total else float("nan"),
        }
        return summary, table


def segmentation_quality(pairs, classes):
    """Intersection over union of class maps.

    Args:
        pairs: iterable of (annotated, predicted), (h, w) class indices; pixels where either is
            255 do not count.
        classes: names by class index.

    Returns:
        (dict with `mIoU`, over the classes that are annotated or predicted anywhere, and
        `pixel_accuracy`; DataFrame with `class`, `pixels` (annotated), `IoU`).
    """
    confusion = Confusion(classes)
    for annotated, predicted in pairs:
        confusion.add(annotated, predicted)
    return confusion.quality()
