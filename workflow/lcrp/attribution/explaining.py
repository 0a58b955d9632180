"""From targets to their result: walks down for some targets at a time, then their masks up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from lcrp.attribution.batching import Batching
from lcrp.attribution.parts import fields_of_masks, fields_of_parts, land
from lcrp.attribution.result import (
    Result,
    blank,
    heatmap_visitor,
    joined,
    keeping_visitor,
    summary_visitor,
)
from lcrp.attribution.seeds import seeds, starts
from lcrp.attribution.targets import Targets
from lcrp.attribution.walk import Walk


@dataclass(frozen=True)
class Request:
    """What is asked about targets.

    Attributes:
        channels: {layer: how many channels it has} of the layers.
        heatmaps: whether input relevance is asked for.
        masks: (T, H, W) or (T, K, H, W), input pixels, or None.
        parts: {image: (A, H, W)}, input pixels, or None.
    """

    channels: Mapping[str, int]
    heatmaps: bool = False
    masks: torch.Tensor | None = None
    parts: Mapping[int, torch.Tensor] | None = None

    @property
    def lands(self) -> bool:
        """Whether it is asked where relevance lands."""
        return self.masks is not None or self.parts is not None

    def some(self, batch: slice) -> "Request":
        """The same about some of the targets."""
        return self if self.masks is None else replace(self, masks=self.masks[batch])


def explained(targets: Targets, request: Request, like: torch.Tensor, batching: Batching) -> Result:
    """The result of targets, as many at a time as walk together.

    Args:
        targets: one at least, ordered by image.
        like: tensor whose device and dtype masks get.
    """
    program, pieces = targets.prediction.record.program, []
    groups = [(0, len(targets))]
    if request.parts is not None:
        groups = batching.groups(program, [target.image for target in targets])
    for first, last in groups:

        def work(start, stop, first=first):
            batch = slice(first + start, first + stop)
            return _walked(targets[batch], request.some(batch), like, batching)

        pieces += batching.run(program, last - first, work)
    return joined(targets, pieces)


@torch.no_grad()
def _walked(targets, request, like, batching):
    """The result of targets that walk together."""
    prediction, record = targets.prediction, targets.prediction.record
    # A layer that is not run at this size of images keeps its zeros.
    layers = record.program.layers
    nodes = {layers[name]: name for name in request.channels if name in layers}
    result = blank(targets, request.channels, prediction.size, request.heatmaps)
    visitors, kept = {}, {}
    for node, name in nodes.items():
        size = record.program.graph.nodes[node].shape[2:]
        visitors[node] = summary_visitor(result, name, size)
        if request.lands:
            visitors[node] = keeping_visitor(kept, node, visitors[node])
    if request.heatmaps:
        visitors[0] = heatmap_visitor(result.heatmaps)
    seeded = seeds(prediction, targets)
    begin = starts(seeded)
    Walk(record, list(visitors) or [0]).run(seeded, visitors, whole=False)

    def landed(fields):
        counts = {node: request.channels[name] for node, name in nodes.items()}
        found = land(targets, begin, kept, counts, fields, batching)
        return {nodes[node]: values for node, values in found.items()}

    if request.parts is not None:
        result.parts = landed(fields_of_parts(targets, request.parts, like))
        if request.heatmaps:
            # By linearity, what lands in a part is the sum of the heatmap over it: one walk to
            # the input, however many parts there are.
            result.on_parts = [
                request.parts[target.image].flatten(1).to(own) @ own.flatten()
                for target, own in zip(targets, result.heatmaps, strict=True)
            ]
    if request.masks is not None:
        several = request.masks.ndim == 4
        for name, values in landed(fields_of_masks(targets, request.masks, like)).items():
            found = torch.stack(values)  # place 0 is the whole input
            result.landed[name] = found[:, 0]
            result.inside[name] = found[:, 1:] if several else found[:, 1]
    return result
