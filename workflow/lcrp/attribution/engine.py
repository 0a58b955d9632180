"""Forward once, backward for all targets, and masks that travel forward.

Propagation happens on an explicit graph (see `graph`): activations and denominators are kept
per image, relevance has a leading axis over targets. Dreyer et al., arXiv 2211.11426, define
what is computed; with the activations fixed every rule is linear in the relevance, so that
its transpose carries masks from the input to every layer.
"""

from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F

from lcrp.attribution import rules as rule_kinds
from lcrp.attribution.composites import assign
from lcrp.attribution.extents import around, filled, overlap, reaching
from lcrp.attribution.graph import merge_batch_norms, trace
from lcrp.attribution.operations import REGISTERED, operation_for, stand_in
from lcrp.attribution.rows import Rows, windows
from lcrp.errors import InputError


class Program:
    """A network, traced at one input size, with an operation for every node.

    graph: the nodes, batch norms merged.
    operations: one per node.
    layers: {name: node index} of every convolution.
    widest: numbers of the largest tensor that a row needs.
    """

    def __init__(self, network, composite, shape):
        """shape: (H, W) of the input."""
        like = next(network.parameters())
        example = torch.empty((2, 3, *shape), dtype=like.dtype, device=like.device)
        self.graph = merge_batch_norms(trace(network, example, tuple(REGISTERED)))
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
        gradients = any(isinstance(rule, rule_kinds.Gradient) for rule in assigned.values())
        operations, nonnegative = [], []
        for i, node in enumerate(nodes):
            name = f"function {i}" if i in functions else node.name
            rule = assigned.get(name, rule_kinds.Gradient() if gradients else None)
            signs = [nonnegative[source] for source in node.inputs]
            operation = operation_for(node, rule, signs)
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


class Record:
    """What one forward pass leaves behind: all that the walks need of the images.

    outputs: the network's raw outputs; that of node `last` alone where the pass ended there.
    activation, activation_position: {layer: (B, channels)} maximum of the convolution's
        output over positions, and its flat index; only of the layers that were asked for.
    """

    def __init__(self, program, images, activations=(), last=None):
        self.program = program
        self.batch = len(images)
        self.activation, self.activation_position = {}, {}
        self._values, self._divided, self._states = {}, {}, {}
        watched = {program.layers[name]: name for name in activations}
        self.outputs = self._run(images, watched, last)

    @torch.no_grad()
    def _run(self, images, watched, last):
        program, values = self.program, {}
        left = list(program.reads)
        self._readers = self._counted()
        for i, (node, operation) in enumerate(
            zip(program.graph.nodes, program.operations, strict=True)
        ):
            inputs = [values[source] for source in node.inputs]
            values[i] = images if node.call is None else operation.forward(*inputs)
            if i in watched:
                found = strongest(values[i])
                self.activation[watched[i]], self.activation_position[watched[i]] = found
            if i in self._readers:
                self._values[i] = values[i]
            if i == last:
                return (values[i],)
            for source in node.inputs:
                left[source] -= 1
                if not left[source]:
                    del values[source]
        return tuple(values[i] for i in program.graph.outputs)

    def _counted(self):
        """{node: how many states are made from its output}."""
        counts = Counter()
        for i in range(len(self.program.graph.nodes)):
            counts.update(self._reads(i))
        return counts

    def _reads(self, i):
        """Nodes whose outputs the state of node i is made from."""
        node, operation = self.program.graph.nodes[i], self.program.operations[i]
        return [
            *(node.inputs if operation.reads_inputs else ()),
            *((i,) if operation.reads_output else ()),
        ]

    def state(self, i):
        """What node i needs of the images; computed at its first use."""
        if i not in self._states:
            node, operation = self.program.graph.nodes[i], self.program.operations[i]
            if operation.division is None:
                inputs = tuple(self._values.get(source) for source in node.inputs)
                self._states[i] = operation.prepare(inputs, self._values.get(i))
            else:
                parts = self._parts(node.inputs[0], operation)
                self._states[i] = operation.prepare_divided(parts, self._values.get(i))
            # What no other state is made from need not be kept beside this one.
            for read in self._reads(i):
                self._readers[read] -= 1
                if not self._readers[read]:
                    self._values.pop(read, None)
        return self._states[i]

    def _parts(self, source, operation):
        """The parts of a node's output, made once for all who divide it alike."""
        key = source, operation.division
        if key not in self._divided:
            self._divided[key] = operation.divide(self._values[source])
        return self._divided[key]


def strongest(maps):
    """Maximum over positions (N, C) of maps (N, C, H, W), and its flat index: of ties the first."""
    if maps.device.type != "cpu" or maps[0, 0].numel() == 1:
        return maps.flatten(2).max(dim=2)
    # On the CPU, pooling finds maxima by vector instructions, reductions with an index do not.
    best, position = F.max_pool2d(maps, maps.shape[2:], return_indices=True)
    return best.flatten(1), position.flatten(1)


