"""Which operation a node becomes: the closed list of what the engine can explain.

`_OPERATIONS` is a table of (applies, make), read from the top: the first entry that applies to a
node makes its operation under the rule that the composite gave it. What no entry applies to, or
what its entry has no operation for under that rule, is an error that names it.
"""

import operator
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import nn
from zennit.layer import Sum as ZennitSum

from lcrp.attribution import rules
from lcrp.attribution.composites import LIKE_BATCH_NORM, MatrixProduct, Product
from lcrp.attribution.graph import Constant, Node
from lcrp.attribution.graph.nodes import Entry
from lcrp.attribution.linear_maps import MAPS
from lcrp.attribution.operations import attention
from lcrp.attribution.operations.base import Fixed, Images, Operation
from lcrp.attribution.operations.pointwise import (
    FUNCTIONAL_ACTIVATIONS,
    FUNCTIONAL_RELU,
    Deconv,
    Elementwise,
    Gate,
    Guided,
    Passed,
    Scaling,
    Smooth,
    Through,
    is_activation,
)
from lcrp.attribution.operations.spatial import (
    Concatenation,
    Pooling,
    Reshape,
    Resize,
    Slice,
    Structural,
    bounds,
)
from lcrp.attribution.operations.sums import Average, SharedProduct, Sum, SumGradient
from lcrp.attribution.operations.weighted import Linear, LinearGradient, Normalisation
from lcrp.errors import InputError
from lcrp.models.base import Passing

_ADDITIONS = (operator.add, operator.iadd, torch.add, torch.Tensor.add, torch.Tensor.add_)
_PRODUCTS = (operator.mul, operator.imul, torch.mul, torch.Tensor.mul, torch.Tensor.mul_)
_MATRIX_PRODUCTS = (operator.matmul, torch.matmul, torch.Tensor.matmul, torch.bmm, torch.Tensor.bmm)
_QUOTIENTS = (operator.truediv, torch.div, torch.Tensor.div)
_CONCATENATIONS = (torch.cat, torch.concat)
_POOLINGS = (F.max_pool2d, torch.max_pool2d, torch.nn.functional.max_pool2d)
_RESHAPINGS = (
    torch.flatten, torch.Tensor.flatten, torch.reshape, torch.Tensor.reshape, torch.Tensor.view,
    torch.unflatten, torch.Tensor.unflatten, torch.permute, torch.Tensor.permute,
    torch.Tensor.contiguous, torch.squeeze, torch.Tensor.squeeze, torch.unsqueeze,
    torch.Tensor.unsqueeze, torch.Tensor.transpose, torch.transpose, operator.getitem,
)  # fmt: skip
_AVERAGES = (F.avg_pool2d, F.adaptive_avg_pool2d)
_DROPOUTS = (F.dropout, F.dropout2d)
_AVERAGE_MODULES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_PADDING_MODULES = (nn.ZeroPad1d, nn.ZeroPad2d)
_DROPOUT_MODULES = (nn.Dropout, nn.Dropout2d, nn.Identity)


def stand_in(node: Node) -> nn.Module | None:
    """The module by which a composite decides over a function, or None."""
    if node.call in _ADDITIONS:
        return ZennitSum()
    if node.call in _AVERAGES:
        return nn.AvgPool2d(1)
    if node.call in attention.SOFTMAXES:
        return nn.Softmax(dim=-1)
    if node.call in _MATRIX_PRODUCTS:
        return MatrixProduct()
    if node.call in _PRODUCTS:
        return Product()
    try:
        return FUNCTIONAL_ACTIVATIONS.get(node.call)
    except TypeError:
        return None


REGISTERED = {}  # {module type: make}, see `register_operation`


def register_operation(module_type: type, make: Callable) -> None:
    """Teach the engine a module.

    Args:
        module_type: the class; it becomes one node of the graph, whatever code it contains.
        make: make(node, rule) returns an `Operation`; rule is the composite's, or None where it
            names none.
    """
    REGISTERED[module_type] = make


def passed(passing: Passing) -> Callable:
    """What makes the operations of a module that a model describes as a `Passing`."""
    return lambda node, rule: Smooth(node) if _by_gradient(rule) else Passed(node, passing)


def operation_for(
    node: Node, rule, nonnegative: list, taught: Mapping[type, Callable] | None = None
) -> Operation:
    """The operation of a node.

    Args:
        rule: the composite's, see `rules`; None where it names none.
        nonnegative: whether each input is known to be non-negative.
        taught: {module type: make(node, rule)}, asked first; what was registered by default.

    Raises:
        InputError: it is not on the closed list, or has no operation under the rule.
    """
    for kind, make in (REGISTERED if taught is None else taught).items():
        if isinstance(node.module, kind):
            return make(node, rule)
    for applies, make in _OPERATIONS:
        if applies(node):
            return make(node, rule, nonnegative)
    raise _unknown(node)


def _by_gradient(rule):
    return isinstance(rule, rules.Gradient)


def _is(modules=(), functions=()):
    """A test for nodes that call one of some modules or functions."""
    return lambda node: isinstance(node.module, modules) or node.call in functions


def _alone(kind):
    """Makes operations that need nothing but their node."""
    return lambda node, rule, nonnegative: kind(node)


def _adds_nothing(node):
    """A sum that begins with the number 0."""
    return node.call in _ADDITIONS and len(node.inputs) == 1 and any(a == 0 for a in node.args)


