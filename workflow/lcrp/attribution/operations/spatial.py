"""Operations that move values between positions or channels: pools, resizing, concatenation."""

import math
import operator

import torch
import torch.nn.functional as F

from lcrp.attribution.extents import Neighbourhood, Repetition
from lcrp.attribution.graph import Node
from lcrp.attribution.graph.rewriting import permutation
from lcrp.attribution.linear_maps import laid_out
from lcrp.attribution.operations.base import SAME_POSITION, Operation
from lcrp.attribution.rows import Messages, Rows, zeros
from lcrp.errors import InputError


class Pooling(Operation):
    """Max pooling by gradient: all to the strongest of the window."""

    reads_inputs = True

    def __init__(self, node):
        super().__init__(node)
        settings = self._settings()
        if settings["stride"] is None:
            settings["stride"] = settings["kernel_size"]
        self.settings = {
            name: (value, value) if type(value) is int else value
            for name, value in settings.items()
        }
        kernel, dilation = self.settings["kernel_size"], self.settings["dilation"]
        self.neighbourhood = Neighbourhood(
            [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)],
            self.settings["stride"],
            self.settings["padding"],
        )

    def nonnegative(self, inputs):
        return inputs[0]

    def _settings(self):
        settings = dict(stride=None, padding=0, dilation=1, ceil_mode=False)
        if self.node.module is not None:
            names = ("kernel_size", *settings)
            return {name: getattr(self.node.module, name) for name in names}
        names = ("kernel_size", *settings)
        given = dict(zip(names, self.node.args[1:], strict=False))
        given.update({k: v for k, v in self.node.kwargs.items() if k in names})
        return {**settings, **given}

    def prepare(self, inputs, output):
        winner = F.max_pool2d(inputs[0], **self.settings, return_indices=True)[1]
        return inputs[0].shape[2:], _positions_first(winner), winner.shape[2:]

    def backward(self, relevance, state, rows):
        (height, width), winner, _ = state
        given = _positions_first(relevance)
        passed = given.new_zeros(len(given), height * width, given.shape[2])
        pairs = zip(rows.paired(given, winner), rows.paired(passed, winner), strict=True)
        for (one, place), (into, _) in pairs:
            into.scatter_add_(-2, place.expand_as(one), one)
        return [passed.transpose(1, 2).unflatten(2, (height, width))]

    def adjoint(self, shares, state, rows):
        _, winner, size = state
        share = _positions_first(shares[0])
        index = rows.expanded(winner)
        return share.gather(1, index).transpose(1, 2).unflatten(2, size)


class Structural(Operation):
    """A map that is linear and the same for every image, by gradient: resizing, averaging."""

    reads_inputs = True

    def nonnegative(self, inputs):
        return all(inputs)

    def prepare(self, inputs, output):
        return [x.shape[1:] for x in inputs]

    def backward(self, relevance, state, rows):
        zeros = [relevance.new_zeros(len(relevance), *shape) for shape in state]
        _, pull = torch.func.vjp(self.forward, *zeros)
        return list(pull(relevance))

    def adjoint(self, shares, state, rows):
        return self.forward(*_completed(shares, state))


