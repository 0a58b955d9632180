"""Merges batch norms into the layers before them, exactly."""

import torch
from torch import nn

from lcrp.attribution.graph.nodes import Graph, link


def merge_batch_norms(graph: Graph) -> Graph:
    """Merge every batch norm into the convolution or linear layer before it.

    Where something else reads that layer, or the network returns it, they stay apart.

    The merged layer computes the same outputs: the running variance takes the batch norm's eps
    with it. Weights are folded in float64.

    Returns:
        A graph in which those batch norms are gone and the layers carry new weights and a bias.
    """
    readers = {}
    for position, node in enumerate(graph.nodes):
        for source in node.inputs:
            readers.setdefault(source, []).append(position)
    replaced = {}
    for position, node in enumerate(graph.nodes):
        if not isinstance(node.module, nn.BatchNorm2d | nn.BatchNorm1d):
            continue
        source = node.inputs[0]
        module = graph.nodes[source].module
        mergeable = isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        if mergeable and len(readers[source]) == 1 and source not in graph.outputs:
            graph.nodes[source].call = merged(module, node.module)
            replaced[position] = source
    kept = [i for i in range(len(graph.nodes)) if i not in replaced]
    renumbered = {old: new for new, old in enumerate(kept)}
    for old, source in replaced.items():
        renumbered[old] = renumbered[source]
    nodes = [graph.nodes[i] for i in kept]
    for node in nodes:
        node.inputs = tuple(renumbered[i] for i in node.inputs)
    link(nodes)
    return Graph(
        nodes,
        tuple(renumbered[i] for i in graph.outputs),
        {name: renumbered[i] for name, i in graph.layers.items()},
    )


def affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift (float64, per channel) of a batch norm in eval mode."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


@torch.no_grad()
def merged(module: nn.Module, norm: nn.Module) -> nn.Module:
    """A convolution or linear layer that computes what `module` and then `norm` compute."""
    scale, shift = affine(norm)
    weight = module.weight.detach().double()
    if isinstance(module, nn.ConvTranspose2d):
        inputs, per_group = weight.shape[:2]
        grouped = weight.view(module.groups, inputs // module.groups, per_group, *weight.shape[2:])
        weight = (grouped * scale.view(module.groups, 1, per_group, 1, 1)).view_as(weight)
    else:
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    if module.bias is not None:
        shift = shift + module.bias.detach().double() * scale
    alone = _without_parameters(module)
    alone.weight = nn.Parameter(weight.to(module.weight), requires_grad=False)
    alone.bias = nn.Parameter(shift.to(module.weight), requires_grad=False)
    return alone


def _without_parameters(module):
    copied = module.__class__.__new__(module.__class__)
    copied.__dict__.update(module.__dict__)
    copied._parameters = dict(module._parameters)
    return copied
