"""Pooling, resizing, joining, reshaping, activations, sums, gates: both directions."""

import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution import rules
from lcrp.attribution.graph import Constant, Input, Node
from lcrp.attribution.operations import operation_for
from lcrp.errors import InputError
from lcrp.models.ssd import L2Norm
from support.single_operation import Single

GRADIENT, PASS, NORM = rules.Gradient(), rules.Pass(), rules.Norm()
X = Input(0)


def images(*shape):
    return torch.randn(2, *shape, dtype=torch.float64)


def by_autograd(call, x, relevance, image):
    """Gradient of <relevance, output> for one image of the batch."""
    x = x.clone().requires_grad_()
    signal = torch.zeros_like(output := call(x))
    signal[image] = relevance
    return torch.autograd.grad(output, x, signal)[0][image]


# Without a rule (None) an operation goes by gradient if it is on the closed list.
BY_GRADIENT = {
    "max-pool": (nn.MaxPool2d(2), None, (3, 6, 6), {}),
    "max-pool-overlapping": (nn.MaxPool2d(5, stride=1, padding=2), None, (3, 6, 6), {}),
    "max-pool-ceil": (nn.MaxPool2d(2, ceil_mode=True), None, (3, 5, 7), {}),
    "max-pool-dilated": (nn.MaxPool2d(2, stride=1, dilation=2), None, (3, 6, 6), {}),
    "max-pool-function": (F.max_pool2d, None, (3, 6, 6), {"args": (X, 3), "kwargs": {"stride": 2}}),
    "average-pool": (nn.AvgPool2d(3, stride=2, padding=1), GRADIENT, (3, 7, 7), {}),
    "adaptive-average-pool": (nn.AdaptiveAvgPool2d((2, 3)), GRADIENT, (3, 5, 7), {}),
    "nearest": (nn.Upsample(scale_factor=2, mode="nearest"), None, (3, 3, 4), {}),
    "nearest-odd": (
        F.interpolate,
        None,
        (3, 3, 4),
        {"kwargs": {"size": (5, 7), "mode": "nearest"}},
    ),
    "bilinear": (
        F.interpolate,
        None,
        (3, 3, 4),
        {"kwargs": {"size": (7, 9), "mode": "bilinear", "align_corners": False}},
    ),
    "bilinear-aligned": (nn.UpsamplingBilinear2d(scale_factor=2), None, (3, 3, 4), {}),
    "bilinear-smaller": (
        F.interpolate,
        None,
        (3, 8, 9),
        {"kwargs": {"size": (3, 4), "mode": "bilinear", "align_corners": False}},
    ),
    "dropout": (nn.Dropout(0.5).eval(), None, (3, 4, 4), {}),
    "dropout-function": (F.dropout, None, (3, 4, 4), {"kwargs": {"training": False}}),
    "identity": (nn.Identity(), None, (3, 4, 4), {}),
    "flatten": (nn.Flatten(), None, (3, 4, 4), {}),
    "flatten-function": (torch.flatten, None, (3, 4, 4), {"args": (X, 1)}),
    "reshape": (torch.Tensor.reshape, None, (4, 3, 3), {"args": (X, 2, 2, 2, 9)}),
    "reshape-inferred": (torch.Tensor.view, None, (4, 3, 3), {"args": (X, -1, 36)}),
    "permute": (torch.Tensor.permute, None, (3, 4, 5), {"args": (X, 0, 2, 3, 1)}),
    "transpose": (torch.Tensor.transpose, None, (3, 4, 5), {"args": (X, 1, 2)}),
    "slice": (
        operator.getitem,
        None,
        (4, 5, 5),
        {"args": (X, (slice(None), slice(1, 3), slice(None, None, 2)))},
    ),
    "channels": (operator.getitem, None, (5, 3, 4), {"args": (X, (slice(None), slice(1, 3)))}),
    "rows": (
        operator.getitem,
        None,
        (2, 5, 4),
        {"args": (X, (slice(None), slice(None), slice(-3, None)))},
    ),
    "unflatten": (torch.Tensor.unflatten, None, (6, 4), {"args": (X, 1, (2, -1))}),
    "zero-padding": (nn.ZeroPad2d((1, 0, 2, 1)), None, (3, 4, 5), {}),
    "padding-function": (F.pad, None, (3, 4, 5), {"args": (X, (1, 2, 0, 1))}),
    "squeeze": (torch.squeeze, None, (3, 1, 1), {"args": (X, 3)}),
    "relu-function": (F.relu, None, (3, 4, 4), {}),
    "relu-unnamed": (nn.ReLU(), None, (3, 4, 4), {}),
    "relu-method": (torch.Tensor.relu, None, (3, 4, 4), {}),
    "relu": (nn.ReLU(), GRADIENT, (3, 4, 4), {}),
    "silu": (nn.SiLU(), GRADIENT, (3, 4, 4), {}),
    "sigmoid": (nn.Sigmoid(), GRADIENT, (3, 4, 4), {}),
    "hardswish": (nn.Hardswish(), GRADIENT, (3, 4, 4), {}),
    "leaky-relu": (nn.LeakyReLU(0.1), GRADIENT, (3, 4, 4), {}),
    "convolution": (nn.Conv2d(3, 4, 3, stride=2).double(), GRADIENT, (3, 6, 7), {}),
    "grouped-convolution": (nn.Conv2d(4, 6, 3, groups=2).double(), GRADIENT, (4, 6, 7), {}),
    "transposed-convolution": (
        nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1).double(),
        GRADIENT,
        (3, 4, 4),
        {},
    ),
    "linear": (nn.Linear(5, 4).double(), GRADIENT, (5,), {}),
    "batch-norm": (nn.BatchNorm2d(3).double().eval(), GRADIENT, (3, 4, 4), {}),
    "l2-norm": (L2Norm(4).double(), GRADIENT, (4, 3, 3), {}),
}


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_gradient_is_that_of_autograd(name):
    call, rule, shape, arguments = BY_GRADIENT[name]
    single = Single(call, rule, images(*shape), **arguments)
    relevance = torch.randn(3, *single.output.shape[1:], dtype=torch.float64)
    (found,) = single.backward(relevance, [0, 0, 1])
    for row, image in enumerate([0, 0, 1]):
        slow = by_autograd(
            lambda x: _called_with(call, arguments, x), single.inputs[0], relevance[row], image
        )
        torch.testing.assert_close(found[row], slow)


