"""Backgrounds that replace the one of an image, blended with it: eight variants.

Those of the verification of Dreyer et al., arXiv 2211.11426: grey noise, noise in colour, the mean
colour, and a random colour, at half and at full strength. They are drawn in the units of images
that are normalised as for ImageNet and converted to those of the model, so that every model sees
the same pictures.
"""

from collections.abc import Iterable

import torch
from numpy.typing import ArrayLike

from lcrp.models.preprocessing import IMAGENET, PixelScale

KINDS = ("grey noise", "colour noise", "mean colour", "random colour")
STRENGTHS = (0.5, 1.0)


def replaced_backgrounds(
    image: torch.Tensor, mask: ArrayLike, pixels: PixelScale, seed: Iterable[int]
) -> torch.Tensor:
    """An image before each of the backgrounds.

    Args:
        image: (3, H, W), normalised as the model wants.
        mask: (H, W) bool, the object, which stays.
        pixels: how the model normalises.
        seed: integers that fix the draws.

    Returns:
        (8, 3, H, W): each of `KINDS`, in turn at each of `STRENGTHS`.
    """
    generator = torch.Generator().manual_seed(_hash(seed))
    height, width = image.shape[1:]

    def uniform(*shape):
        return torch.rand(shape, generator=generator) - 0.5

    drawn = {
        "grey noise": 3 * uniform(1, height, width).expand(3, -1, -1),
        "colour noise": 3 * uniform(3, height, width),
        "mean colour": torch.zeros(3, height, width),
        "random colour": 4 * uniform(3, 1, 1).expand(-1, height, width),
    }
    object_ = torch.as_tensor(mask).to(image.dtype)
    made = []
    for kind in KINDS:
        background = _to_units(drawn[kind], pixels)
        for strength in STRENGTHS:
            blended = strength * background + (1 - strength) * image
            made.append(object_ * image + (1 - object_) * blended)
    return torch.stack(made)


def _to_units(picture, pixels):
    mean, std, own_mean, own_std = (
        torch.tensor(values)[:, None, None]
        for values in (IMAGENET.mean, IMAGENET.std, pixels.mean, pixels.std)
    )
    values = (picture * std + mean) * IMAGENET.divisor
    return (values / pixels.divisor - own_mean) / own_std


def _hash(numbers):
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + int(number) + 1) % 2**63
    return seed
