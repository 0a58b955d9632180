"""Class names of the public datasets, by class index."""

import json
from pathlib import Path

_NAMES = json.loads((Path(__file__).parent / "classes.json").read_text())

COCO: tuple[str, ...] = tuple(_NAMES["coco"])
"""The 80 classes of COCO in the order of their category ids."""

COCO_WITH_BACKGROUND: tuple[str, ...] = ("background", *COCO)
"""The same, with the background as class 0."""

VOC: tuple[str, ...] = tuple(_NAMES["voc"])
"""Pascal VOC: the background as class 0, then 20 classes."""

CITYSCAPES: tuple[str, ...] = tuple(_NAMES["cityscapes"])
"""The 19 train ids of Cityscapes, then "ground" for everything else."""
