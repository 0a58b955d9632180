"""Every rule against its formula, applied to the explicit Jacobian of the layer."""

from itertools import product

import pytest
import torch
from torch import nn

from lcrp.attribution import rules
from lcrp.attribution.sharing import shares
from support.single_operation import Single

EPSILON = 1e-6


def jacobian(layer, x):
    """Matrix (outputs, inputs) of the linear part of a layer at the shape of x (1, ...)."""
    plain = torch.func.functional_call(layer, {}, (torch.zeros_like(x),)).flatten()
    columns = []
    for i in range(x.numel()):
        unit = torch.zeros_like(x).flatten()
        unit[i] = 1
        columns.append(layer(unit.view_as(x)).flatten() - plain)
    return torch.stack(columns, dim=1)


def bias_per_output(layer, x):
    return layer(torch.zeros_like(x)).flatten()


def divided(contributions, denominator, relevance, epsilon=EPSILON):
    """Relevance of the inputs, from contributions (outputs, inputs)."""
    sign = torch.where(denominator < 0, -1.0, 1.0)
    return (contributions / (denominator + sign * epsilon)[:, None] * relevance[:, None]).sum(0)


def up(t):
    return t.clamp(min=0)


def down(t):
    return t.clamp(max=0)


def slow_epsilon(w, b, x, r, epsilon=EPSILON):
    c = w * x
    return divided(c, c.sum(1) + b, r, epsilon)


def slow_z_plus(w, b, x, r):
    c = up(w * x)
    return divided(c, c.sum(1) + up(b), r)


def slow_alpha_beta(w, b, x, r, alpha=2, beta=1):
    above, below = up(w * x), down(w * x)
    return alpha * divided(above, above.sum(1) + up(b), r) - beta * divided(
        below, below.sum(1) + down(b), r
    )


def slow_gamma(w, b, x, r, gamma=0.25):
    c = (w + gamma * up(w)) * x
    return divided(c, c.sum(1) + b + gamma * up(b), r)


def slow_signed_gamma(w, b, x, r, gamma=0.25):
    z = (w * x).sum(1) + b
    total = torch.zeros_like(x)
    for j in range(len(z)):
        sign = z[j].sign()
        if sign == 0:
            continue
        favoured = (w[j] * x * sign) > 0
        c = w[j] * x * torch.where(favoured, 1 + gamma, 1.0)
        bias = b[j] * (1 + gamma if b[j] * sign > 0 else 1)
        total += divided(c[None], (c.sum() + bias)[None], r[j : j + 1])
    return total


def slow_flat(w, b, x, r, connected):
    c = connected.to(w)
    return divided(c, c.sum(1), r)


def slow_w_square(w, b, x, r, squared_bias):
    return divided(w**2, (w**2).sum(1) + squared_bias, r)


def slow_z_box(w, b, x, r, low, high):
    c = w * x - up(w) * low - down(w) * high
    return divided(c, c.sum(1), r)


