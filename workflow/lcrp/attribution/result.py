"""What is known of explained targets, and the visitors that write it down during a walk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from lcrp.attribution.forward import strongest
from lcrp.attribution.rows import Messages
from lcrp.attribution.targets import Targets

Visitor = Callable[[Messages], None]


@dataclass
class Result:
    """What is known of T targets; tensors on the CPU, float32.

    Attributes:
        targets: what was explained, in the order of the rows below.
        heatmaps: (T, H, W) input relevance, summed over colours; None unless asked for.
        relevance: {layer: (T, channels)} relevance of every concept: of a channel at the output
            of a convolution, batch norm merged, before the activation function.
        positions: {layer: (T, channels)} flat index of each concept's strongest neuron.
        inside: {layer: (T, channels) or (T, K, channels)} relevance that lands in the masks.
        landed: {layer: (T, channels)} relevance that lands anywhere in the input: less than
            `relevance` where biases absorb some. With masks only.
        parts: {layer: [(A, channels) of each target]} relevance that lands in each part of its
            image.
        on_parts: [(A,) of each target] relevance of the whole prediction that lands in each part,
            whichever layers it passes. With heatmaps and parts only.
        activation: {layer: (B, channels)} maximum of each concept in each image.
        activation_positions: {layer: (B, channels)} its flat index.
    """

    targets: Targets
    heatmaps: torch.Tensor | None = None
    relevance: dict[str, torch.Tensor] = field(default_factory=dict)
    positions: dict[str, torch.Tensor] = field(default_factory=dict)
    inside: dict[str, torch.Tensor] = field(default_factory=dict)
    landed: dict[str, torch.Tensor] = field(default_factory=dict)
    parts: dict[str, list] = field(default_factory=dict)
    on_parts: list[torch.Tensor] = field(default_factory=list)
    activation: dict[str, torch.Tensor] = field(default_factory=dict)
    activation_positions: dict[str, torch.Tensor] = field(default_factory=dict)


def blank(
    targets: Targets, channels: Mapping[str, int], size: tuple[int, int], heatmaps: bool
) -> Result:
    """Result of targets with zeros to write to.

    Args:
        channels: of each layer.
        size: (H, W) of the input.
    """
    result = Result(targets)
    for name, count in channels.items():
        result.relevance[name] = torch.zeros(len(targets), count)
        result.positions[name] = torch.zeros(len(targets), count, dtype=torch.int64)
    if heatmaps:
        result.heatmaps = torch.zeros(len(targets), *size)
    return result


def joined(targets: Targets, pieces: Sequence[Result]) -> Result:
    """The results of targets that were explained one batch after the other.

    Args:
        targets: all of them.
        pieces: one at least.
    """
    result = Result(targets)
    heatmaps = [piece.heatmaps for piece in pieces if piece.heatmaps is not None]
    if heatmaps:
        result.heatmaps = torch.cat(heatmaps)
    for entry in ("relevance", "positions", "inside", "landed"):
        for name in getattr(pieces[0], entry):
            whole = torch.cat([getattr(piece, entry)[name] for piece in pieces])
            getattr(result, entry)[name] = whole
    for name in pieces[0].parts:
        result.parts[name] = [found for piece in pieces for found in piece.parts[name]]
    result.on_parts = [found for piece in pieces for found in piece.on_parts]
    return result


def reordered(result: Result, targets: Targets, order: Sequence[int]) -> Result:
    """The same result with its targets in another order.

    Args:
        targets: in that order.
        order: of each, its row in the result.
    """
    order = list(order)

    def rows(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor[order] for name, tensor in tensors.items()}

    return Result(
        targets,
        None if result.heatmaps is None else result.heatmaps[order],
        rows(result.relevance),
        rows(result.positions),
        rows(result.inside),
        rows(result.landed),
        {name: [found[i] for i in order] for name, found in result.parts.items()},
        [result.on_parts[i] for i in order] if result.on_parts else [],
        result.activation,
        result.activation_positions,
    )


def summary_visitor(result: Result, name: str, size: tuple[int, int]) -> Visitor:
    """Visitor that writes the summaries of a layer into a result.

    Args:
        size: (H, W) of the layer's maps.
    """

    def visit(message: Messages) -> None:
        rows, relevance = message.rows, message.values
        # All rows are written in one piece, which is the usual case.
        whole = len(rows) == len(result.targets)
        members = slice(None) if whole else torch.tensor(rows.members)
        positions = _positions(message, size)
        result.relevance[name][members] = relevance.sum(dim=(2, 3), dtype=torch.float32).cpu()
        result.positions[name][members] = positions.cpu()

    return visit


def heatmap_visitor(heatmaps: torch.Tensor, members: Sequence[int] | None = None) -> Visitor:
    """Visitor of the input that writes its relevance, summed over colours, into (T, H, W).

    Args:
        members: where each member of the walk is written; by default at its own number.
    """
    size = heatmaps.shape[1:]

    def visit(message: Messages) -> None:
        numbers = message.rows.members
        places = numbers if members is None else [members[number] for number in numbers]
        relevance = message.whole(size).values.float().sum(1).cpu()
        heatmaps.index_copy_(0, torch.tensor(places), relevance)

    return visit


def keeping_visitor(kept: dict[int, Messages], node: int, first: Visitor) -> Visitor:
    """Visitor that keeps the relevance of a layer, after another visitor has seen it."""

    def visit(message: Messages) -> None:
        first(message)
        values = message.values.clone(memory_format=torch.channels_last)
        kept[node] = Messages(values, message.rows)

    return visit


def _positions(message: Messages, size: tuple[int, int]) -> torch.Tensor:
    """Flat index (T, channels) of the strongest neuron in maps of a size (H, W)."""
    best, there = strongest(message.values)
    found = message.rows.positions(best, there, message.values.shape[3], size[1])
    return strongest(message.whole(size).values)[1] if found is None else found
