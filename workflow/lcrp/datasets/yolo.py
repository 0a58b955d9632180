"""YOLO text labels: one line per object."""

import os
from collections.abc import Sequence
from functools import partial
from math import isfinite
from pathlib import Path

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.coco_masks import draw_mask
from lcrp.datasets.images import find_images
from lcrp.datasets.sample import Dataset, Thing, has_area, paint
from lcrp.errors import InputError

# A box may leave the image by as much, since writers of labels round.
SLACK = 0.01


class YoloDataset(Dataset):
    """Images with one text file each, of the same name.

    A line is `class x y width height` (centre and size) or `class x1 y1 x2 y2 x3 y3 ...` (an
    outline), relative to the image. An image without a text file shows no object.

    Args:
        images: folder of the images.
        labels: folder of the text files.
        classes: names by class index.
        model_classes: names to map them onto, by name.
        unknown: "error" or "ignore", for objects of a class that is not in `model_classes`.

    Raises:
        InputError: a folder is missing, or no text file is named like an image.
    """

    format = "yolo"

    def __init__(
        self,
        images: str | os.PathLike,
        labels: str | os.PathLike,
        classes: Sequence[str],
        model_classes: Sequence[str] | None = None,
        unknown: str = "error",
    ):
        files = find_images(images)
        if not Path(labels).is_dir():
            raise InputError(f"{labels}: no such folder; check the path of the labels")
        self.label_files = [Path(labels) / file.with_suffix(".txt") for file in files]
        if not any(path.is_file() for path in self.label_files):
            raise InputError(
                f"{labels}: no text file is named like an image, as {self.label_files[0].name}; "
                "check the path of the labels"
            )
        class_map = ClassMap(classes, model_classes, source="dataset.classes", unknown=unknown)
        super().__init__(images, files, class_map)

    def read_things(self, sample):
        path = self.label_files[sample.number]
        things = []
        for number, line in enumerate(self._text(sample).splitlines(), start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            own, numbers = _parse(line, where, len(self.class_map.own))
            index = self.class_map.index(own, where)
            if index is None:
                continue
            height, width = sample.size
            if len(numbers) == 4:
                x, y, w, h = numbers
                box = ((x - w / 2) * width, (y - h / 2) * height)
                box += ((x + w / 2) * width, (y + h / 2) * height)
                outline = None
            else:
                xs = [x * width for x in numbers[0::2]]
                ys = [y * height for y in numbers[1::2]]
                box = (min(xs), min(ys), max(xs), max(ys))
                outline = [[v for point in zip(xs, ys, strict=True) for v in point]]
            if has_area(box, sample.size):
                draw = partial(draw_mask, outline, sample.size, where)
                things.append(Thing(str(number), index, self.classes[index], box, draw=draw))
        return things

    def read_labels(self, sample):
        things = sample.things
        if any(thing.mask() is None for thing in things):
            return None
        return paint(things, sample.size, self.class_map.fill)

    def annotation_bytes(self, sample):
        return self._text(sample).encode()

    def _text(self, sample):
        path = self.label_files[sample.number]
        try:
            return path.read_text() if path.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a text file; check the path of the labels") from error


def _parse(line, where, classes):
    try:
        own, *numbers = (float(word) for word in line.split())
    except ValueError as error:
        raise _malformed(where, line) from error
    if not own.is_integer() or len(numbers) < 4 or len(numbers) % 2:
        raise _malformed(where, line)
    if not 0 <= own < classes:
        raise InputError(
            f"{where}: class {int(own)}, but `classes` names {classes} (0 to {classes - 1}); "
            "add its name, or correct the label"
        )
    if not all(isfinite(n) and -SLACK <= n <= 1 + SLACK for n in numbers):
        raise InputError(
            f"{where}: {line.strip()[:60]!r} has coordinates outside 0 to 1; divide x by the "
            "width and y by the height of the image"
        )
    return int(own), numbers


def _malformed(where, line):
    return InputError(
        f"{where}: {line.strip()[:60]!r} is not `class x y width height` or "
        "`class x1 y1 x2 y2 x3 y3 ...`; correct the line"
    )
