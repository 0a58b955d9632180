"""Programs: a network, traced at one input size, with an operation for every node."""

from collections.abc import Mapping

import torch
from torch import nn

from lcrp.attribution import rules
from lcrp.attribution.composites import assign
from lcrp.attribution.graph import merge_batch_norms, trace
from lcrp.attribution.operations.catalogue import REGISTERED, operation_for, passed, stand_in
from lcrp.models.base import Passing


class Program:
    """What is run forward and walked backward.

    Attributes:
        graph: the nodes, batch norms merged.
        operations: one per node.
        layers: {name: node index} of every convolution.
        reads: how many nodes read each node's output; being an output of the network counts as
            one more, so that these are never dropped.
        widest: numbers of the largest tensor that a row needs.
    """

    def __init__(
        self,
        network: nn.Module,
        composite,
        size: tuple[int, int],
        declared: Mapping[type, Passing] | None = None,
    ):
        """Trace a network.

        Args:
            network: in eval mode, nothing in place; images (B, 3, H, W) to a tuple of tensors.
            composite: a zennit composite, or its name.
            size: (H, W) of the input.
            declared: `Model.operations`, of modules that the engine does not know.

        Raises:
            InputError: the network cannot be traced at this size, or a node has no rule.
        """
        own = {kind: passed(passing) for kind, passing in (declared or {}).items()}
        self._taught = {**own, **REGISTERED}
        like = next(network.parameters())
        example = torch.empty((2, 3, *size), dtype=like.dtype, device=like.device)
        self.graph = merge_batch_norms(trace(network, example, tuple(self._taught)))
        self.layers = self.graph.layers
        self.operations = self._operations(network, composite)
        self.reads = self._readers()
        self.widest = max(operation.widest() for operation in self.operations)

    def _operations(self, network, composite):
        nodes = self.graph.nodes
        named = list(network.named_modules())
        known = {name for name, _ in named}
        functions = {
            i: node.module or stand_in(node)
            for i, node in enumerate(nodes)
            if node.module is None or node.name not in known
        }
        named += [(f"function {i}", module) for i, module in functions.items() if module]
        assigned = assign(composite, named)
        gradients = any(isinstance(rule, rules.Gradient) for rule in assigned.values())
        operations, nonnegative = [], []
        for i, node in enumerate(nodes):
            name = f"function {i}" if i in functions else node.name
            rule = assigned.get(name, rules.Gradient() if gradients else None)
            signs = [nonnegative[source] for source in node.inputs]
            operation = operation_for(node, rule, signs, self._taught)
            operations.append(operation)
            nonnegative.append(bool(operation.nonnegative(signs)))
        return operations

    def _readers(self):
        """How many nodes read each node's output (the network's own outputs count as one)."""
        counts = [0] * len(self.graph.nodes)
        for node in self.graph.nodes:
            for source in node.inputs:
                counts[source] += 1
        for output in self.graph.outputs:
            counts[output] += 1
        return counts
