"""Maps of single layers: what flows through every neuron for a target, and what it says."""

from collections.abc import Iterable, Sequence

import torch

from lcrp.attribution.forward import run
from lcrp.attribution.seeds import seeds
from lcrp.attribution.targets import Target
from lcrp.attribution.walk import Walk


def relevance_maps(explainer, targets: Sequence[Target], layers: Iterable[str]) -> dict:
    """Relevance at the outputs of convolutions; zero where none arrives.

    Args:
        explainer: the `Explainer` that predicted.
        targets: of one prediction, one at least, ordered by image.
        layers: names.

    Returns:
        {layer: (T, C, h, w)} on the explainer's device.
    """
    nodes = {name: targets[0].prediction.record.program.layers[name] for name in layers}
    maps = relevance_at(targets, nodes.values())
    return {name: maps[node] for name, node in nodes.items()}


@torch.no_grad()
def relevance_at(targets: Sequence[Target], nodes: Iterable[int]) -> dict[int, torch.Tensor]:
    """{node: (T, C, h, w)} relevance at the outputs of nodes; zero where none arrives.

    Args:
        targets: of one prediction, one at least, ordered by image.
        nodes: indices in the graph of the prediction's program, of nodes that give maps.
    """
    prediction, nodes = targets[0].prediction, list(nodes)
    graph = prediction.record.program.graph
    maps = {}
    for node in nodes:
        shape = graph.nodes[node].shape[1:]
        maps[node] = prediction.outputs[0].new_zeros(len(targets), *shape)

    def keep(node):
        def visit(message):
            maps[node][list(message.rows.members)] = message.values

        return visit

    walk = Walk(prediction.record, needed=nodes)
    walk.run(seeds(targets), {node: keep(node) for node in nodes})
    return maps


def feature_maps(explainer, images: torch.Tensor, layers: Iterable[str]) -> dict:
    """Outputs of convolutions, batch norms merged.

    Args:
        explainer: an `Explainer`.
        images: (B, 3, H, W), normalised as the model wants.
        layers: names.

    Returns:
        {layer: (B, C, h, w)} on the explainer's device.
    """
    images = images.to(explainer.device, explainer.dtype)
    program = explainer.program(images.shape[2:])
    wanted = {program.layers[name]: name for name in layers}
    maps = {}
    for i, value in run(program, images):
        if i in wanted:
            maps[wanted[i]] = value
            if len(maps) == len(wanted):
                break
    return maps
