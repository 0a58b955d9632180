"""Semantic masks: one class index per pixel."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.images import find_images, image_size, read_labels
from lcrp.datasets.mask_files import Values, find_masks
from lcrp.datasets.sample import VOID, Dataset, Thing, box_of
from lcrp.errors import InputError

# Cityscapes' label ids of the 19 classes that are evaluated, in the order of their train ids.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
GROUND = 19
# Where so much of some masks is void and nothing is a class, their values mean something else.
VOID_DOUBT, SAMPLED = 0.05, 20


class MaskDataset(Dataset):
    """Images with one mask each; a thing is all pixels of one class.

    The images of a folder and the masks of another, of the same name. An image without a mask is
    not annotated; pixels of 255 are void.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        classes: names by the masks' values.
        model_classes: names to map them onto, by name.
        unknown: "error" or "ignore", for pixels of a class that is not in `model_classes`.
        values: {value or colour of the masks: class name, or "void"}, where they are not the
            indices of `classes`.

    Raises:
        InputError: a folder is missing or empty, or no mask is named like an image.
    """

    format = "masks"
    values = None

    def __init__(
        self,
        images: str | os.PathLike,
        masks: str | os.PathLike,
        classes: Sequence[str],
        model_classes: Sequence[str] | None = None,
        unknown: str = "error",
        values: Mapping[object, str] | None = None,
    ):
        files = find_images(images)
        if not Path(masks).is_dir():
            raise InputError(f"{masks}: no such folder; check the path of the masks")
        self.values = Values(values, classes) if values else None
        paths = find_masks(files, Path(masks))
        self._set_up(images, files, paths, classes, model_classes, unknown)

    def _set_up(self, images, files, masks, own, classes, unknown, ids=None):
        self.mask_files = masks
        self._last = (None, None)
        class_map = ClassMap(own, classes, source="dataset.classes", unknown=unknown)
        if max(len(class_map.own), len(class_map.classes)) > VOID:
            raise InputError(
                f"dataset.classes: {len(class_map.own)} classes; a mask of 8 bits tells at most "
                f"{VOID} apart"
            )
        super().__init__(images, files, class_map, ids)

    def declared_size(self, sample):
        mask = self.mask_files[sample.number]
        return image_size(mask) if mask else None

    def to_own(self, labels: np.ndarray, path: Path) -> np.ndarray:
        """The mask's values as the dataset's own class indices, 255 for void."""
        surplus = labels[(labels >= len(self.class_map.own)) & (labels != VOID)]
        if surplus.size:
            raise InputError(
                f"{path}: it holds the value {int(surplus[0])}, but there are only "
                f"{len(self.class_map.own)} classes (0 to {len(self.class_map.own) - 1}, 255 for "
                "void); name the class in `classes`, or correct the mask"
            )
        return labels

    def read_labels(self, sample):
        labels = self._labels(sample)
        return None if labels is None else labels.copy()

    def _labels(self, sample):
        # The things of a sample and their masks all come from one file, which is read once.
        number, labels = self._last
        if number != sample.number:
            labels = self._mapped(self.mask_files[sample.number])
            self._last = sample.number, labels
        return labels

    def _mapped(self, path):
        if path is None:
            return None
        own = (
            self.to_own(read_labels(path), path) if self.values is None else self.values.read(path)
        )
        table = np.full(256, VOID, np.uint8)
        for value in np.unique(own):
            if value != VOID:
                index = self.class_map.index(int(value), path)
                table[value] = VOID if index is None else index
        return table[own]

    def read_things(self, sample):
        labels = self._labels(sample)
        things = []
        for index in () if labels is None else np.unique(labels):
            if index == VOID or index in self.background:
                continue
            name = self.classes[index]
            box = box_of(labels == index)
            draw = partial(self._region, sample, int(index))
            things.append(
                Thing(id=name, class_index=int(index), class_name=name, box=box, draw=draw)
            )
        return things

    def _region(self, sample, index):
        return self._labels(sample) == index

    def check_annotations(self, rows):
        """Stop where no mask shows a class, and 255 stands where one should be."""
        if any(row["classes"] for row in rows):
            return
        masks = [path for path in self.mask_files if path][:SAMPLED]
        labels = np.concatenate([self._mapped(path).ravel() for path in masks])
        if (labels == VOID).mean() >= VOID_DOUBT:
            raise InputError(
                f"{masks[0]}: no mask shows a class, and {(labels == VOID).mean():.0%} of their "
                "pixels are void (255); where 255 is a class, say so as in "
                f"`values: {{0: {self.class_map.own[0]}, 255: {self.class_map.own[-1]}}}`"
            )

    def annotation_bytes(self, sample):
        path = self.mask_files[sample.number]
        return path.read_bytes() if path else b""


class VocDataset(MaskDataset):
    """Pascal VOC's segmentation (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/).

    Args:
        root: the folder with JPEGImages, SegmentationClass and ImageSets, or one above it.
        split: a list in ImageSets/Segmentation.
        classes: names to map the 21 classes onto, by name.
        unknown: "error" or "ignore", for pixels of a class that is not in `classes`.

    Raises:
        InputError: a folder, the list or a mask is missing.
    """

    format = "voc"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "trainval",
        classes: Sequence[str] | None = None,
        unknown: str = "error",
    ):
        # Imported here: the package of models loads torch.
        from lcrp.models.class_names import VOC

        root = _find_root(root, "ImageSets/Segmentation", ("VOC2012", "VOCdevkit/VOC2012"))
        names = _read_list(root / "ImageSets" / "Segmentation" / f"{split}.txt")
        masks = [root / "SegmentationClass" / f"{name}.png" for name in names]
        missing = [mask for mask in masks if not mask.is_file()]
        if missing:
            raise InputError(
                f"{missing[0]}: no such mask, though {split}.txt lists it "
                f"({len(missing)} missing in all); unpack the archive again"
            )
        files = [f"{name}.jpg" for name in names]
        self._set_up(root / "JPEGImages", files, masks, VOC, classes, unknown)


class CityscapesDataset(MaskDataset):
    """Cityscapes' fine annotations (https://www.cityscapes-dataset.com).

    Label ids become the 19 train ids, every other label 19, "ground". Where only files of train
    ids exist they are taken as they are, 255 for void.

    Args:
        root: the folder with leftImg8bit and gtFine.
        split: "train", "val" or "test".
        classes: names to map the 20 classes onto, by name.
        unknown: "error" or "ignore", for pixels of a class that is not in `classes`.

    Raises:
        InputError: a folder or a mask is missing.
    """

    format = "cityscapes"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "val",
        classes: Sequence[str] | None = None,
        unknown: str = "error",
    ):
        # Imported here: the package of models loads torch.
        from lcrp.models.class_names import CITYSCAPES

        root = _find_root(root, f"leftImg8bit/{split}", ())
        images = root / "leftImg8bit" / split
        files = [file for file in find_images(images) if file.stem.endswith("_leftImg8bit")]
        ids = [file.stem.removesuffix("_leftImg8bit") for file in files]
        if not ids:
            raise InputError(f"{images}: no file <city>/*_leftImg8bit.png; unpack the archive here")
        masks = []
        for name, file in zip(ids, files, strict=True):
            folder = root / "gtFine" / split / file.parent
            kinds = [folder / f"{name}_gtFine_{kind}.png" for kind in ("labelIds", "labelTrainIds")]
            mask = next((path for path in kinds if path.is_file()), None)
            if mask is None:
                raise InputError(f"{kinds[0]}: no such file; unpack gtFine_trainvaltest.zip here")
            masks.append(mask)
        self._set_up(images, files, masks, CITYSCAPES, classes, unknown, ids)

    def to_own(self, labels, path):
        if path.stem.endswith("_labelTrainIds"):
            return super().to_own(labels, path)
        table = np.full(256, GROUND, np.uint8)
        table[list(CITYSCAPES_IDS)] = range(len(CITYSCAPES_IDS))
        return table[labels]


def _find_root(root, inside, below):
    root = Path(root)
    for candidate in (root, *(root / folder for folder in below)):
        if (candidate / inside).is_dir():
            return candidate
    raise InputError(f"{root / inside}: no such folder; give the folder that {inside} lies in")


def _read_list(path):
    try:
        lines = path.read_text().split("\n")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such list; check `split`") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise InputError(f"{path}: the list is empty; unpack the archive again")
    return names
