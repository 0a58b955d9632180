"""Explicit sums, averages, and products of two signals."""

import torch

from lcrp.attribution.linear_maps import laid_out
from lcrp.attribution.operations.base import SAME_POSITION, Operation
from lcrp.attribution.sharing import stabilised


class Sum(Operation):
    """Explicit sum under the norm rule: in proportion to each summand."""

    reads_inputs = True

    def __init__(self, node, epsilon, nonnegative):
        super().__init__(node)
        self.epsilon, self.positive = epsilon, all(nonnegative)
        if len({source.shape for source in node.sources}) == 1:
            self.neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        return all(inputs)

    def prepare(self, inputs, output):
        total = inputs[0] + inputs[1]
        total = total.add_(self.epsilon) if self.positive else stabilised(total, self.epsilon)
        inverse = total.reciprocal_()
        return inputs[0] * inverse, inverse.mul_(inputs[1])

    def backward(self, relevance, state, rows):
        return [
            _fitted(rows.multiplied(relevance, state[0]), self.node, 0),
            _fitted(rows.multiply_(relevance, state[1]), self.node, 1),
        ]

    def adjoint(self, shares, state, rows):
        if not self.positionwise:
            spread = zip(shares, state, strict=True)
            shares = [None if s is None else _spread(s, ratio) for s, ratio in spread]
        weighted = [
            rows.multiplied(share, ratio)
            for share, ratio in zip(shares, state, strict=True)
            if share is not None
        ]
        return weighted[0] if len(weighted) == 1 else weighted[0].add_(weighted[1])


class SumGradient(Operation):
    """Sum by gradient: every summand gets it all."""

    def nonnegative(self, inputs):
        return all(inputs)

    def backward(self, relevance, state, rows):
        return [_fitted(relevance.clone(), self.node, 0), _fitted(relevance, self.node, 1)]

    def adjoint(self, shares, state, rows):
        return sum(share for share in shares if share is not None)


class SharedProduct(Operation):
    """A product of two signals of which neither is a gate: half of the relevance to each."""

    def backward(self, relevance, state, rows):
        half = relevance * 0.5
        return [_fitted(half.clone(), self.node, 0), _fitted(half, self.node, 1)]

    def adjoint(self, shares, state, rows):
        total = sum(share for share in shares if share is not None)
        return total.expand(len(total), *self.node.shape[1:]) * 0.5


class Average(Operation):
    """Average pooling under the norm rule."""

    reads_inputs = True

    def __init__(self, node, epsilon):
        super().__init__(node)
        self.epsilon = epsilon

    def nonnegative(self, inputs):
        return inputs[0]

    def prepare(self, inputs, output):
        return inputs[0], stabilised(self.forward(inputs[0]), self.epsilon).reciprocal_()

    def _transpose(self, relevance, x):
        _, pull = torch.func.vjp(super().forward, x.new_zeros(relevance.shape[0], *x.shape[1:]))
        return laid_out(pull(relevance)[0])

    def backward(self, relevance, state, rows):
        x, inverse = state
        return [rows.multiply_(self._transpose(rows.multiply_(relevance, inverse), x), x)]

    def adjoint(self, shares, state, rows):
        x, inverse = state
        return rows.multiply_(self.forward(rows.multiplied(shares[0], x)), inverse)


def _spread(share, ratio):
    shape = torch.broadcast_shapes(share.shape[1:], ratio.shape[1:])
    return share.expand(share.shape[0], *shape).contiguous()


def _fitted(relevance, node, position):
    """Summed over the axes along which this input was broadcast."""
    shape = node.sources[position].shape[1:]
    axes = [i + 1 for i, n in enumerate(shape) if n == 1 and relevance.shape[i + 1] != 1]
    return relevance.sum(dim=axes, keepdim=True) if axes else relevance
