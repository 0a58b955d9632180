"""One operation of the engine on its own: both directions, as the walks call them."""

import torch

from lcrp.attribution.graph import Input, Node
from lcrp.attribution.operations.catalogue import operation_for, passed
from lcrp.attribution.rows import Rows
from lcrp.models.ssd import SSD512

DECLARED = {kind: passed(passing) for kind, passing in SSD512.operations.items()}


class Single:
    """A module or function under a rule, at inputs (B, ...).

    args: arguments of the call, an Input for each tensor; by default just these.
    sources: the nodes that made the inputs, where the operation looks at them.
    """

    def __init__(self, call, rule, *inputs, args=None, kwargs=None, nonnegative=False, sources=()):
        args = tuple(Input(i) for i in range(len(inputs))) if args is None else args
        sources = sources or [
            Node(f"x{i}", None, (), {}, (), tuple(x.shape)) for i, x in enumerate(inputs)
        ]
        node = Node("node", call, args, kwargs or {}, tuple(range(len(inputs))), None)
        node.sources = tuple(sources)
        self.inputs = inputs
        self.output = self._called(call, args, kwargs or {})
        node.shape = tuple(self.output.shape)
        self.operation = operation_for(node, rule, [nonnegative] * len(inputs), DECLARED)
        self.state = self.operation.prepare(
            inputs if self.operation.reads_inputs else (None,) * len(inputs),
            self.output if self.operation.reads_output else None,
        )

    def _called(self, call, args, kwargs):
        def filled(argument):
            if isinstance(argument, Input):
                return self.inputs[argument.position]
            if isinstance(argument, list | tuple):
                return type(argument)(filled(part) for part in argument)
            return argument

        return call(*filled(args), **{name: filled(value) for name, value in kwargs.items()})

    def backward(self, relevance, images):
        """Relevance (T, ...) at the output to that at each input."""
        found = self.operation.backward(_laid_out(relevance), self.state, Rows(images))
        return [None if part is None else part.detach().clone() for part in found]

    def adjoint(self, shares, images):
        """Shares (M, ...) of each input (or None) to that of the output."""
        shares = [None if share is None else _laid_out(share) for share in shares]
        return self.operation.adjoint(shares, self.state, Rows(images)).detach().clone()

    def assert_adjoint(self):
        """<m, B R> = <B^T m, R>, row by row, with two rows for the first image."""
        images = [0, 0, 1]
        relevance = torch.randn(3, *self.output.shape[1:], dtype=torch.float64)
        masks = [torch.randn(3, *x.shape[1:], dtype=torch.float64) for x in self.inputs]
        parts = self.backward(relevance, images)
        up = self.adjoint(masks, images) * relevance
        down = [mask * part for mask, part in zip(masks, parts, strict=True) if part is not None]
        for row in range(3):
            scale = sum(float(part[row].abs().sum()) for part in down) + 1e-300
            total = sum(float(part[row].sum()) for part in down)
            assert abs(float(up[row].sum()) - total) < 1e-11 * scale


def _laid_out(tensor):
    """A copy in the memory format of the walks."""
    if tensor.ndim == 4:
        return tensor.clone(memory_format=torch.channels_last)
    return tensor.clone()
