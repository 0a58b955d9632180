"""Where the official archives put their files, once unpacked into one folder."""

import os
from pathlib import Path

from lcrp.errors import InputError

# COCO 2014's minival: the images of val2014 that trainval35k, on which the SSD checkpoint was
# trained, leaves out. They are the images of val2017, so that file tells which ones they are.
OFFICIAL = {
    "coco2017-val": {
        "format": "coco",
        "images": "val2017",
        "annotations": "annotations/instances_val2017.json",
    },
    "coco2014-minival": {
        "format": "coco",
        "images": "val2014",
        "annotations": "annotations/instances_val2014.json",
        "only": "annotations/instances_val2017.json",
    },
    "voc2012-trainval": {"format": "voc", "root": "VOCdevkit/VOC2012", "split": "trainval"},
    "cityscapes-val": {"format": "cityscapes", "root": ".", "split": "val"},
}
_PATHS = ("images", "annotations", "only", "root")


def official_spec(name: str, folder: str | os.PathLike) -> dict[str, str]:
    """What `open_dataset` reads for a dataset of the table, unpacked into a folder.

    Raises:
        InputError: the name is unknown.
    """
    if name not in OFFICIAL:
        raise InputError(f"dataset {name}: unknown; known are {', '.join(OFFICIAL)}")
    spec = OFFICIAL[name]
    return {k: str(Path(folder) / v) if k in _PATHS else v for k, v in spec.items()}