def _called_with(call, arguments, x):
    args = [x if argument == X else argument for argument in arguments.get("args", (X,))]
    return call(*args, **arguments.get("kwargs", {}))


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_gradient_has_its_transpose(name):
    call, rule, shape, arguments = BY_GRADIENT[name]
    Single(call, rule, images(*shape), **arguments).assert_adjoint()


@pytest.mark.parametrize(
    "module",
    [nn.ReLU(), nn.SiLU(), nn.Sigmoid(), nn.Hardswish(), nn.Hardsigmoid(), nn.LeakyReLU(),
     nn.ReLU6(), nn.ELU(), nn.GELU(), nn.Tanh(), L2Norm(3).double()],
    ids=lambda module: type(module).__name__,
)  # fmt: skip
def test_relevance_passes_an_activation(module):
    single = Single(module, PASS, images(3, 4, 4))
    relevance = images(3, 4, 4)
    torch.testing.assert_close(single.backward(relevance, [0, 1])[0], relevance)
    single.assert_adjoint()


@pytest.mark.parametrize(
    ("function", "module"),
    [(F.silu, nn.SiLU()), (torch.sigmoid, nn.Sigmoid()), (F.hardswish, nn.Hardswish())],
)
def test_functional_activation_is_treated_as_its_module(function, module):
    x, relevance = images(3, 4, 4), images(3, 4, 4)
    for rule in (PASS, GRADIENT):
        found = Single(function, rule, x).backward(relevance, [0, 1])[0]
        torch.testing.assert_close(found, Single(module, rule, x).backward(relevance, [0, 1])[0])


def test_guided_backprop_keeps_what_is_positive_above_and_below():
    x, relevance = images(3, 4, 4), images(3, 4, 4)
    single = Single(nn.ReLU(), rules.GuidedBackprop(), x)
    found = single.backward(relevance, [0, 1])[0]
    torch.testing.assert_close(found, relevance * (relevance > 0) * (x > 0))
    with pytest.raises(InputError, match="not linear"):
        single.adjoint([x], [0, 1])


def test_deconvnet_keeps_what_is_positive_above():
    x, relevance = images(3, 4, 4), images(3, 4, 4)
    found = Single(nn.ReLU(), rules.DeconvNet(), x).backward(relevance, [0, 1])[0]
    torch.testing.assert_close(found, relevance.clamp(min=0))


