"""Operations at every position alone: activations, dropout, products; and any by gradient."""

import torch
import torch.nn.functional as F
from torch import nn
from zennit.types import Activation

from lcrp.attribution.graph import Constant
from lcrp.attribution.operations.base import SAME_POSITION, Operation
from lcrp.errors import InputError

FUNCTIONAL_RELU = (F.relu, torch.relu, torch.Tensor.relu, torch.Tensor.relu_)
FUNCTIONAL_ACTIVATIONS = {
    F.silu: nn.SiLU(), torch.sigmoid: nn.Sigmoid(), torch.Tensor.sigmoid: nn.Sigmoid(),
    F.hardswish: nn.Hardswish(), F.hardsigmoid: nn.Hardsigmoid(), F.gelu: nn.GELU(),
    F.leaky_relu: nn.LeakyReLU(), F.relu6: nn.ReLU6(), F.elu: nn.ELU(), torch.tanh: nn.Tanh(),
}  # fmt: skip


class Through(Operation):
    """The rule pass, and whatever else lets relevance through unchanged (dropout)."""

    neighbourhood = SAME_POSITION

    def nonnegative(self, inputs):
        kinds = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus)
        if isinstance(self.node.module, kinds):
            return True
        functions = (F.relu, torch.relu, torch.Tensor.relu, F.relu6, torch.sigmoid, F.hardsigmoid)
        return self.node.call in functions or (not is_activation(self.node) and inputs[0])

    def backward(self, relevance, state, rows):
        return [relevance]

    def adjoint(self, shares, state, rows):
        return shares[0]


class Passed(Through):
    """A module of a model's own that a `lcrp.models.base.Passing` describes."""

    def __init__(self, node, passing):
        super().__init__(node)
        self.passing = passing

    def nonnegative(self, inputs):
        return inputs[0] and self.passing.keeps_sign(self.node.module)


class Elementwise(Through):
    """An activation by gradient: multiplied by its derivative."""

    reads_inputs = True

    def prepare(self, inputs, output):
        with torch.enable_grad():
            x = inputs[0].detach().requires_grad_()
            return torch.autograd.grad(Operation.forward(self, x).sum(), x)[0]

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance, state)]

    def adjoint(self, shares, state, rows):
        return rows.multiplied(shares[0], state)


class Guided(Elementwise):
    """ReLU under guided backprop; not linear in the signal, so it has no transpose."""

    def backward(self, relevance, state, rows):
        return [rows.multiply_(relevance.clamp_(min=0), state)]

    def adjoint(self, shares, state, rows):
        raise InputError(
            f"{self.node.name}: guided backprop is not linear, so masks cannot be transported; "
            f"use conditional heatmaps, or another composite"
        )


class Deconv(Guided):
    """ReLU under DeconvNet."""

    def backward(self, relevance, state, rows):
        return [relevance.clamp_(min=0)]


class Smooth(Operation):
    """Any differentiable operation by gradient, through autograd."""

    reads_inputs = True

    def prepare(self, inputs, output):
        return inputs

    def backward(self, relevance, state, rows):
        _, pull = torch.func.vjp(super().forward, *(rows.expanded(x) for x in state))
        return list(pull(relevance))

    def adjoint(self, shares, state, rows):
        inputs = tuple(rows.expanded(x) for x in state)
        tangents = tuple(
            torch.zeros_like(x) if s is None else s for x, s in zip(inputs, shares, strict=True)
        )
        return torch.func.jvp(super().forward, inputs, tangents)[1]


class Scaling(Operation):
    """Multiplication by a constant: relevance passes."""

    neighbourhood = SAME_POSITION

    def backward(self, relevance, state, rows):
        return [
            None if isinstance(source.call, Constant) else relevance for source in self.node.sources
        ]

    def adjoint(self, shares, state, rows):
        return next(share for share in shares if share is not None)


class Gate(Operation):
    """A signal times its gate (squeeze-and-excitation, LR-ASPP): all relevance to the signal."""

    def __init__(self, node, signal):
        super().__init__(node)
        self.signal = signal

    def backward(self, relevance, state, rows):
        return [relevance if i == self.signal else None for i in range(2)]

    def adjoint(self, shares, state, rows):
        return shares[self.signal]


def is_activation(node):
    """Whether a node is an activation, as a module or a function."""
    return isinstance(node.module, Activation) or node.call in (
        *FUNCTIONAL_RELU, *FUNCTIONAL_ACTIVATIONS
    )  # fmt: skip