def _pads_zeros(node):
    given = dict(zip(("mode", "value"), node.args[2:], strict=False)) | node.kwargs
    zeros = given.get("mode", "constant") == "constant" and not given.get("value")
    return node.call is F.pad and zeros


def _linear(node, rule, nonnegative):
    if isinstance(rule, rules.LinearRule):
        return Linear(node, rule, nonnegative[0])
    if _by_gradient(rule):
        return LinearGradient(node)
    if isinstance(rule, rules.Pass) and isinstance(node.module, nn.BatchNorm2d | nn.BatchNorm1d):
        return Through(node)
    raise _unknown(node)


def _normalisation(node, rule, nonnegative):
    if isinstance(rule, rules.LinearRule) and rule.name == "epsilon":
        return Normalisation(node, rule.epsilon)
    if _by_gradient(rule):
        return Smooth(node)
    raise _unknown(node)


def _average(node, rule, nonnegative):
    if isinstance(rule, rules.Norm):
        return Average(node, rule.epsilon)
    if _by_gradient(rule):
        return Structural(node)
    raise _unknown(node)


def _activation(node, rule, nonnegative):
    if isinstance(rule, rules.Pass):
        return Through(node)
    if isinstance(rule, rules.GuidedBackprop):
        return Guided(node)
    if isinstance(rule, rules.DeconvNet):
        return Deconv(node)
    relu = isinstance(node.module, nn.ReLU) or node.call in FUNCTIONAL_RELU
    if _by_gradient(rule) or relu:
        return Elementwise(node)
    raise _unknown(node)


def _sum(node, rule, nonnegative):
    if isinstance(rule, rules.Norm):
        return Sum(node, rule.epsilon, nonnegative)
    if _by_gradient(rule):
        return SumGradient(node)
    raise _unknown(node)


def _product(node, rule, nonnegative):
    if _by_gradient(rule):
        return Smooth(node)
    varying = [source for source in node.sources if not isinstance(source.call, Constant)]
    if len(varying) == 1:
        return Scaling(node)
    if isinstance(rule, rules.SharedEvenly) and node.call in _PRODUCTS:
        return SharedProduct(node)
    gates = [position for position in range(2) if _is_gate(node, position)]
    if len(gates) == 1 and node.call in _PRODUCTS:
        return Gate(node, 1 - gates[0])
    raise InputError(
        f"{node.name}: a product in which neither factor is recognised as the gate; "
        f"register its module with lcrp.attribution.register_operation"
    )


def _matrix_product(node, rule, nonnegative):
    """The signals are what is neither a parameter nor attention weights held constant."""
    if _by_gradient(rule):
        return Smooth(node)
    epsilon = rules.EPSILON if rule is None else rule.epsilon
    signals = [i for i in range(2) if not isinstance(node.sources[i].call, Constant)]
    if len(signals) == 2 and not isinstance(rule, rules.SharedEvenly):
        weights = [i for i in signals if attention.holds_attention(node.sources[i])]
        signals = [1 - weights[0]] if len(weights) == 1 else signals
    return attention.MatrixProduct(node, signals, epsilon)


def _softmax(node, rule, nonnegative):
    if _by_gradient(rule):
        return Smooth(node)
    if isinstance(rule, rules.Taylor):
        return attention.TaylorSoftmax(node)
    return attention.ConstantSoftmax(node)


def _is_gate(node, position):
    """A factor that comes from a sigmoid, or is spread over the positions of the other."""
    source, other = node.sources[position], node.sources[1 - position]
    sigmoids = (nn.Sigmoid, nn.Hardsigmoid)
    functions = (torch.sigmoid, torch.Tensor.sigmoid, F.hardsigmoid)
    squashed = isinstance(source.module, sigmoids) or source.call in functions
    spread = source.shape != other.shape and source.shape[2:] == (1, 1)
    return squashed or spread


def _unknown(node):
    kind = (
        type(node.module).__name__
        if node.module is not None
        else getattr(node.call, "__name__", str(node.call))
    )
    return InputError(
        f"{node.name}: {kind} has no rule under this composite; teach it with "
        f"lcrp.attribution.register_operation({kind}, make)"
    )


# In this order: a constant or a sum that adds nothing must not be taken for what follows.
_OPERATIONS = [
    (lambda node: node.call is None, _alone(Images)),
    (lambda node: isinstance(node.call, Constant), _alone(Fixed)),
    (_is(modules=tuple(MAPS)), _linear),
    (_is(modules=LIKE_BATCH_NORM), _normalisation),
    (_is(modules=_AVERAGE_MODULES, functions=_AVERAGES), _average),
    (is_activation, _activation),
    (_is(modules=nn.MaxPool2d, functions=_POOLINGS), _alone(Pooling)),
    (_is(modules=nn.Upsample, functions=(F.interpolate,)), _alone(Resize)),
    (_is(modules=_DROPOUT_MODULES, functions=_DROPOUTS), _alone(Through)),
    (_adds_nothing, _alone(Through)),
    (bounds, _alone(Slice)),
    (_is(modules=(nn.Flatten, Entry), functions=_RESHAPINGS), _alone(Reshape)),
    (_is(modules=_PADDING_MODULES), _alone(Structural)),
    (_pads_zeros, _alone(Structural)),
    (_is(functions=_CONCATENATIONS), _alone(Concatenation)),
    (lambda node: node.call in _ADDITIONS and len(node.inputs) == 2, _sum),
    (_is(functions=(*_PRODUCTS, *_QUOTIENTS)), _product),
    (_is(functions=_MATRIX_PRODUCTS), _matrix_product),
    (attention.is_softmax, _softmax),
]
