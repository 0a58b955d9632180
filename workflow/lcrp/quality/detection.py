"""Mean average precision as COCO defines it, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lcrp.datasets.sample import Sample
from lcrp.quality.predicting import Found

MOST = 100  # boxes per image that count


def detection_quality(
    samples: Sequence[Sample], found: Sequence[Found], classes: Sequence[str]
) -> tuple[dict[str, float], pd.DataFrame]:
    """Average precision of boxes, over IoU 0.50 to 0.95 and at 0.50.

    Args:
        samples: annotated ones; crowd things are regions in which
            boxes count neither for nor against.
        found: one per sample.
        classes: names by class index.

    Returns:
        `mAP` and `mAP50`, and a table with the columns `class`, `annotations`, `AP`, `AP50`; NaN
        where nothing is annotated.
    """
    truth = _truth(samples, classes)
    results = [
        {
            "image_id": image,
            "category_id": int(label) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(score),
        }
        for image, prediction in enumerate(found, start=1)
        for (x1, y1, x2, y2), score, label in zip(
            prediction.boxes.tolist(), prediction.scores, prediction.labels, strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, _results(coco, results), "bbox")
        evaluation.params.maxDets = [MOST]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # IoU thresholds x recalls x classes, for the one range of areas and number of boxes
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    counts = np.bincount(
        [a["category_id"] for a in truth["annotations"] if not a["iscrowd"]],
        minlength=len(classes) + 1,
    )[1:]
    table = pd.DataFrame(
        {
            "class": classes,
            "annotations": counts,
            "AP": [_mean(precision[:, :, k]) for k in range(len(classes))],
            "AP50": [_mean(precision[0, :, k]) for k in range(len(classes))],
        }
    )
    return {"mAP": _mean(precision), "mAP50": _mean(precision[0])}, table


def _truth(samples, classes):
    annotations = []
    for image, sample in enumerate(samples, start=1):
        for thing in sample.things:
            x1, y1, x2, y2 = thing.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": thing.class_index + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(thing.crowd),
                }
            )
    return {
        "info": {},
        "images": [{"id": image} for image in range(1, len(samples) + 1)],
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in enumerate(classes, start=1)],
    }


def _results(coco, results):
    if results:
        return coco.loadRes(results)
    nothing = COCO()
    nothing.dataset = {**coco.dataset, "annotations": []}
    nothing.createIndex()
    return nothing


def _mean(precision):
    valid = precision[precision > -1]
    return float(valid.mean()) if valid.size else float("nan")
