"""What a model achieves: mAP of boxes, mIoU of pixels."""

from lcrp.quality.detection import detection_quality
from lcrp.quality.predicting import Found, predict
from lcrp.quality.quality import Quality, measure_quality
from lcrp.quality.segmentation import Confusion, segmentation_quality

__all__ = [
    "Confusion",
    "Found",
    "Quality",
    "detection_quality",
    "measure_quality",
    "predict",
    "segmentation_quality",
]