POOLS = {
    "average": (nn.AvgPool2d(2), (3, 6, 6)),
    "average-padded": (nn.AvgPool2d(3, stride=2, padding=1), (3, 7, 7)),
    "average-without-padding": (
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        (3, 7, 7),
    ),
    "adaptive": (nn.AdaptiveAvgPool2d((2, 3)), (3, 5, 7)),
    "global": (nn.AdaptiveAvgPool2d(1), (3, 5, 7)),
}


@pytest.mark.parametrize("name", POOLS)
def test_average_pooling_shares_in_proportion(name):
    module, shape = POOLS[name]
    x = images(*shape)
    single = Single(module, NORM, x)
    relevance = torch.randn(single.output.shape, dtype=torch.float64)
    found = single.backward(relevance, [0, 1])[0]
    z = single.output
    share = relevance / (z + torch.where(z < 0, -1e-6, 1e-6))
    slow = x * torch.autograd.functional.vjp(module, x, share)[1]
    torch.testing.assert_close(found, slow, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.sum(), relevance.sum(), rtol=1e-2, atol=1e-2)
    single.assert_adjoint()


def test_functional_average_pooling_shares_in_proportion():
    x, relevance = images(3, 6, 6), images(3, 1, 1)
    found = Single(F.adaptive_avg_pool2d, NORM, x, args=(X, 1)).backward(relevance, [0, 1])[0]
    slow = Single(nn.AdaptiveAvgPool2d(1), NORM, x).backward(relevance, [0, 1])[0]
    torch.testing.assert_close(found, slow)


SUMMANDS = {
    "alike": ((3, 4, 4), (3, 4, 4)),
    "one-position": ((3, 4, 4), (3, 1, 1)),
    "one-channel": ((1, 4, 4), (3, 4, 4)),
}


@pytest.mark.parametrize("shapes", SUMMANDS.values(), ids=SUMMANDS)
@pytest.mark.parametrize("function", [operator.add, torch.add, torch.Tensor.add, operator.iadd])
def test_sum_shares_in_proportion(shapes, function):
    x, y = images(*shapes[0]), images(*shapes[1])
    if function is operator.iadd and shapes[0] != shapes[1]:
        return
    single = Single(torch.add if function is operator.iadd else function, NORM, x, y)
    relevance = torch.randn(3, *single.output.shape[1:], dtype=torch.float64)
    found = single.backward(relevance, [0, 0, 1])
    for row, image in enumerate([0, 0, 1]):
        z = x[image] + y[image]
        share = relevance[row] / (z + torch.where(z < 0, -1e-6, 1e-6))
        for part, summand in zip(found, (x, y), strict=True):
            slow = (summand[image] * share).sum_to_size(summand.shape[1:])
            torch.testing.assert_close(part[row], slow, rtol=1e-6, atol=1e-9)
    single.assert_adjoint()


@pytest.mark.parametrize("shapes", SUMMANDS.values(), ids=SUMMANDS)
def test_sum_by_gradient_gives_all_to_each(shapes):
    x, y = images(*shapes[0]), images(*shapes[1])
    single = Single(operator.add, GRADIENT, x, y)
    relevance = torch.randn(single.output.shape, dtype=torch.float64)
    for part, summand in zip(single.backward(relevance, [0, 1]), (x, y), strict=True):
        torch.testing.assert_close(part, relevance.sum_to_size(2, *summand.shape[1:]))
    single.assert_adjoint()


def test_concatenation_gives_each_its_channels():
    parts = [images(c, 4, 4) for c in (2, 3, 1)]
    single = Single(
        torch.cat, None, *parts, args=([Input(0), Input(1), Input(2)],), kwargs={"dim": 1}
    )
    relevance = images(6, 4, 4)
    found = single.backward(relevance, [0, 1])
    for part, slow in zip(found, relevance.split([2, 3, 1], dim=1), strict=True):
        torch.testing.assert_close(part, slow)
    single.assert_adjoint()
    lacking = single.adjoint([None, images(3, 4, 4), None], [0, 1])
    assert lacking[:, :2].abs().sum() == 0
    assert lacking[:, 5:].abs().sum() == 0