LAYERS = {
    "conv": (lambda: nn.Conv2d(4, 6, 3, padding=1), (4, 5, 5)),
    "conv-no-bias": (lambda: nn.Conv2d(4, 6, 3, bias=False), (4, 5, 5)),
    "conv-strided": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 6, 5)),
    "conv-dilated": (lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2), (4, 5, 6)),
    "conv-grouped": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 5, 5)),
    "conv-depthwise": (lambda: nn.Conv2d(4, 4, 3, stride=2, groups=4), (4, 6, 6)),
    "conv-same": (lambda: nn.Conv2d(4, 6, (1, 3), padding="same"), (4, 4, 5)),
    "conv-1x1": (lambda: nn.Conv2d(4, 6, 1), (4, 3, 3)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 3, 3)),
    "transposed-output-padding": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
        (4, 3, 3),
    ),
    "transposed-grouped": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 3, 3)),
    "linear": (lambda: nn.Linear(12, 5), (12,)),
    "linear-no-bias": (lambda: nn.Linear(12, 5, bias=False), (12,)),
    "batch-norm": (lambda: nn.BatchNorm2d(4), (4, 3, 3)),
}
RULES = {
    "z+": (rules.z_plus(), slow_z_plus),
    "epsilon": (rules.epsilon(), slow_epsilon),
    "epsilon-large": (rules.epsilon(0.1), lambda *a: slow_epsilon(*a, epsilon=0.1)),
    "alpha-beta": (rules.alpha_beta(2.0, 1.0), slow_alpha_beta),
    "alpha1-beta0": (rules.alpha_beta(1.0, 0.0), lambda *a: slow_alpha_beta(*a, 1, 0)),
    "gamma": (rules.gamma(0.25), slow_gamma),
    "signed-gamma": (rules.signed_gamma(0.25), slow_signed_gamma),
    "signed-gamma-large": (rules.signed_gamma(2.0), lambda *a: slow_signed_gamma(*a, gamma=2.0)),
    "flat": (rules.flat(), slow_flat),
    "w-square": (rules.w_square(), slow_w_square),
    "z-box": (
        rules.z_box(-3.0, 3.0),
        lambda w, b, x, r: slow_z_box(w, b, x, r, -3.0, 3.0),
    ),
}
BIAS_RULES = ("z+", "epsilon", "gamma", "signed-gamma", "alpha-beta")


def make(layer_name, nonnegative=False):
    """A layer in float64 with random weights, and two images of inputs."""
    build, shape = LAYERS[layer_name]
    layer = build().double().eval().requires_grad_(False)
    if isinstance(layer, nn.BatchNorm2d):
        layer.weight.copy_(torch.randn(4))
        layer.bias.copy_(torch.randn(4))
        layer.running_mean.copy_(torch.randn(4))
        layer.running_var.copy_(torch.rand(4) + 0.5)
    x = torch.randn(2, *shape, dtype=torch.float64)
    if nonnegative:
        x = x.abs() * (x > -0.5)
    return layer, x


def expected(rule_name, layer, x, relevance):
    """Relevance at the input of one image (1, ...), by the formula."""
    slow = RULES[rule_name][1]
    w, b = jacobian(layer, x), bias_per_output(layer, x)
    extra = []
    if rule_name == "flat":
        with torch.no_grad():
            ones = _with_weights(layer, torch.ones_like, torch.zeros_like)
        extra = [jacobian(ones, x)]
    if rule_name == "w-square":
        extra = [bias_per_output(_with_weights(layer, torch.square, torch.square), x)]
    return slow(w, b, x.flatten(), relevance.flatten(), *extra).view_as(x)


def _with_weights(layer, of_weight, of_bias):
    changed = LAYERS[next(n for n, (f, _) in LAYERS.items() if repr(f()) == repr(layer))][0]()
    changed = changed.double().requires_grad_(False)
    changed.weight.copy_(of_weight(layer.weight))
    if layer.bias is not None:
        changed.bias.copy_(of_bias(layer.bias))
    return changed


COMBINATIONS = [
    (layer, rule)
    for layer, rule in product(LAYERS, RULES)
    if layer != "batch-norm" or rule == "epsilon"
]


@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize(("layer_name", "rule_name"), COMBINATIONS)
def test_rule_follows_its_formula(layer_name, rule_name, nonnegative):
    layer, x = make(layer_name, nonnegative)
    output = layer(x)
    images = [0, 0, 1]
    relevance = torch.randn(3, *output.shape[1:], dtype=torch.float64)
    single = Single(layer, RULES[rule_name][0], x, nonnegative=nonnegative)
    (found,) = single.backward(relevance, images)
    for row, image in enumerate(images):
        one = x[image : image + 1]
        slow = expected(rule_name, layer, one, relevance[row])[0]
        assert (found[row] - slow).abs().max() < 1e-7 * slow.abs().max()


@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize(("layer_name", "rule_name"), COMBINATIONS)
def test_adjoint_is_the_transpose(layer_name, rule_name, nonnegative):
    layer, x = make(layer_name, nonnegative)
    Single(layer, RULES[rule_name][0], x, nonnegative=nonnegative).assert_adjoint()


