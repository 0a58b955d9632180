"""Attention: matrix products and softmax.

By default the attention weights count as constants and relevance goes through the values alone
(CP-LRP; Ali et al. 2022, arXiv 2202.07304): it stays on what is moved and does not ask why it is
moved. Under AttnLRP (Achtibat et al. 2024, arXiv 2402.05602) queries and keys get their part too.
All of it is linear in the relevance, so that masks travel by the transposes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution.graph import Node
from lcrp.attribution.linear_maps import MAPS
from lcrp.attribution.operations.base import Operation
from lcrp.attribution.sharing import stabilised
from lcrp.errors import InputError

WEIGHED = tuple(MAPS)
SOFTMAXES = (F.softmax, torch.softmax, torch.Tensor.softmax)


class MatrixProduct(Operation):
    """O = A B. One factor is a signal, or both are and share the relevance evenly.

    signals: positions of the factors that are. A single one is a linear layer without bias whose
    weights the image makes, under the epsilon rule.
    """

    reads_inputs = True
    reads_output = True

    def __init__(self, node, signals, epsilon):
        super().__init__(node)
        self.signals, self.epsilon = tuple(signals), epsilon

    def widest(self):
        return max(math.prod(node.shape[1:]) for node in (self.node, *self.node.sources))

    def prepare(self, inputs, output):
        if len(self.signals) == 1:
            return *inputs, stabilised(output, self.epsilon).reciprocal_()
        return *inputs, (2 * output + self.epsilon).reciprocal_()

    def backward(self, relevance, state, rows):
        a, b, inverse = state
        shared = rows.multiply_(relevance, inverse)
        passed = [None, None]
        if 0 in self.signals:
            product = _each(rows, shared, b, lambda s, b: s @ b.transpose(-2, -1), a)
            passed[0] = rows.multiply_(product, a)
        if 1 in self.signals:
            product = _each(rows, shared, a, lambda s, a: a.transpose(-2, -1) @ s, b)
            passed[1] = rows.multiply_(product, b)
        return passed

    def adjoint(self, shares, state, rows):
        a, b, inverse = state
        total = 0
        if 0 in self.signals and shares[0] is not None:
            weighted = rows.multiplied(shares[0], a)
            total = total + _each(rows, weighted, b, torch.matmul, inverse)
        if 1 in self.signals and shares[1] is not None:
            weighted = rows.multiplied(shares[1], b)
            total = total + _each(rows, weighted, a, lambda w, a: a @ w, inverse)
        if isinstance(total, int):
            return inverse.new_zeros(len(rows), *inverse.shape[1:])
        return rows.multiply_(total, inverse)


class ConstantSoftmax(Operation):
    """A softmax whose output counts as a constant: attention weights, which get no relevance."""

    def nonnegative(self, inputs):
        return True

    def backward(self, relevance, state, rows):
        raise InputError(
            f"{self.node.name}: relevance arrives at a softmax that makes no attention weights, "
            f"and would end there; explain the logits before it, or use a composite that leads it "
            f"on, such as EpsilonPlusFlatAttnLRP"
        )

    def adjoint(self, shares, state, rows):
        return torch.zeros_like(shares[0])


class TaylorSoftmax(Operation):
    """s = softmax(x) by its first-order Taylor expansion: x (R - s sum R)."""

    reads_inputs = True
    reads_output = True

    def __init__(self, node):
        super().__init__(node)
        module = node.module
        given = module.dim if isinstance(module, nn.Softmax) else None
        if module is None:
            given = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        self.axis = len(node.shape) - 1 if given is None else given % len(node.shape)

    def nonnegative(self, inputs):
        return True

    def prepare(self, inputs, output):
        return inputs[0], output

    def backward(self, relevance, state, rows):
        x, s = state
        total = relevance.sum(dim=self.axis, keepdim=True).expand_as(relevance)
        return [rows.multiply_(relevance - rows.multiplied(total, s), x)]

    def adjoint(self, shares, state, rows):
        x, s = state
        weighted = rows.multiplied(shares[0], x)
        return weighted - rows.multiplied(weighted, s).sum(dim=self.axis, keepdim=True)


def holds_attention(node: Node) -> bool:
    """Whether a node's output is that of a softmax, at most moved, scaled or thinned out."""
    while not is_softmax(node) and len(node.sources) == 1 and not isinstance(node.module, WEIGHED):
        node = node.sources[0]
    return is_softmax(node)


def is_softmax(node: Node) -> bool:
    """Whether a node is a softmax, as a module or a function."""
    return isinstance(node.module, nn.Softmax) or node.call in SOFTMAXES


def _each(rows, tensor, per_image, product, like):
    """The product of every row (T, ...) and its image's tensor, in the shape of `like`'s rows."""
    found = tensor.new_empty(len(tensor), *like.shape[1:])
    pairs = zip(rows.paired(tensor, per_image), rows.paired(found, per_image), strict=True)
    for (one, image), (into, _) in pairs:
        into.copy_(product(one, image))
    return found
