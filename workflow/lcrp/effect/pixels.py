"""Interventions on pixels: a background replaced, a thing painted over.

All images are (H, W, 3) uint8, all masks (H, W) bool, in the pixels of the network's input. The
mask of an object says what stays; the content says where an image lies in the input.
"""

import cv2
import numpy as np

from lcrp.models.geometry import Geometry

# Inpainting is done on at most this many pixels a side: a fill is smooth, and its time grows fast.
LARGEST_FILL = 256
_RADIUS = 3
_BLUR = 0.05  # standard deviation, of the shorter side

Content = tuple[slice, slice]  # rows and columns of the input that show the image


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask with all that lies within some pixels of it."""
    if not pixels or not mask.any():
        return mask
    side = 2 * pixels + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def content_of(geometry: Geometry) -> Content:
    """(rows, columns) of the input that show the image, not padding, as slices."""
    seen = geometry.mask_to_input(np.ones(geometry.original, bool), fill=False)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def put_into(
    image: np.ndarray,
    mask: np.ndarray,
    content: Content,
    donor: np.ndarray,
    donor_content: Content,
) -> np.ndarray:
    """The object of one image on the background of another.

    The donor is scaled and cropped to cover the place of the image.
    """
    place = image[content]
    picture = donor[donor_content]
    height, width = place.shape[:2]
    if picture.shape[:2] != (height, width):
        scale = max(height / picture.shape[0], width / picture.shape[1])
        size = [
            max(round(side * scale), least)
            for side, least in zip(picture.shape[:2], (height, width), strict=True)
        ]
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        picture = picture[top : top + height, left : left + width]
    return _behind(image, mask, content, picture)


def _behind(image, mask, content, background):
    after = image.copy()
    after[content] = np.where(mask[content][..., None], image[content], background)
    return after


def blurred(image: np.ndarray, mask: np.ndarray, content: Content) -> np.ndarray:
    """The image with its background blurred, beyond what any outline survives."""
    place = image[content]
    return _behind(
        image, mask, content, cv2.GaussianBlur(place, (0, 0), _BLUR * min(place.shape[:2]))
    )


def noisy(
    image: np.ndarray, mask: np.ndarray, content: Content, random: np.random.Generator
) -> np.ndarray:
    """The image with a background of uniform noise."""
    noise = random.integers(0, 256, image[content].shape, dtype=np.uint8)
    return _behind(image, mask, content, noise)


def plain(image: np.ndarray, mask: np.ndarray, content: Content) -> np.ndarray:
    """The image with the mean colour of its background everywhere behind the object."""
    outside = ~mask[content]
    colour = image[content][outside].mean(axis=0) if outside.any() else np.zeros(3)
    return _behind(image, mask, content, np.round(colour).astype(np.uint8))


def painted_over(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The image with a region filled from its surroundings (Telea's inpainting, by OpenCV)."""
    if not region.any():
        return image.copy()
    height, width = region.shape
    scale = min(1.0, LARGEST_FILL / max(height, width))
    small, hole = image, region.astype(np.uint8)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        # A pixel that the region only touches holds some of it.
        hole = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        hole = hole.astype(np.uint8)
    fill = cv2.inpaint(np.ascontiguousarray(small), hole, _RADIUS, cv2.INPAINT_TELEA)
    if scale < 1:
        fill = cv2.resize(fill, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(region[..., None], fill, image)


def elsewhere(
    region: np.ndarray, forbidden: np.ndarray, random: np.random.Generator, tries: int = 8
) -> np.ndarray | None:
    """A region as large, of much the same form, at another place of the background.

    The region is shifted (what leaves the image returns at the other side) to where it meets
    least of what is forbidden; what still does is made up for by the nearest free pixels.

    Args:
        region: the original.
        forbidden: where it may not be; the region itself need not be named.
        random: draws the shifts.
        tries: how many shifts.

    Returns:
        The mask, or None where less than half of it finds room.
    """
    free = ~(forbidden | region)
    area, room = int(region.sum()), int(free.sum())
    if not area or room < area / 2:
        return None
    height, width = region.shape
    shifts = zip(random.integers(0, height, tries), random.integers(0, width, tries), strict=True)
    moved = max(
        (np.roll(region, shift, axis=(0, 1)) for shift in shifts),
        key=lambda mask: int((mask & free).sum()),
    )
    kept = moved & free
    missing = min(area, room) - int(kept.sum())
    if missing > 0:
        distance = cv2.distanceTransform((~moved).astype(np.uint8), cv2.DIST_L2, 3)
        distance[kept | ~free] = np.inf
        nearest = np.argpartition(distance, missing - 1, axis=None)[:missing]
        kept.flat[nearest] = True
    return kept