class Resize(Structural):
    """Nearest and bilinear resizing."""

    def __init__(self, node):
        super().__init__(node)
        module = node.module
        names = ("size", "scale_factor", "mode", "align_corners")
        values = (None, None, "nearest", None)
        given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
        self.settings = dict(zip(names, values, strict=True)) | {
            k: given[k] for k in names if k in given
        }
        if module is not None:
            self.settings = {name: getattr(module, name) for name in names}
        if self.settings["mode"] not in ("nearest", "bilinear"):
            raise InputError(
                f"{node.name}: resizing by {self.settings['mode']!r} has no rule; "
                f"use nearest or bilinear"
            )
        self.neighbourhood = self._repetition()

    def backward(self, relevance, state, rows):
        size = [len(relevance), *state[0]]
        factor = self.settings["scale_factor"]
        factors = [None, None]
        if factor is not None:
            factors = [
                float(f) for f in (factor if isinstance(factor, list | tuple) else [factor] * 2)
            ]
        if self.settings["mode"] == "nearest":
            down = torch.ops.aten.upsample_nearest2d_backward
            # Five times as fast as on channels taken out of a concatenation.
            return [down(laid_out(relevance), relevance.shape[2:], size, *factors)]
        down = torch.ops.aten.upsample_bilinear2d_backward
        aligned = bool(self.settings["align_corners"])
        return [down(relevance, relevance.shape[2:], size, aligned, *factors)]

    def _repetition(self):
        """How often a position is repeated, the same along both axes; None where it is not."""
        size, small = self.node.shape[2:], self.node.sources[0].shape[2:]
        factor = size[0] // small[0]
        exact = tuple(size) == tuple(factor * n for n in small)
        return Repetition(factor) if self.settings["mode"] == "nearest" and exact else None

    def send(self, message, state):
        """Repeated pixels add up: windows are widened to whole groups of them."""
        if message.rows.origins is None or self.neighbourhood is None:
            return super().send(message, state)
        size, small, factor = self.node.shape[2:], state[0][1:], self.neighbourhood.factor
        message = message.aligned(factor, size)
        summed = F.avg_pool2d(message.values, factor, divisor_override=1)
        starts = [tuple(n // factor for n in origin) for origin in message.rows.origins]
        return [Messages(summed, message.rows).fitted(starts, small)]

    def carry(self, messages, state, rows, size):
        (message,) = messages
        if message.rows.origins is None or self.neighbourhood is None:
            return super().carry(messages, state, rows, size)
        factor = self.neighbourhood.factor
        repeated = F.interpolate(message.values, scale_factor=factor, mode="nearest")
        corners = [tuple(factor * n for n in origin) for origin in message.rows.origins]
        given = Messages(repeated, Rows(message.rows.images, origins=corners))
        return given.moved(rows.origins, size)


class Reshape(Structural):
    """Flattening, reshaping, permuting, slicing; the leading axis stays where it is."""

    def __init__(self, node):
        super().__init__(node)
        axes = permutation(node)
        if axes is not None and axes[0] != 0:
            raise InputError(f"{node.name}: moves the batch axis; it has no rule")

    def forward(self, x):
        if self.node.call not in (torch.reshape, torch.Tensor.reshape, torch.Tensor.view):
            return super().forward(x)
        sizes = self.node.args[1:]
        sizes = sizes[0] if isinstance(sizes[0], list | tuple) else sizes
        if sizes[0] not in (self.node.sources[0].shape[0], -1):
            raise InputError(f"{self.node.name}: moves the batch axis; it has no rule")
        return x.reshape(len(x), *sizes[1:])


class Slice(Operation):
    """Neighbours along one axis, as `chunk` and `split` make them; the others get nothing."""

    def __init__(self, node):
        super().__init__(node)
        self.axis, (start, stop) = bounds(node)
        self.length = stop - start
        self.start = start
        if self.axis == 1 and len(node.shape) == 4:
            self.neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        return inputs[0]

    def widest(self):
        return math.prod(self.node.sources[0].shape[1:])

    def backward(self, relevance, state, rows):
        size = list(relevance.shape)
        size[self.axis] = self.node.sources[0].shape[self.axis]
        passed = (
            zeros(relevance, *size[:2], size[2:]) if len(size) == 4 else (relevance.new_zeros(size))
        )
        passed.narrow(self.axis, self.start, self.length).copy_(relevance)
        return [passed]

    def adjoint(self, shares, state, rows):
        return laid_out(shares[0].narrow(self.axis, self.start, self.length))


def bounds(node: Node) -> tuple[int, tuple[int, int]] | None:
    """(axis, (start, stop)) of a node that takes neighbours along one axis, else None."""
    index = node.args[1] if node.call is operator.getitem else None
    if not isinstance(index, tuple) or not all(isinstance(part, slice) for part in index):
        return None
    cut = [axis for axis, part in enumerate(index) if part != slice(None)]
    if len(cut) != 1 or cut[0] == 0:
        return None
    start, stop, step = index[cut[0]].indices(node.sources[0].shape[cut[0]])
    return (cut[0], (start, stop)) if step == 1 and start < stop else None


class Concatenation(Operation):
    """Concatenation by gradient: each input gets its channels."""

    reads_inputs = True

    def __init__(self, node):
        super().__init__(node)
        if self._axis() == 1:
            self.neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        return all(inputs)

    def _axis(self):
        axis = self.node.kwargs.get("dim", self.node.args[1] if len(self.node.args) > 1 else 0)
        return axis % len(self.node.shape)

    def prepare(self, inputs, output):
        if self._axis() == 0:
            raise InputError(f"{self.node.name}: concatenates images of a batch; it has no rule")
        return [x.shape[1:] for x in inputs]

    def backward(self, relevance, state, rows):
        axis = self._axis()
        return list(relevance.split([shape[axis - 1] for shape in state], dim=axis))

    def adjoint(self, shares, state, rows):
        return torch.cat(_completed(shares, state), dim=self._axis())

    def carry(self, messages, state, rows, size):
        if not self.positionwise:
            return super().carry(messages, state, rows, size)
        like = next(message.values for message in messages if message is not None)
        counts = [shape[0] for shape in state]
        joined = zeros(like, len(rows), sum(counts), size)
        for message, into in zip(messages, joined.split(counts, dim=1), strict=True):
            if message is not None:
                for i, there, here in rows.overlaps(into, message):
                    into[i][there] = message.values[i][here]
        return Messages(joined, rows)


def _completed(shares, shapes):
    """Shares with zeros where an input has none."""
    given = next(share for share in shares if share is not None)
    return [
        given.new_zeros(len(given), *shape) if share is None else share
        for share, shape in zip(shares, shapes, strict=True)
    ]


def _positions_first(maps):
    """(N, H * W, C) of maps (N, C, H, W): a view where channels are last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)
