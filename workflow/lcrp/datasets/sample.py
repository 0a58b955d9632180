"""What every format is read into."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.images import image_size, read_image
from lcrp.errors import InputError
from lcrp.file_names import FileNames

VOID = 255  # in class maps: pixels that do not count


@dataclass
class Thing:
    """One annotated object, or one class region of a semantic mask.

    Attributes:
        id: unique within the image.
        class_index: in the classes of the dataset.
        class_name: its name there.
        box: (x1, y1, x2, y2), pixels of the original image.
        crowd: whether it is a region of many objects that were not told apart.
        draw: makes the mask.
    """

    id: str
    class_index: int
    class_name: str
    box: tuple[float, float, float, float]
    crowd: bool = False
    draw: Callable[[], np.ndarray | None] = field(default=lambda: None, repr=False)

    def mask(self) -> np.ndarray | None:
        """(h, w) bool in original pixels, or None where only the box is annotated."""
        return self.draw()


class Sample:
    """One image of a dataset with its annotation; nothing is read before it is asked for.

    Attributes:
        dataset: it is one of this dataset's.
        number: its position there.
        id: unique within the dataset, fit for a file name.
        file: path of the image below the dataset's images.
        path: path of the image.
    """

    def __init__(self, dataset: "Dataset", number: int):
        self.dataset, self.number = dataset, number
        self.id = dataset.ids[number]
        self.file = dataset.files[number].as_posix()
        self.path = dataset.images / dataset.files[number]

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels: what the annotation says, else what the file says."""
        declared = self.dataset.declared_size(self)
        if not declared:
            return image_size(self.path)
        height, width = declared
        return height, width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.size[0]

    @property
    def width(self) -> int:
        """Pixels."""
        return self.size[1]

    def image(self) -> np.ndarray:
        """(h, w, 3) uint8 RGB, upright.

        Raises:
            InputError: it cannot be read.
        """
        return read_image(self.path, self.dataset.declared_size(self))

    @cached_property
    def things(self) -> list[Thing]:
        """The annotated objects with an area, in the annotation's order."""
        return self.dataset.read_things(self)

    @cached_property
    def stuff(self) -> list[Thing]:
        """Annotated regions that no model is to find, as water or sky, as things; often none.

        Their class index is -1: their classes are none of the dataset's.
        """
        return self.dataset.read_stuff(self)

    def labels(self) -> np.ndarray | None:
        """(h, w) uint8 class indices, 255 for void, or None without annotation."""
        return self.dataset.read_labels(self)

    @property
    def classes_present(self) -> tuple[int, ...]:
        """Indices of the annotated classes, ascending; the background is not one of them."""
        return tuple(sorted({thing.class_index for thing in self.things}))

    def annotation_sha256(self) -> str:
        """Fingerprint of what is annotated in this image."""
        return hashlib.sha256(self.dataset.annotation_bytes(self)).hexdigest()

    def __repr__(self) -> str:
        return f"Sample({self.id})"


class Dataset(Sequence):
    """Samples in a fixed order.

    Attributes:
        format: name of the format.
        annotated: whether there is an annotation at all.
        images: folder that `files` are relative to.
        files: the images.
        ids: of the samples.
        class_map: the classes, and those of the model onto which they are mapped.
    """

    format = ""
    annotated = True

    def __init__(
        self,
        images: str | os.PathLike,
        files: Iterable[str | os.PathLike],
        classes: ClassMap,
        ids: Sequence[str] | None = None,
    ):
        self.images = Path(images)
        self.files = tuple(Path(file) for file in files)
        self.class_map = classes
        self.ids = tuple(ids) if ids else name_ids(self.files)
        self._numbers = {name: number for number, name in enumerate(self.ids)}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class index."""
        return self.class_map.classes

    @property
    def background(self) -> frozenset[int]:
        """Indices of classes that stand for everything else."""
        return self.class_map.background

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: Any) -> Any:
        """A sample by position, or by its id; a list of samples for a slice."""
        if isinstance(number, slice):
            return [Sample(self, n) for n in range(*number.indices(len(self)))]
        if isinstance(number, str):
            if number not in self._numbers:
                raise InputError(f"image {number}: not in the dataset; it has {self.ids[0]}, ...")
            return Sample(self, self._numbers[number])
        return Sample(self, range(len(self))[number])

    @property
    def listed(self) -> tuple[str, ...]:
        """Ids in the order in which the dataset's own list or annotation file names them."""
        return self.ids

    @property
    def fingerprint(self) -> str:
        """sha256 of what the samples of one analysis must share: the format and the classes."""
        facts = json.dumps([self.format, self.classes, sorted(self.background)])
        return hashlib.sha256(facts.encode()).hexdigest()

    def declared_size(self, sample: Sample) -> tuple[int, int] | None:
        """(height, width) that the annotation refers to, or None."""
        return None

    def read_things(self, sample: Sample) -> list[Thing]:
        """What `Sample.things` holds."""
        return []

    def read_stuff(self, sample: Sample) -> list[Thing]:
        """What `Sample.stuff` holds."""
        return []

    def read_labels(self, sample: Sample) -> np.ndarray | None:
        """What `Sample.labels` returns."""
        return None

    def check_annotations(self, rows: list[dict]) -> None:
        """Raise InputError where the rows of the index cannot be what the annotations mean."""

    def annotation_bytes(self, sample: Sample) -> bytes:
        """Bytes that change with what is annotated in an image, and only then."""
        return b""


def name_ids(files: Sequence[Path]) -> tuple[str, ...]:
    """Ids of image files, each of its own.

    Their stems; where two share one, their paths with dashes, with the ending of the file where
    that does not tell them apart either; else names that a mark tells apart.
    """
    stems = [file.stem for file in files]
    if len(set(stems)) == len(stems):
        return tuple(stems)
    paths = ["-".join(file.with_suffix("").parts) for file in files]
    if len(set(paths)) == len(paths):
        return tuple(paths)
    whole = ["-".join(file.parts) for file in files]
    if len(set(whole)) == len(whole):
        return tuple(whole)
    return tuple(FileNames([file.as_posix() for file in files]).values())


def paint(things: Sequence[Thing], size: tuple[int, int], fill: int) -> np.ndarray:
    """(h, w) uint8 class indices of things, small ones over large ones, `fill` elsewhere."""
    if any(thing.class_index >= VOID for thing in things):
        raise InputError(
            f"a class mask tells at most {VOID} classes apart; name fewer in `model.classes`, or "
            "use a detector"
        )
    labels = np.full(size, fill, np.uint8)
    drawn = [(thing.class_index, thing.mask()) for thing in things]
    known = [(index, mask) for index, mask in drawn if mask is not None]
    for index, mask in sorted(known, key=lambda entry: -int(entry[1].sum())):
        labels[mask] = index
    return labels


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """(x1, y1, x2, y2) around the true pixels of a mask, in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x1, y1, x2, y2 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return float(x1), float(y1), float(x2), float(y2)


def has_area(box: Sequence[float], size: tuple[int, int]) -> bool:
    """Whether a box covers any part of an image of (height, width)."""
    height, width = size
    x1, y1, x2, y2 = box
    return min(x2, width) > max(x1, 0) and min(y2, height) > max(y1, 0)
