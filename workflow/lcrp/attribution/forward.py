"""The forward pass, once for all targets, and what it leaves behind for the walks."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution.program import Program
from lcrp.errors import InputError


@torch.no_grad()
def run(
    program: Program, images: torch.Tensor, off: Mapping[int, Collection[int]] | None = None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run a network forward, node by node; who has seen enough stops asking.

    Outputs are dropped as soon as no later node reads them.

    Args:
        images: (B, 3, H, W), node 0.
        off: {node: channels} that are set to zero at its output: concepts switched off.

    Yields:
        (node index, its output), in the order of execution.
    """
    off = off or {}
    values, left = {}, list(program.reads)
    nodes = zip(program.graph.nodes, program.operations, strict=True)
    for i, (node, operation) in enumerate(nodes):
        inputs = [values[source] for source in node.inputs]
        values[i] = images if node.call is None else operation.forward(*inputs)
        if i in off:
            values[i] = values[i].clone()
            values[i][:, list(off[i])] = 0
        yield i, values[i]
        for source in node.inputs:
            left[source] -= 1
            if not left[source]:
                del values[source]


def outputs(
    program: Program, images: torch.Tensor, off: Mapping[int, Collection[int]] | None = None
) -> tuple[torch.Tensor, ...]:
    """The network's raw outputs for images (B, 3, H, W); `off` as in `run`."""
    found = {i: value for i, value in run(program, images, off) if i in program.graph.outputs}
    return tuple(found[i] for i in program.graph.outputs)


class Record:
    """What one forward pass leaves behind: all that the walks need of the images.

    Attributes:
        program: what was run.
        batch: how many images.
        outputs: the network's raw outputs; that of node `last` alone where the pass ended there.
        activation, activation_position: {layer: (B, channels)} maximum of the convolution's
            output over positions, and its flat index; only of the layers that were asked for.
    """

    def __init__(
        self,
        program: Program,
        images: torch.Tensor,
        activations: Iterable[str] = (),
        last: int | None = None,
    ):
        """Run images (B, 3, H, W) forward.

        Args:
            activations: layers whose maximal activations are recorded on the way.
            last: the node with which the pass ends; by default the network's last.
        """
        self.program = program
        self.batch = len(images)
        self.activation, self.activation_position = {}, {}
        self._values, self._divided, self._states = {}, {}, {}
        # How many states, each made at its first use, still need the output of a node.
        self._pending = self._counted()
        watched = {program.layers[name]: name for name in activations}
        self.outputs = self._run(images, watched, last)

    def _run(self, images, watched, last):
        ends = self.program.graph.outputs if last is None else (last,)
        found = {}
        for i, value in run(self.program, images):
            if i in watched:
                best, position = strongest(value)
                self.activation[watched[i]] = best
                self.activation_position[watched[i]] = position
            if i in self._pending:
                self._values[i] = value
            if i in ends:
                found[i] = value
            if i == last:
                break
        return tuple(found[i] for i in ends)

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
            # Outputs are kept only until every state that is made from them is there.
            for read in self._reads(i):
                self._pending[read] -= 1
                if not self._pending[read]:
                    self._values.pop(read, None)
        return self._states[i]

    def _parts(self, source, operation):
        """The parts of a node's output, made once for all who divide it alike."""
        key = source, operation.division
        if key not in self._divided:
            self._divided[key] = operation.divide(self._values[source])
        return self._divided[key]


def strongest(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maximum over positions (N, C) of maps (N, C, H, W), and its flat index: of ties the first."""
    if maps.device.type != "cpu" or maps[0, 0].numel() == 1:
        return maps.flatten(2).max(dim=2)
    # On the CPU, pooling finds maxima by vector instructions, reductions with an index do not.
    best, position = F.max_pool2d(maps, maps.shape[2:], return_indices=True)
    return best.flatten(1), position.flatten(1)


def check_finite(network: nn.Module, images: torch.Tensor) -> None:
    """Raise InputError that names the first weight, or the images, with a NaN or infinity."""
    for name, parameter in (*network.named_parameters(), *network.named_buffers()):
        if not torch.isfinite(parameter).all():
            raise InputError(f"{name}: holds NaN or infinite weights; fetch the checkpoint again")
    if not torch.isfinite(images).all():
        broken = [i for i, image in enumerate(images) if not torch.isfinite(image).all()]
        raise InputError(f"images: NaN or infinite pixels in image {broken[0]} of the batch")


def first_broken(program: Program, images: torch.Tensor) -> str:
    """Name of the first layer whose output for these images holds a NaN or infinity."""
    for i, value in run(program, images):
        node = program.graph.nodes[i]
        if node.shape is not None and not torch.isfinite(value).all():
            return node.name
    return "its outputs"