@pytest.mark.parametrize("layer_name", [n for n in LAYERS if n != "batch-norm"])
@pytest.mark.parametrize("rule_name", BIAS_RULES)
def test_what_leaves_a_layer_arrives_below_but_for_the_biases(layer_name, rule_name):
    """What the bias term of the denominator takes is all that is missing."""
    layer, x = make(layer_name)
    rule = RULES[rule_name][0]
    output = layer(x)
    relevance = torch.rand(output.shape, dtype=torch.float64)
    (arrived,) = Single(layer, rule, x).backward(relevance, [0, 1])
    w, b = jacobian(layer, x[:1]), bias_per_output(layer, x[:1])
    for row in range(2):
        absorbed = _absorbed(rule_name, w, b, x[row].flatten(), relevance[row].flatten())
        left = relevance[row].sum() - absorbed
        torch.testing.assert_close(arrived[row].sum(), left, rtol=1e-6, atol=1e-6)


def _absorbed(rule_name, w, b, x, r):
    """Relevance that the bias and the stabiliser take as if they were one more contribution."""
    c = w * x
    z = c.sum(1) + b
    favoured = torch.where(c * z.sign()[:, None] > 0, 1.25, 1.0)
    terms = {  # factor, contributions, bias
        "epsilon": [(1, c, b)],
        "z+": [(1, up(c), up(b))],
        "gamma": [(1, (w + 0.25 * up(w)) * x, b + 0.25 * up(b))],
        "signed-gamma": [(1, c * favoured, b * torch.where(b * z > 0, 1.25, 1.0))],
        "alpha-beta": [(2, up(c), up(b)), (-1, down(c), down(b))],
    }[rule_name]
    taken = 0
    for factor, contributions, bias in terms:
        total = contributions.sum(1) + bias
        stabiliser = torch.where(total < 0, -EPSILON, EPSILON)
        taken += factor * (r * (bias + stabiliser) / (total + stabiliser)).sum()
    return taken


def test_signed_gamma_passes_nothing_through_outputs_of_zero():
    layer = nn.Conv2d(2, 1, 1, bias=False).double().requires_grad_(False)
    layer.weight.copy_(torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))
    x = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    single = Single(layer, rules.signed_gamma(0.25), x)
    (found,) = single.backward(torch.ones(1, 1, 1, 1, dtype=torch.float64), [0])
    assert found.abs().sum() == 0


def test_z_box_takes_bounds_per_channel():
    layer, x = make("conv")
    low, high = -torch.rand(1, 4, 1, 1).double() - 3, torch.rand(1, 4, 1, 1).double() + 3
    relevance = torch.randn(layer(x).shape, dtype=torch.float64)
    (found,) = Single(layer, rules.z_box(low, high), x).backward(relevance, [0, 1])
    spread = (
        torch.broadcast_to(low, x[:1].shape).flatten(),
        torch.broadcast_to(high, x[:1].shape).flatten(),
    )
    w, b = jacobian(layer, x[:1]), bias_per_output(layer, x[:1])
    slow = slow_z_box(w, b, x[1].flatten(), relevance[1].flatten(), *spread)
    torch.testing.assert_close(found[1].flatten(), slow)


@pytest.mark.parametrize(
    ("rule", "nonnegative", "slopes"),
    [
        (rules.z_plus(), False, [(0.5, 0.5)]),
        (rules.alpha_beta(), False, [(0.5, 0.5), (0.5, -0.5)]),
        (rules.alpha_beta(), True, [(0.5, 0.5), (0.5, -0.5)]),
        (rules.signed_gamma(0.5), False, [(1.25, 0.25), (1.25, -0.25)]),
        (rules.z_plus(), True, None),
        (rules.epsilon(), False, None),
        (rules.flat(), False, None),
        (rules.w_square(), False, None),
        (rules.z_box(-1.0, 1.0), False, None),
    ],
)
def test_denominators_come_from_the_output_where_that_saves_passes(rule, nonnegative, slopes):
    layer = nn.Conv2d(3, 4, 3)
    assert shares(layer, rule, nonnegative).slopes == slopes
    # The difference of large numbers is too coarse there.
    assert shares(layer.bfloat16(), rule, nonnegative).slopes is None
