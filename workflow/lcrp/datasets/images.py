"""Image files as RGB arrays."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lcrp.errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
# Bits of what cameras and scanners write into files of 16.
DEPTHS = (10, 12, 14, 16)
# Values of the EXIF orientation that exchange height and width.
_LYING = {5, 6, 7, 8}
_ORIENTATION = 0x0112
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    MemoryError,
    Image.DecompressionBombError,
)


@contextmanager
def opened(path: str | os.PathLike, kind: str = "image") -> Iterator[Image.Image]:
    """An image file that is open; what Pillow finds damaged, here or in the block, is named.

    Args:
        path: the file.
        kind: what it is called in errors.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such {kind}; check the folder or get the file") from error
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(
            f"{path}: not a readable {kind} ({_line(error)}); replace the file"
        ) from error


class WrongSize(InputError):
    """An image is not of the size that its annotation refers to."""


def read_image(path: str | os.PathLike, size: tuple[int, int] | None = None) -> np.ndarray:
    """An image file as RGB, upright as its EXIF orientation says.

    Greyscale, palette, 16-bit, float and CMYK files are converted; an alpha channel is dropped. Of
    whole numbers beyond 255 the range is that of their depth: 10, 12, 14 or 16 bits, the least that
    holds the largest; of floats it is 0 to 1 where none is larger, else 0 to 255.

    Args:
        path: the file.
        size: the (height, width) that annotations refer to, if known. Where it is that of the
            stored pixels and not that of the upright image, the annotations were made on the
            stored pixels, and these are returned.

    Returns:
        (h, w, 3) uint8.

    Raises:
        InputError: the file is missing, unreadable, or of another size.
    """
    with opened(path) as image:
        image.load()
        stored = image.height, image.width
        upright = ImageOps.exif_transpose(image)
        if size is not None and (upright.height, upright.width) != tuple(size) == stored:
            upright = image
        pixels = _as_rgb(upright)
    if size is not None and pixels.shape[:2] != tuple(size):
        raise WrongSize(
            f"{path}: the image has {pixels.shape[0]} x {pixels.shape[1]} pixels, its annotation "
            f"is for {size[0]} x {size[1]} (height x width); use the image that was annotated"
        )
    return pixels


def image_size(path: str | os.PathLike, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """(height, width) that `read_image` would return, from the file's header alone."""
    with opened(path) as image:
        return _size(image, size)


def check_image(path: str | os.PathLike) -> None:
    """Check that the whole image can be decoded.

    JPEG files are decoded at an eighth of their size, which finds the same damage sooner.

    Raises:
        InputError: it cannot.
    """
    with opened(path) as image:
        image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
        image.load()


def read_labels(path: str | os.PathLike) -> np.ndarray:
    """A PNG of class indices as (h, w) uint8.

    Raises:
        InputError: the file is missing, damaged or coloured.
    """
    with opened(path, "mask") as image:
        mode = image.mode
        labels = np.array(image)
    if mode == "1":
        labels = labels.astype(np.uint8)
    if labels.ndim != 2 or labels.min() < 0 or labels.max() > 255:
        raise InputError(
            f"{path}: a mask holds one class index from 0 to 255 per pixel, this file holds "
            f"colours or larger numbers (mode {mode}); convert it to an 8-bit greyscale or "
            "palette PNG of class indices"
        )
    return labels.astype(np.uint8)


def find_images(folder: str | os.PathLike) -> list[Path]:
    """Image files below a folder as sorted relative paths.

    Raises:
        InputError: there are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path of the images")
    found = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise InputError(f"{folder}: no images in it; check the path of the images")
    return found


def _size(image, size):
    stored = image.height, image.width
    lying = image.getexif().get(_ORIENTATION) in _LYING
    upright = stored[::-1] if lying else stored
    return stored if size is not None and upright != tuple(size) == stored else upright


def _as_rgb(image):
    if image.mode.startswith("I") or image.mode == "F":
        values = np.array(image).astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite pixels")
        # Pillow would clip everything at 255.
        grey = np.clip(np.rint(values * (255 / _largest(image.mode, values))), 0, 255)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _largest(mode, values):
    """The value that is white: of floats up to 1, of a depth in bits beyond 255."""
    brightest = values.max(initial=0)
    if mode == "F" and brightest <= 1:
        return 1
    if brightest <= 255:
        return 255
    return next((2**bits - 1 for bits in DEPTHS if brightest < 2**bits), brightest)


def _line(error):
    text = " ".join(str(error).split()) or type(error).__name__
    # Pillow repeats the path.
    return "unknown format" if text.startswith("cannot identify") else text[:120]
