"""Which mask belongs to which image, and what its values or colours mean."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lcrp.datasets.images import opened, read_labels
from lcrp.errors import InputError, nearest

VOID = 255
# Files that keep every value as it is, and what tools put behind the name of the image.
SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")
LOSSY = (".jpg", ".jpeg", ".webp")
ENDINGS = ("", "_mask", "-mask", "_masks", "_segmentation", "_seg", "_label", "_labels",
           "_labelids", "_gt")  # fmt: skip


def find_masks(images: Sequence[Path], folder: Path) -> list[Path | None]:
    """The mask of each image, by its name; None for an image without one.

    `a.jpg` has the mask `a.png`, else the one file of its folder that is called `a` but for its
    ending (`a.PNG`, `a.tif`), or `a_mask`, `a_segmentation`, `a_label` and the like.

    Args:
        images: files, relative to the folder of the images.
        folder: of the masks, laid out like that of the images.

    Raises:
        InputError: no image has a mask, or one has two; it names an example of what lies there.
    """
    lying = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            lying[path.parent, path.stem.casefold()].append(path)
    found = [_mask_of(image, folder, lying) for image in images]
    if not any(found):
        raise InputError(f"{folder}: no mask is named like an image{_example(images, lying)}")
    return found


def _mask_of(image, folder, lying):
    plain = folder / image.with_suffix(".png")
    if plain.is_file():
        return plain
    stems = [f"{image.stem}{ending}".casefold() for ending in ENDINGS]
    there = [path for stem in stems for path in lying[plain.parent, stem]]
    kept = [path for path in there if path.suffix.lower() in SUFFIXES]
    if len(kept) > 1:
        raise InputError(
            f"{kept[0]}: the image {image} has another mask, {kept[1].name}; keep one of them in "
            "the folder"
        )
    return kept[0] if kept else None


def _example(images, lying):
    files = [path for paths in lying.values() for path in paths]
    wanted = f", as {images[0].with_suffix('.png').name} would be for {images[0].name}"
    if not files:
        return f"{wanted}; the folder is empty"
    if all(path.suffix.lower() in LOSSY for path in files):
        return (
            f"{wanted}; there lies {files[0].name}, but JPEG changes the values of pixels: write "
            "the masks as PNG"
        )
    return f"{wanted}; there lies {files[0].name}: rename the masks"


class Values:
    """What the values or colours of masks mean, where they are not the classes' own indices.

    Args:
        given: {value from 0 to 255, or colour as "#rrggbb": class name, or "void"}.
        classes: names by class index.

    Raises:
        InputError: a value is none, or a name is no class.
    """

    def __init__(self, given: Mapping[object, str], classes: Sequence[str]):
        self.indices = {}
        for value, name in given.items():
            if name != "void" and name not in classes:
                raise InputError(
                    f"dataset.values: {value}: there is no class {name!r} in `classes`; use "
                    f"{nearest(name, classes)}, or void"
                )
            index = VOID if name == "void" else list(classes).index(name)
            self.indices[_value(value)] = index
        self.coloured = any(isinstance(value, tuple) for value in self.indices)
        if self.coloured and not all(isinstance(value, tuple) for value in self.indices):
            raise InputError("dataset.values: give either values or colours, and not both")

    def read(self, path: Path) -> np.ndarray:
        """A mask as (h, w) uint8 class indices, 255 for void.

        Raises:
            InputError: it cannot be read, or holds what is not named.
        """
        if not self.coloured:
            return self._mapped(read_labels(path), path)
        with opened(path, "mask") as image:
            pixels = np.array(image.convert("RGB"))
        codes = pixels.astype(np.int32) @ np.array([65536, 256, 1])
        return self._mapped(codes, path)

    def _mapped(self, codes, path):
        known = {_code(value): index for value, index in self.indices.items()}
        labels = np.full(codes.shape, VOID, np.uint8)
        for code in np.unique(codes):
            if int(code) not in known:
                shown = f"#{int(code):06x}" if self.coloured else int(code)
                raise InputError(
                    f"{path}: it holds {shown}, which `values` does not name; add it, as a class "
                    "or as void"
                )
            labels[codes == code] = known[int(code)]
        return labels


def _value(given):
    """A key of `values` as a number or as a tuple of red, green and blue."""
    text = str(given).strip().lower()
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))
    if re.fullmatch(r"\d{1,3}", text) and int(text) <= 255:
        return int(text)
    raise InputError(
        f"dataset.values: {given!r} is neither a value from 0 to 255 nor a colour as '#ff0000'"
    )


def _code(value):
    return value if isinstance(value, int) else value[0] * 65536 + value[1] * 256 + value[2]
