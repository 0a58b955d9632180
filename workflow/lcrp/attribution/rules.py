"""Propagation rules as data.

A rule for a linear map says how relevance R at its output is shared among its inputs:

    R_in = sum over terms t and their parts p of   factor_t * x_p * W_{t,p}^T (gate_t * R / z_t)
    z_t  = stabilised( sum over parts p of  W_{t,p} x_p  +  b_t )

where x_p is a part of the input (all of it, its positive or negative part, ones, a bound) and
W_{t,p} a modification of the weights. One engine runs them all. Each rule below follows the formula
of its paper, or zennit's definition where that differs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

EPSILON = 1e-6


def positive(w):
    return w.clamp(min=0)


def negative(w):
    return w.clamp(max=0)


def identity(w):
    return w


def zero(w):
    return torch.zeros_like(w)


def one(w):
    return torch.ones_like(w)


@dataclass(frozen=True)
class Part:
    """A part of the input and the weights that it meets.

    Attributes:
        input: "all", "positive", "negative", "ones", "low" or "high".
        weight: modification of the weights.
    """

    input: str
    weight: Callable


@dataclass(frozen=True)
class Term:
    """One denominator and what is shared in proportion to it.

    Attributes:
        parts: what contributes.
        bias: modification of the bias in the denominator.
        factor: by which what is shared is multiplied.
        gate: "always", or only where the layer's output is "positive" or "negative".
    """

    parts: tuple[Part, ...]
    bias: Callable = identity
    factor: float = 1.0
    gate: str = "always"


@dataclass(frozen=True)
class LinearRule:
    """A rule for convolutions, linear layers and batch norms.

    Attributes:
        name: by which errors and special cases know it.
        terms: over which relevance is shared.
        epsilon: of the stabiliser.
        low, high: bounds of the input for the z-box rule (broadcastable to it), else None.
    """

    name: str
    terms: tuple[Term, ...]
    epsilon: float = EPSILON
    low: object = None
    high: object = None


def epsilon(value: float = EPSILON) -> LinearRule:
    """LRP-epsilon (Bach et al. 2015)."""
    return LinearRule("epsilon", (Term((Part("all", identity),)),), epsilon=value)


def z_plus() -> LinearRule:
    """z+ for signed inputs: x+ w+ plus x- w-, positive bias in the denominator (zennit)."""
    parts = (Part("positive", positive), Part("negative", negative))
    return LinearRule("z+", (Term(parts, bias=positive),))


def alpha_beta(alpha: float = 2.0, beta: float = 1.0) -> LinearRule:
    """LRP-alpha-beta (Bach et al. 2015): positive and negative contributions apart."""
    excite = (Part("positive", positive), Part("negative", negative))
    inhibit = (Part("positive", negative), Part("negative", positive))
    terms = (
        Term(excite, bias=positive, factor=alpha),
        Term(inhibit, bias=negative, factor=-beta),
    )
    return LinearRule("alpha-beta", terms if beta else terms[:1])


def gamma(value: float = 0.25) -> LinearRule:
    """LRP-gamma (Montavon et al. 2019), as in zennit 0.4.6: meant for non-negative inputs."""

    def favoured(w):
        return w + value * w.clamp(min=0)

    return LinearRule("gamma", (Term((Part("all", favoured),), bias=favoured),))


def signed_gamma(value: float = 0.25) -> LinearRule:
    """Generalised gamma for signed inputs and outputs (the rule that the paper has for YOLOv6).

    Contributions that push the output further from zero are favoured by the factor 1 + gamma;
    which ones these are depends on the sign of the output. Outputs of zero pass nothing on.
    """

    def more_positive(w):
        return w + value * w.clamp(min=0)

    def more_negative(w):
        return w + value * w.clamp(max=0)

    where_positive = (Part("positive", more_positive), Part("negative", more_negative))
    where_negative = (Part("positive", more_negative), Part("negative", more_positive))
    return LinearRule(
        "signed gamma",
        (
            Term(where_positive, bias=more_positive, gate="positive"),
            Term(where_negative, bias=more_negative, gate="negative"),
        ),
    )


def flat() -> LinearRule:
    """Flat (Lapuschkin et al. 2019): every input of the window alike."""
    return LinearRule("flat", (Term((Part("ones", one),), bias=zero),))


def w_square() -> LinearRule:
    """w-square (Montavon et al. 2017): in proportion to the squared weight."""
    return LinearRule("w-square", (Term((Part("ones", torch.square),), bias=torch.square),))


def z_box(low, high) -> LinearRule:
    """z-box (Montavon et al. 2017) for inputs bounded by low and high."""

    def minus_positive(w):
        return -w.clamp(min=0)

    def minus_negative(w):
        return -w.clamp(max=0)

    parts = (Part("all", identity), Part("low", minus_positive), Part("high", minus_negative))
    return LinearRule("z-box", (Term(parts, bias=zero),), low=low, high=high)


@dataclass(frozen=True)
class Norm:
    """Share in proportion to the contributions: for sums and average pools."""

    epsilon: float = EPSILON
    name = "norm"


@dataclass(frozen=True)
class Pass:
    """Relevance passes unchanged."""

    name = "pass"


@dataclass(frozen=True)
class Gradient:
    """The vector-Jacobian product of the operation."""

    name = "gradient"


@dataclass(frozen=True)
class GuidedBackprop:
    """ReLU gradient where the incoming signal is positive (Springenberg et al. 2015)."""

    name = "guided backprop"


@dataclass(frozen=True)
class DeconvNet:
    """The positive part of the incoming signal (Zeiler and Fergus 2014)."""

    name = "deconvnet"


@dataclass(frozen=True)
class ValuesOnly:
    """Of a product with attention weights, all to the values (CP-LRP, Ali et al. 2022)."""

    epsilon: float = EPSILON
    name = "values only"


@dataclass(frozen=True)
class SharedEvenly:
    """Of a product of two signals, half to each (AttnLRP, Achtibat et al. 2024)."""

    epsilon: float = EPSILON
    name = "shared evenly"


@dataclass(frozen=True)
class ConstantOutput:
    """The output counts as a constant: nothing passes (softmax in CP-LRP)."""

    name = "constant output"


@dataclass(frozen=True)
class Taylor:
    """The first-order Taylor expansion of a softmax (AttnLRP)."""

    name = "Taylor"
