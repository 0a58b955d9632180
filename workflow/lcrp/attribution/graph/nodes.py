"""The parts of a graph: nodes, what stands in their arguments, and the graph itself."""

from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Node:
    """One call of the network.

    Attributes:
        name: the module's path, or a name made from the function's.
        call: the module that is called, the function, or a `Constant`; None for the images.
        args, kwargs: its arguments; tensors computed in the graph appear as `Input`.
        inputs: indices of the nodes whose tensors it reads, in the order of their `Input`.
        shape: shape of its output for two images (None where it returns several tensors).
        sources: the nodes of `inputs`.
    """

    name: str
    call: object
    args: tuple
    kwargs: dict
    inputs: tuple[int, ...]
    shape: tuple[int, ...] | None
    sources: tuple["Node", ...] = ()

    @property
    def module(self) -> nn.Module | None:
        """The module that is called, if it is one."""
        return self.call if isinstance(self.call, nn.Module) else None


@dataclass(frozen=True)
class Input:
    """Stands in a node's arguments for its n-th input."""

    position: int


@dataclass(frozen=True)
class Constant:
    """A parameter or buffer that the network reads directly."""

    value: torch.Tensor


class Entry(nn.Module):
    """One entry along the axis that a permutation brings to the front; images stay in front.

    Args:
        axes: the permutation.
        entry: index along its first axis.
    """

    def __init__(self, axes: tuple[int, ...], entry: int):
        super().__init__()
        self.axes, self.entry = axes, entry

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One dimension less than x."""
        return x.permute(self.axes)[self.entry]


@dataclass
class Graph:
    """Nodes in the order of execution.

    Attributes:
        nodes: node 0 is the images.
        outputs: indices of the nodes that the network returns, in its order.
        layers: node index of every convolution, by module path, in the order of the modules.
    """

    nodes: list[Node]
    outputs: tuple[int, ...]
    layers: dict[str, int] = field(default_factory=dict)


def link(nodes: list[Node]) -> None:
    """Let every node know the nodes that it reads."""
    for node in nodes:
        node.sources = tuple(nodes[i] for i in node.inputs)


def convolutions(network: nn.Module, nodes: list[Node]) -> dict[str, int]:
    """{name: node index} of every convolution that is called, in the order of the modules."""
    called = {node.name: i for i, node in enumerate(nodes) if node.module is not None}
    return {
        name: called[name]
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and name in called
    }
