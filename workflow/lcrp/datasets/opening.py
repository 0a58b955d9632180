"""From an entry of the configuration to a dataset."""

import inspect
from collections.abc import Mapping, Sequence

from lcrp.datasets.coco import CocoDataset
from lcrp.datasets.folder import FolderDataset
from lcrp.datasets.masks import CityscapesDataset, MaskDataset, VocDataset
from lcrp.datasets.sample import Dataset
from lcrp.datasets.yolo import YoloDataset
from lcrp.errors import InputError

FORMATS = {
    kind.format: kind
    for kind in (
        CocoDataset,
        FolderDataset,
        VocDataset,
        CityscapesDataset,
        MaskDataset,
        YoloDataset,
    )
}


def open_dataset(spec: Mapping, classes: Sequence[str] | None = None) -> Dataset:
    """The dataset that a specification describes; no image is opened.

    Args:
        spec: `format` ("coco", "folder", "voc", "cityscapes", "masks", "yolo") and the arguments
            of that format's class. `classes` in it names the model's classes, onto which the
            dataset's are mapped by name; for "masks" and "yolo", whose files hold bare indices,
            it names those.
        classes: the model's classes, onto which the dataset's are mapped by name, in any format.

    Raises:
        InputError: the format or an argument is unknown, a file is missing, an annotation is
            damaged or contradicts another.
    """
    entries = {key: value for key, value in spec.items() if value is not None}
    name = entries.pop("format", None)
    if name not in FORMATS:
        raise InputError(f"dataset.format: {name!r}; allowed are {', '.join(FORMATS)}")
    kind = FORMATS[name]
    allowed = inspect.signature(kind).parameters
    if classes:
        entries["model_classes" if "model_classes" in allowed else "classes"] = tuple(classes)
    surplus = next((key for key in entries if key not in allowed), None)
    if surplus:
        raise InputError(f"dataset.{surplus}: not used by {name}; allowed are {', '.join(allowed)}")
    absent = [
        key
        for key, parameter in allowed.items()
        if parameter.default is parameter.empty and key not in entries
    ]
    if absent:
        raise InputError(f"dataset.{absent[0]}: missing; {name} needs {', '.join(absent)}")
    return kind(**entries)
