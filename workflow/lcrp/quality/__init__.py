"""What a model achieves: mAP, mIoU, and what it does when contexts are exchanged."""

from lcrp.quality.detection import detection_quality
from lcrp.quality.measuring import Quality, measure_quality
from lcrp.quality.predictions import Found, predict
from lcrp.quality.segmentation import Confusion, segmentation_quality
from lcrp.quality.swaps import choose_examples, follow_swaps, summarise_swaps, swap_following

__all__ = [
    "Confusion",
    "Found",
    "Quality",
    "choose_examples",
    "detection_quality",
    "follow_swaps",
    "measure_quality",
    "predict",
    "segmentation_quality",
    "summarise_swaps",
    "swap_following",
]
