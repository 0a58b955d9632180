"""Mean intersection over union, from a confusion matrix that grows image by image."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from lcrp.datasets.sample import VOID


class Confusion:
    """Counts of pixels by annotated and predicted class.

    Attributes:
        counts: (C, C) int64, rows annotated, columns predicted.
    """

    def __init__(self, classes: Sequence[str]):
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes),) * 2, np.int64)

    def add(self, annotated: np.ndarray, predicted: np.ndarray) -> None:
        """Count an image.

        Args:
            annotated: (h, w) class indices; 255 does not count.
            predicted: (h, w) class indices; 255 (not seen by the network) does not count.
        """
        number = len(self.classes)
        valid = (annotated != VOID) & (predicted != VOID)
        pairs = annotated[valid].astype(np.int64) * number + predicted[valid]
        self.counts += np.bincount(pairs, minlength=number**2).reshape(number, number)

    def quality(self) -> tuple[dict[str, float], pd.DataFrame]:
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


def segmentation_quality(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], classes: Sequence[str]
) -> tuple[dict[str, float], pd.DataFrame]:
    """Intersection over union of class maps.

    Args:
        pairs: annotated and predicted (h, w) class indices of images; pixels where either is
            255 do not count.
        classes: names by class index.

    Returns:
        `mIoU`, over the classes that are annotated or predicted anywhere, and `pixel_accuracy`;
        and a table with the columns `class`, `pixels` (annotated), `IoU`.
    """
    confusion = Confusion(classes)
    for annotated, predicted in pairs:
        confusion.add(annotated, predicted)
    return confusion.quality()
