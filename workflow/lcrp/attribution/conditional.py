"""Heatmaps of what flows through single concepts or neurons of a layer."""

from collections.abc import Sequence

import torch

from lcrp.attribution.batching import Batching
from lcrp.attribution.forward import Record
from lcrp.attribution.result import heatmap_visitor
from lcrp.attribution.rows import Messages, Rows
from lcrp.attribution.walk import Walk
from lcrp.errors import InputError


def check_concepts(layer: str, channels: int, concepts: Sequence[int]) -> None:
    """Raise InputError for a concept that a layer with so many channels does not have."""
    for concept in concepts:
        if not 0 <= int(concept) < channels:
            raise InputError(f"concept {concept}: {layer} has {channels} of them, counted from 0")


def concept_heatmaps(
    record: Record,
    size: tuple[int, int],
    start: tuple[int, int, torch.Tensor],
    concepts: Sequence[int],
    positions: Sequence[int] | None,
    batching: Batching,
) -> torch.Tensor:
    """(K, H, W) input relevance of one target that flowed through each of K concepts.

    Args:
        record: the forward pass.
        size: (H, W) of the input.
        start: (node, image, relevance (C, h, w) of the target at the node's output).
        concepts: channels.
        positions: flat index of a single neuron for each concept; None for all of them.
    """
    node, image, relevance = start
    heatmaps = torch.zeros(len(concepts), *size)

    def some(begin, stop):
        seed = _zeros(relevance, stop - begin, *relevance.shape)
        for row, k in enumerate(range(begin, stop)):
            concept = int(concepts[k])
            if positions is None:
                seed[row, concept] = relevance[concept]
            else:
                y, x = divmod(int(positions[k]), relevance.shape[-1])
                seed[row, concept, y, x] = relevance[concept, y, x]
        message = Messages(seed, Rows([image] * (stop - begin)))
        _walk(record, node, message, heatmaps, range(begin, stop))

    batching.run(record.program, len(concepts), some)
    return heatmaps


def neuron_heatmaps(
    record: Record,
    size: tuple[int, int],
    node: int,
    neurons: Sequence[tuple[int, int, int]],
    like: torch.Tensor,
    batching: Batching,
) -> torch.Tensor:
    """(K, H, W) input relevance of a relevance of one at each of K neurons.

    Args:
        record: the forward pass.
        size: (H, W) of the input.
        node: at whose output the neurons are.
        neurons: (image, channel, flat index in the map) of each.
        like: tensor whose device and dtype relevance has.
    """
    channels, _, width = record.program.graph.nodes[node].shape[1:]
    order = sorted(range(len(neurons)), key=lambda k: neurons[k][0])  # as `Rows` wants them
    heatmaps = torch.zeros(len(neurons), *size)

    def some(begin, stop):
        chosen = order[begin:stop]
        seed = _zeros(like, len(chosen), channels, 1, 1)
        for row, k in enumerate(chosen):
            seed[row, neurons[k][1]] = 1
        origins = [divmod(neurons[k][2], width) for k in chosen]
        message = Messages(seed, Rows([neurons[k][0] for k in chosen], origins=origins))
        _walk(record, node, message, heatmaps, chosen)

    batching.run(record.program, len(order), some)
    return heatmaps


def _walk(record, node, message, heatmaps, members):
    """Write the input relevance of a message at a node into some of the heatmaps."""
    Walk(record, needed=[0]).run({node: message}, {0: heatmap_visitor(heatmaps, members)})


def _zeros(like, *shape):
    zeros = torch.zeros(shape, dtype=like.dtype, device=like.device)
    return zeros.contiguous(memory_format=torch.channels_last)
