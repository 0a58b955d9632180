"""Layers with weights: convolutions, linear layers, batch norms and other normalisations."""

import math

from torch import nn

from lcrp.attribution.linear_maps import laid_out, linear_map
from lcrp.attribution.operations.base import Operation
from lcrp.attribution.sharing import shares, stabilised


class Linear(Operation):
    """Convolution, linear layer or batch norm under a rule for linear maps."""

    reads_inputs = True

    def __init__(self, node, rule, nonnegative):
        super().__init__(node)
        self.shares = shares(node.module, rule, nonnegative)
        self.division, self.divide = self.shares.division, self.shares.parts
        gated = any(t.gate != "always" or t.factor != 1 for t in rule.terms)
        self.reads_output = gated or self.shares.slopes is not None
        self.neighbourhood = self.shares.linear.neighbourhood

    def widest(self):
        below, above = self.node.sources[0].shape[1:], self.node.shape[1:]
        shares = self.shares
        return max(len(shares.kinds) * math.prod(below), len(shares.terms) * math.prod(above))

    def prepare(self, inputs, output):
        return self.prepare_divided(self.divide(inputs[0]), output)

    def prepare_divided(self, parts, output):
        return self.shares.prepare(parts, output)

    def backward(self, relevance, state, rows):
        return [self.shares.backward(relevance, state, rows)]

    def send(self, message, state):
        if message.rows.origins is None or not self.shares.takes_windows:
            return super().send(message, state)
        return [self.shares.backward_windows(message, state)]

    def adjoint(self, shares, state, rows):
        return self.shares.adjoint(shares[0], state, rows)

    def carry(self, messages, state, rows, size):
        (message,) = messages
        whole = message.rows.origins is None and rows.origins is None
        if whole or not self.shares.takes_windows:
            return super().carry(messages, state, rows, size)
        return self.shares.adjoint_windows(message, state, rows, size)


class LinearGradient(Operation):
    """Convolution, linear layer or batch norm by gradient."""

    reads_inputs = True

    def __init__(self, node):
        super().__init__(node)
        self.linear = linear_map(node.module)
        self.neighbourhood = self.linear.neighbourhood
        self.weight = self.linear.block([[self.linear.weight]])
        self.turned = laid_out(self.linear.turned(self.weight))

    def prepare(self, inputs, output):
        return inputs[0].shape[2:]

    def backward(self, relevance, state, rows):
        return [self.linear.transpose(relevance, self.turned, state)]

    def adjoint(self, shares, state, rows):
        return self.linear.map(shares[0], self.weight)


class Normalisation(Operation):
    """Group, layer or instance norm under the epsilon rule, the statistics of its image fixed.

    It then is what a batch norm is, y = a x + b for every number alone: x gets the share
    a x / y of the relevance, and b and the stabiliser keep the rest.
    """

    reads_inputs = True
    reads_output = True

    def __init__(self, node, epsilon=None):
        super().__init__(node)
        self.epsilon = epsilon

    def prepare(self, inputs, output):
        x = inputs[0]
        share = stabilised(output, self.epsilon).reciprocal_()
        return share.mul_(x).mul_(_slope(self.node.module, x))

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance, state)]

    def adjoint(self, shares, state, rows):
        return rows.multiplied(shares[0], state)


def _slope(norm, x):
    """The factor by which a norm multiplies x (B, ...) once its statistics are fixed."""
    if isinstance(norm, nn.LayerNorm):
        axes = tuple(range(-len(norm.normalized_shape), 0))
        slope = (x.var(dim=axes, correction=0, keepdim=True) + norm.eps).rsqrt_()
        return slope if norm.weight is None else slope * norm.weight
    spread = (-1, *[1] * (x.ndim - 2))
    if isinstance(norm, nn.GroupNorm):
        variance = x.reshape(len(x), norm.num_groups, -1).var(dim=2, correction=0)
        variance = variance.repeat_interleave(x.shape[1] // norm.num_groups, dim=1)
    elif norm.running_var is not None:
        variance = norm.running_var[None]
    else:
        variance = x.flatten(2).var(dim=2, correction=0)
    slope = (variance + norm.eps).rsqrt_()
    slope = slope if norm.weight is None else slope * norm.weight
    return slope.unflatten(1, spread)