class Walk:
    """Walks of relevance down the graph, to the nodes where it is asked for and no further."""

    def __init__(self, record, needed):
        self.record, self.program = record, record.program
        self.needed = self._above(set(needed))

    def _above(self, needed):
        """Nodes from which one of the needed nodes can be reached downwards, themselves too."""
        above = set()
        for i, node in enumerate(self.program.graph.nodes):
            if i in needed or any(source in above for source in node.inputs):
                above.add(i)
        return above

    @torch.no_grad()
    def run(self, seeds, visitors, whole=True):
        """Propagate relevance from where it starts.

        seeds: {node: (relevance (T', ...), rows)}; both are overwritten.
        visitors: {node: f(relevance, rows)}, called once with the relevance at the node's
            output, which is only valid during the call. Nodes that carry none are left out.
        whole: whether visitors get whole maps; else windows where relevance fills no more.
        """
        arrived = {}
        for node, message in seeds.items():
            arrived[node] = message
        for i in range(len(self.program.graph.nodes) - 1, -1, -1):
            if i not in arrived or i not in self.needed:
                arrived.pop(i, None)
                continue
            relevance, rows = arrived.pop(i)
            node = self.program.graph.nodes[i]
            if i in visitors and whole and rows.origins is not None:
                visitors[i](*rows.whole(relevance, node.shape[2:]))
            elif i in visitors:
                visitors[i](relevance, rows)
            if not any(source in self.needed for source in node.inputs):
                continue
            sent = self.program.operations[i].send(relevance, self.record.state(i), rows)
            for source, message in zip(node.inputs, sent, strict=True):
                if message is None or source not in self.needed:
                    continue
                before = arrived.get(source)
                shape = self.program.graph.nodes[source].shape
                arrived[source] = message if before is None else _met(before, message, shape)


def _met(one, other, shape):
    """The sum of two messages; they may carry different rows."""
    (a, rows), (b, others) = one, other
    if (rows.members, rows.origins) == (others.members, others.origins) and a.shape == b.shape:
        shared = 0 in a.stride()
        return (a + b if shared else a.add_(b)), rows
    if len(shape) == 4:
        return rows.met(a, others, b, shape[2:])
    union = rows.union(others)
    total = a.new_zeros(len(union), *a.shape[1:])
    for message, part in ((a, rows), (b, others)):
        total.index_add_(0, torch.tensor(union.places(part), device=a.device), message)
    return total, union


@torch.no_grad()
def transport(record, masks, images, layers, wanted=None):
    """Share of each neuron's relevance that lands inside a mask.

    masks: (M, H, W) weights of the input's pixels. images: of each, in ascending order.
    layers: nodes at whose output the shares are wanted.
    wanted: {node: extents (M, 4)} outside of which no relevance arrives, so that shares need not
        be known; nodes that are not in it are left out.
    Yields (node, shares (M, C, H', W'), their Rows) from the input upwards, whole maps or windows
    outside of which shares are zero or not wanted. Node outputs that see nothing of the input are
    left out.
    """
    program, layers = record.program, set(layers)
    last = max(layers)
    reach = _towards(program.graph, layers)
    fields = _fields(program, masks, images, wanted, reach, last)
    left = list(program.reads)
    values = {}
    for i, node in enumerate(program.graph.nodes[: last + 1]):
        if i in fields:
            rows, size = fields[i]
            if node.call is None:
                shares = masks.unsqueeze(1).expand(-1, 3, -1, -1)
                values[i] = Rows(images).moved(shares, rows.origins, size)
            else:
                given = [values.get(source) for source in node.inputs]
                if any(share is not None for share in given):
                    operation, state = program.operations[i], record.state(i)
                    values[i] = operation.carry(given, state, rows, size), rows
        if i in layers and i in values:
            yield i, *values[i]
        for source in node.inputs:
            left[source] -= 1
            if not left[source]:
                values.pop(source, None)


def _fields(program, masks, images, wanted, reach, last):
    """{node: (Rows, size of their windows or None)} where shares are computed."""
    whole = Rows(images)
    reached = reaching(program, around(masks), last)
    fields = {}
    for i, extents in reached.items():
        shape = program.graph.nodes[i].shape
        if i not in reach or (wanted is not None and i not in wanted):
            continue
        if wanted is not None:
            extents = overlap(extents, wanted[i])
        some = filled(extents)
        if not some.any():
            continue
        fields[i] = whole, shape and shape[2:]
        if shape and len(shape) == 4:
            extents = np.where(some[:, None], extents, 0)
            origins, size = windows(extents.tolist(), shape[2:])
            fields[i] = Rows(images, origins=origins), size
    return fields


def _towards(graph, wanted):
    """Nodes from which one of the wanted nodes can be reached upwards, themselves too."""
    reach = set(wanted)
    for i in range(len(graph.nodes) - 1, -1, -1):
        if i in reach:
            reach.update(graph.nodes[i].inputs)
    return reach


def check_finite(network, images):
    """Raise InputError that names the first weight, or the images, with a NaN or infinity."""
    for name, parameter in (*network.named_parameters(), *network.named_buffers()):
        if not torch.isfinite(parameter).all():
            raise InputError(f"{name}: holds NaN or infinite weights; fetch the checkpoint again")
    if not torch.isfinite(images).all():
        broken = [i for i, image in enumerate(images) if not torch.isfinite(image).all()]
        raise InputError(f"images: NaN or infinite pixels in image {broken[0]} of the batch")


@torch.no_grad()
def first_broken(program, images):
    """Name of the first layer whose output for these images holds a NaN or infinity."""
    values = []
    for node, operation in zip(program.graph.nodes, program.operations, strict=True):
        inputs = [values[source] for source in node.inputs]
        values.append(images if node.call is None else operation.forward(*inputs))
        if node.shape is not None and not torch.isfinite(values[-1]).all():
            return node.name
    return "its outputs"
