"""From an image to a network's input: three ways to fit it, and the pixel scales.

Each `fit` function takes an image (h, w, 3) uint8 RGB and a size (H, W), and returns the
fitted image (H, W, 3) uint8 with the Geometry that leads back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image

from lcrp.models.geometry import Geometry

GREY = 114


def stretch(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Resize to the size by OpenCV's bilinear interpolation; the ratio of sides is not kept."""
    height, width = size
    fitted = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return fitted, _geometry(image, size, size, (0, 0))


def letterbox(
    image: np.ndarray, size: tuple[int, int], whole: Callable[[float], int] = round
) -> tuple[np.ndarray, Geometry]:
    """Resize so that the image just fits, and pad evenly with grey.

    OpenCV's area interpolation when it shrinks, bilinear when it grows. The resized sides
    become whole pixels by `whole`; an odd pixel of padding goes right and below.
    """
    height, width = image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    resized = (max(1, whole(height * ratio)), max(1, whole(width * ratio)))
    top, left = ((size[axis] - resized[axis]) // 2 for axis in (0, 1))
    content = image
    if resized != (height, width):
        interpolation = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        content = cv2.resize(image, resized[::-1], interpolation=interpolation)
    fitted = np.full((*size, 3), GREY, dtype=np.uint8)
    fitted[top : top + resized[0], left : left + resized[1]] = content
    return fitted, _geometry(image, size, resized, (left, top))


def cover(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Resize so that the image just covers the size (Pillow's bilinear), and crop the centre."""
    height, width = image.shape[:2]
    if height * size[1] <= width * size[0]:
        resized = (size[0], max(size[1], int(size[0] * width / height)))
    else:
        resized = (max(size[0], int(size[1] * height / width)), size[1])
    picture = Image.fromarray(image).resize(resized[::-1], Image.Resampling.BILINEAR)
    top, left = (round((resized[axis] - size[axis]) / 2) for axis in (0, 1))
    fitted = np.asarray(picture)[top : top + size[0], left : left + size[1]]
    return np.ascontiguousarray(fitted), _geometry(image, size, resized, (-left, -top))


def _geometry(image, size, resized, offset):
    height, width = image.shape[:2]
    return Geometry(
        original=(height, width),
        input=tuple(size),
        scale=(resized[1] / width, resized[0] / height),
        offset=(float(offset[0]), float(offset[1])),
    )


@dataclass(frozen=True)
class PixelScale:
    """Pixel values of a network's input: (pixel / divisor - mean) / std per colour (R, G, B)."""

    divisor: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def apply(self, image: np.ndarray) -> torch.Tensor:
        """Image (H, W, 3) uint8 as a float32 tensor (3, H, W)."""
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
        tensor = tensor / self.divisor
        return (tensor - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[
            :, None, None
        ]

    def invert(self, tensor: torch.Tensor) -> np.ndarray:
        """Tensor (3, H, W) as an image (H, W, 3) uint8."""
        tensor = tensor.detach().float().cpu()
        std, mean = (torch.tensor(v)[:, None, None] for v in (self.std, self.mean))
        pixels = (tensor * std + mean) * self.divisor
        return pixels.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


IMAGENET = PixelScale(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT = PixelScale(255.0)
