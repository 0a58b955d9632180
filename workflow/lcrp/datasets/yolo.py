"""YOLO text labels: one line per object."""

import os
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.coco_masks import draw_mask
from lcrp.datasets.images import find_images
from lcrp.datasets.sample import Dataset, Thing, has_area, paint
from lcrp.datasets.yolo_lines import box_and_outline, layout, numbers_of
from lcrp.errors import InputError

# A box may leave the image by as much, since writers of labels round.
SLACK = 0.01

# So many files say whether longer lines are outlines or poses.
SAMPLED = 50


class YoloDataset(Dataset):
    """Images with one text file each, of the same name.

    A line is `class x y width height` (centre and size), with or without a confidence or the points
    of a pose behind it, or `class x1 y1 x2 y2 x3 y3 ...` (an outline), relative to the image. An
    image without a text file shows no object.

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
            own, numbers = numbers_of(line, where)
            self._check_class(own, where)
            index = self.class_map.index(own, where)
            if index is None:
                continue
            relative, points = box_and_outline(numbers, self._layout, where, line)
            height, width = sample.size
            box = tuple(n * side for n, side in zip(relative, (width, height) * 2, strict=True))
            outline = None
            if points is not None:
                sides = (width, height) * (len(points) // 2)
                outline = [[n * side for n, side in zip(points, sides, strict=True)]]
            if has_area(box, sample.size):
                draw = partial(draw_mask, outline, sample.size, where)
                things.append(Thing(str(number), index, self.classes[index], box, draw=draw))
        return things

    @cached_property
    def _layout(self):
        """What longer lines hold, by those of some files."""
        lines = []
        for path in [path for path in self.label_files if path.is_file()][:SAMPLED]:
            for number, line in enumerate(self._read(path).splitlines(), start=1):
                if line.strip():
                    lines.append(numbers_of(line, f"{path}:{number}")[1])
        return layout([numbers for numbers in lines if len(numbers) > 5])

    def _check_class(self, own, where):
        count = len(self.class_map.own)
        if not 0 <= own < count:
            raise InputError(
                f"{where}: class {own}, but `classes` names {count} (0 to {count - 1}); "
                "add its name, or correct the label"
            )

    def read_labels(self, sample):
        things = sample.things
        if any(thing.mask() is None for thing in things):
            return None
        return paint(things, sample.size, self.class_map.fill)

    def annotation_bytes(self, sample):
        return self._text(sample).encode()

    def _text(self, sample):
        return self._read(self.label_files[sample.number])

    def _read(self, path):
        try:
            # Editors put a byte order mark first.
            return path.read_text(encoding="utf-8-sig") if path.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a text file; check the path of the labels") from error
