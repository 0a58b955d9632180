"""Masks of targets and parts of images, and how much relevance lands in each.

*Masks* are given for every target. *Parts* are masks of an image that all of its targets ask for;
they travel once, however many these are.
"""

from collections.abc import Mapping

import torch

from lcrp.attribution.batching import Batching
from lcrp.attribution.extents import arriving
from lcrp.attribution.landing import Fields, Landing
from lcrp.attribution.rows import Messages
from lcrp.attribution.targets import Targets
from lcrp.errors import InputError

# Masks that travel together: their windows are as large as the largest's.
_MASKS = 8


def land(
    targets: Targets,
    starts: Mapping[int, dict],
    kept: Mapping[int, Messages],
    channels: Mapping[int, int],
    fields: Mapping[int, Fields],
    batching: Batching,
) -> dict[int, list[torch.Tensor]]:
    """Relevance of targets that lands in masks, seen from some layers.

    Args:
        targets: of one walk.
        starts: {node: {target: extent}} where their relevance starts.
        kept: {node: relevance}, of the layers at which some arrived.
        channels: {node: how many} of all layers that are asked for.
        fields: {image: its masks}.
        batching: how many masks travel together.

    Returns:
        {node: [(places, channels) of each target]}, float32 on the CPU.
    """
    record = targets.prediction.record
    places = [1 + max(fields[target.image].places) for target in targets]
    found = {
        node: torch.zeros(len(targets), max(places), count) for node, count in channels.items()
    }
    arrived = arriving(record.program, starts, len(targets))
    landing = Landing(record, arrived, fields, kept)
    if kept:
        batching.run(record.program, len(landing), lambda i, j: landing.land(i, j, found), _MASKS)
    return {
        node: [own[:count] for own, count in zip(values, places, strict=True)]
        for node, values in found.items()
    }


def checked_masks(masks: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Masks, unchanged; InputError unless they are one or several for each target, input pixels."""
    size = targets.prediction.size
    if masks.ndim not in (3, 4) or len(masks) != len(targets) or masks.shape[-2:] != size:
        raise InputError(
            f"masks: shape {tuple(masks.shape)}; give ({len(targets)}, {size[0]}, {size[1]}) "
            f"or ({len(targets)}, masks, {size[0]}, {size[1]})"
        )
    return masks


def fields_of_parts(targets: Targets, parts: Mapping[int, torch.Tensor], like) -> dict[int, Fields]:
    """{image: its parts}, all of which all of its targets ask for.

    Args:
        parts: {image: (A, H, W)}, input pixels.
        like: tensor whose device and dtype they get.

    Raises:
        InputError: an image of a target has no parts, or they are not of the input's size.
    """
    fields = {}
    for n, target in enumerate(targets):
        if target.image not in fields:
            own = _valid_parts(parts.get(target.image), target).to(like)
            fields[target.image] = Fields(own, list(range(len(own))), [[] for _ in own])
        for readers in fields[target.image].readers:
            readers.append(n)
    return fields


def fields_of_masks(targets: Targets, masks: torch.Tensor, like) -> dict[int, Fields]:
    """{image: its masks}: a target asks for the whole input (place 0) and for its own masks.

    Args:
        masks: (T, H, W) or (T, K, H, W), input pixels.
        like: tensor whose device and dtype they get.
    """
    masks, fields = (masks if masks.ndim == 4 else masks.unsqueeze(1)).to(like), {}
    for n, (target, own) in enumerate(zip(targets, masks, strict=True)):
        if target.image not in fields:
            fields[target.image] = Fields([torch.ones_like(own[:1])], [0], [[]])
        kept = fields[target.image]
        kept.readers[0].append(n)
        kept.masks.append(own)
        kept.places.extend(range(1, len(own) + 1))
        kept.readers.extend([n] for _ in own)
    return {image: own._replace(masks=torch.cat(own.masks)) for image, own in fields.items()}


def _valid_parts(own, target):
    size = target.prediction.size
    if own is None or own.ndim != 3 or not len(own) or tuple(own.shape[1:]) != size:
        given = "none" if own is None else f"shape {tuple(own.shape)}"
        raise InputError(
            f"parts of image {target.image}: {given}; give (parts, {size[0]}, {size[1]})"
        )
    return torch.as_tensor(own)