def test_concatenation_of_images_is_refused():
    parts = [images(2, 4, 4), images(2, 4, 4)]
    with pytest.raises(InputError, match="images of a batch"):
        Single(torch.cat, None, *parts, args=([Input(0), Input(1)], 0))


def _source(name, call, shape):
    return Node(name, call, (), {}, (), shape)


GATES = {
    "squeeze-and-excitation": ((4, 5, 5), (4, 1, 1), nn.Sigmoid()),
    "hard": ((4, 5, 5), (4, 1, 1), nn.Hardsigmoid()),
    "by-shape": ((4, 5, 5), (4, 1, 1), nn.Conv2d(1, 1, 1)),
    "by-sigmoid": ((4, 5, 5), (4, 5, 5), torch.sigmoid),
}


@pytest.mark.parametrize("gate_first", [False, True])
@pytest.mark.parametrize("name", GATES)
def test_gate_passes_relevance_to_the_signal_alone(name, gate_first):
    signal_shape, gate_shape, made_by = GATES[name]
    signal, gate = images(*signal_shape), images(*gate_shape)
    sources = [
        _source("signal", nn.ReLU(), signal.shape),
        _source("gate", made_by, gate.shape),
    ]
    inputs = [signal, gate]
    if gate_first:
        inputs, sources = inputs[::-1], sources[::-1]
    single = Single(operator.mul, None, *inputs, sources=sources)
    relevance = images(*signal_shape)
    found = single.backward(relevance, [0, 1])
    place = 1 if gate_first else 0
    torch.testing.assert_close(found[place], relevance)
    assert found[1 - place] is None
    single.assert_adjoint()


def test_product_by_gradient():
    x, y = images(4, 5, 5), images(4, 1, 1)
    single = Single(operator.mul, GRADIENT, x, y)
    relevance = images(4, 5, 5)
    found = single.backward(relevance, [0, 1])
    torch.testing.assert_close(found[0], relevance * y)
    torch.testing.assert_close(found[1], (relevance * x).sum((2, 3), keepdim=True))
    single.assert_adjoint()


def test_product_without_a_gate_is_refused():
    x, y = images(4, 5, 5), images(4, 5, 5)
    sources = [_source("a", nn.ReLU(), x.shape), _source("b", nn.ReLU(), y.shape)]
    with pytest.raises(InputError, match="neither factor is recognised as the gate"):
        Single(operator.mul, None, x, y, sources=sources)


def test_multiplication_by_a_constant_passes_relevance():
    x = images(3, 4, 4)
    relevance = images(3, 4, 4)
    for call, args in ((operator.mul, (X, 3.0)), (operator.truediv, (X, -2.0))):
        single = Single(call, None, x, args=args)
        torch.testing.assert_close(single.backward(relevance, [0, 1])[0], relevance)
        single.assert_adjoint()


def test_multiplication_by_a_parameter_passes_relevance():
    x, weight = images(3, 4, 4), torch.randn(1, 3, 1, 1, dtype=torch.float64)
    sources = [_source("x", nn.ReLU(), x.shape), _source("w", Constant(weight), weight.shape)]
    single = Single(operator.mul, None, x, weight, sources=sources)
    relevance = images(3, 4, 4)
    found = single.backward(relevance, [0, 1])
    torch.testing.assert_close(found[0], relevance)
    assert found[1] is None


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (torch.exp, None),
        (torch.cumsum, None),
        (nn.GroupNorm(1, 3), None),
        (nn.SiLU(), None),
        (nn.Conv2d(3, 3, 1), None),
        (nn.BatchNorm2d(3), None),
        (nn.AvgPool2d(2), None),
        (nn.Upsample(scale_factor=2, mode="bicubic"), None),
        (nn.ReflectionPad2d(1), None),
    ],
    ids=lambda call: getattr(call, "__name__", str(call)),
)
def test_what_is_not_on_the_list_is_refused_by_name(call, rule):
    node = Node("block.odd", call, (X,), {}, (0,), (2, 3, 4, 4))
    node.sources = (_source("x", None, (2, 3, 4, 4)),)
    with pytest.raises(InputError, match=r"block\.odd") as caught:
        operation_for(node, rule, [False])
    kind = type(call).__name__ if isinstance(call, nn.Module) else call.__name__
    assert kind in str(caught.value) or "bicubic" in str(caught.value)
    assert "\n" not in str(caught.value)
