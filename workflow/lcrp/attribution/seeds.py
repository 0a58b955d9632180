"""Seeds: the relevance that each target starts with, at the outputs of the network.

Initial relevance as in Dreyer et al., arXiv 2211.11426, section 3 (see `targets`). A target that
starts at a few cells of a map is seeded as a window around them.
"""

from collections.abc import Sequence

import torch

from lcrp.attribution.rows import Messages, Rows, windows
from lcrp.attribution.targets import Prediction, Target


def seeds(prediction: Prediction, targets: Sequence[Target]) -> dict[int, Messages]:
    """{node: message} of initial relevance, for each output in which a target starts.

    Args:
        prediction: whose targets they are.
        targets: one at least; ordered by image, as `Targets` are.
    """
    everyone = Rows([target.image for target in targets])
    graph = prediction.record.program.graph
    made = {}
    for output in dict.fromkeys(target.output for target in targets):
        members = [i for i, target in enumerate(targets) if target.output == output]
        raw, some = prediction.outputs[output], [targets[i] for i in members]
        rows, shape = everyone.select(members), tuple(raw.shape[1:])
        if len(shape) == 3:
            extents = [_extent(target, shape) for target in some]
            rows.origins, window = windows(extents, shape[1:])
            shape = (shape[0], *window)
        made[graph.outputs[output]] = Messages(
            initial_relevance(some, shape, raw, rows.origins), rows
        )
    return made


def initial_relevance(
    targets: Sequence[Target],
    shape: Sequence[int],
    like: torch.Tensor,
    origins: Sequence[tuple[int, int]] | None = None,
) -> torch.Tensor:
    """Relevance (T, *shape) of targets that all start in one output, and zero elsewhere.

    Args:
        shape: that of the raw output for one image, or of windows of it.
        like: the raw output (B, ...); gives dtype and device.
        origins: (y, x) where each target's window begins; None for whole maps.
    """
    relevance = like.new_zeros((len(targets), *shape))
    for i, target in enumerate(targets):
        index = target.index
        if origins is not None:
            channel, y, x = torch.unravel_index(index, like.shape[1:])
            index = (channel * shape[1] + y - origins[i][0]) * shape[2] + x - origins[i][1]
        relevance[i].view(-1)[index] = target.value.to(like)
    if len(shape) == 3:
        relevance = relevance.contiguous(memory_format=torch.channels_last)
    return relevance


def starts(seeded: dict[int, Messages]) -> dict[int, dict[int, tuple[int, int, int, int]]]:
    """{node: {target: extent (y1, x1, y2, x2)}} where relevance of each target starts."""
    return {node: _extents(message) for node, message in seeded.items()}


def _extents(message: Messages) -> dict[int, tuple[int, int, int, int]]:
    values, rows = message.values, message.rows
    height, width = values.shape[2:] if values.ndim == 4 else (1, 1)
    return {
        member: (y, x, y + height, x + width)
        for member, (y, x) in zip(rows.members, rows.corners(), strict=True)
    }


def _extent(target: Target, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """(y1, x1, y2, x2) around where a target starts in a raw output of a shape (C, H, W)."""
    _, y, x = torch.unravel_index(target.index, shape)
    return int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1
