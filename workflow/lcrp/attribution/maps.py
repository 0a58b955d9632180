"""Maps of single layers: what flows through every neuron for a target, and what it says."""

from collections.abc import Iterable, Sequence

import torch

from lcrp.attribution.forward import run
from lcrp.attribution.seeds import seeds
from lcrp.attribution.targets import Prediction, Target, Targets
from lcrp.attribution.walk import Walk


def relevance_maps(
    explainer, targets: Iterable[Target], layers: Iterable[str]
) -> dict[str, torch.Tensor]:
    """Relevance at the outputs of convolutions; zero where none arrives.

    Args:
        explainer: the `Explainer` that predicted.
        targets: of one prediction, one at least.
        layers: names.

    Returns:
        {layer: (T, C, h, w)} on the explainer's device.
    """
    targets = Targets.of(targets)
    program = targets.prediction.record.program
    nodes = {name: program.layers[name] for name in layers}
    maps = relevance_at(targets.prediction, targets, nodes.values())
    return {name: maps[node] for name, node in nodes.items()}


@torch.no_grad()
def relevance_at(
    prediction: Prediction, targets: Sequence[Target], nodes: Iterable[int]
) -> dict[int, torch.Tensor]:
    """{node: (T, C, h, w)} relevance at the outputs of nodes; zero where none arrives.

    Args:
        prediction: whose targets they are.
        targets: one at least.
        nodes: indices in the graph of the prediction's program, of nodes that give maps.
    """
    nodes, graph = list(nodes), prediction.record.program.graph
    order = sorted(range(len(targets)), key=lambda place: targets[place].image)
    maps = {}
    for node in nodes:
        shape = graph.nodes[node].shape[1:]
        maps[node] = prediction.outputs[0].new_zeros(len(targets), *shape)

    def keep(node):
        def visit(message):
            maps[node][[order[member] for member in message.rows.members]] = message.values

        return visit

    walk = Walk(prediction.record, needed=nodes)
    seeded = seeds(prediction, [targets[place] for place in order])
    walk.run(seeded, {node: keep(node) for node in nodes})
    return maps


def feature_maps(explainer, images: torch.Tensor, layers: Iterable[str]) -> dict[str, torch.Tensor]:
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
