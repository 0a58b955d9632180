"""Group, layer and instance norm: the epsilon rule with fixed statistics, and the gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution import rules
from lcrp.attribution.graph import Input, Node
from lcrp.attribution.operations import operation_for
from lcrp.errors import InputError
from support.single_operation import Single
from support.small_models import explained, randomised, targets_at

EPSILON = 1e-6
ROWS = [0, 0, 1]


def channel_groups(count):
    """What is normalised together: channels in `count` groups, all positions."""
    return lambda shape: [
        [(c, slice(None), slice(None)) for c in group]
        for group in torch.arange(shape[0]).chunk(count)
    ]


def single_positions(shape):
    """What is normalised together by a layer norm over the last axis."""
    return [[(c, h, slice(None))] for c in range(shape[0]) for h in range(shape[1])]


NORMS = {  # module, shape of an image, what is normalised together, axis of the parameters
    "group": (nn.GroupNorm(2, 6), (6, 3, 4), channel_groups(2), 0),
    "group-of-all": (nn.GroupNorm(1, 4, eps=0.1), (4, 3, 3), channel_groups(1), 0),
    "group-plain": (nn.GroupNorm(3, 6, affine=False), (6, 3, 3), channel_groups(3), 0),
    "instance": (nn.InstanceNorm2d(3, affine=True), (3, 4, 4), channel_groups(3), 0),
    "instance-plain": (nn.InstanceNorm2d(3), (3, 4, 4), channel_groups(3), 0),
    "layer": (nn.LayerNorm(5), (3, 4, 5), single_positions, 2),
    "layer-plain": (nn.LayerNorm(5, elementwise_affine=False), (3, 4, 5), single_positions, 2),
}


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def make(name):
    """A norm in float64 with random parameters, and two images."""
    module, shape, *_ = NORMS[name]
    module = module.double().eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape))
    return module, torch.randn(2, *shape, dtype=torch.float64) + 0.3


def slow_epsilon(name, module, x, relevance):
    """Relevance of one image, number by number: y = a x + b with a and b of its group."""
    _, shape, groups, axis = NORMS[name]
    a, b = torch.zeros_like(x), torch.zeros_like(x)
    for members in groups(shape):
        numbers = torch.cat([x[member].flatten() for member in members])
        mean = numbers.sum() / len(numbers)
        deviation = (((numbers - mean) ** 2).sum() / len(numbers) + module.eps).sqrt()
        for member in members:
            a[member] = 1 / deviation
            b[member] = -mean / deviation
    if module.weight is not None:
        spread = [1] * 3
        spread[axis] = -1
        weight, bias = module.weight.view(spread), module.bias.view(spread)
        a, b = a * weight, b * weight + bias
    y = a * x + b
    torch.testing.assert_close(y, module(x[None])[0])
    return a * x * relevance / (y + torch.where(y < 0, -EPSILON, EPSILON))


@pytest.mark.parametrize("name", NORMS)
def test_epsilon_with_fixed_statistics_follows_its_formula(name):
    module, x = make(name)
    relevance = torch.randn(3, *x.shape[1:], dtype=torch.float64)
    (found,) = Single(module, rules.epsilon(), x).backward(relevance, ROWS)
    for row, image in enumerate(ROWS):
        slow = slow_epsilon(name, module, x[image], relevance[row])
        torch.testing.assert_close(found[row], slow, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("rule", [rules.epsilon(), rules.epsilon(0.1), rules.Gradient()])
def test_adjoint_is_the_transpose(name, rule):
    module, x = make(name)
    Single(module, rule, x).assert_adjoint()


@pytest.mark.parametrize("name", NORMS)
def test_gradient_is_that_of_autograd(name):
    module, x = make(name)
    relevance = torch.randn(3, *x.shape[1:], dtype=torch.float64)
    (found,) = Single(module, rules.Gradient(), x).backward(relevance, ROWS)
    for row, image in enumerate(ROWS):
        one = x[image : image + 1].clone().requires_grad_()
        (slow,) = torch.autograd.grad(module(one), one, relevance[row : row + 1])
        torch.testing.assert_close(found[row], slow[0])


def test_instance_norm_with_running_statistics_is_a_batch_norm():
    norm, batch_norm = (
        kind.double().eval().requires_grad_(False)
        for kind in (
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            nn.BatchNorm2d(4),
        )
    )
    norm.running_mean.copy_(torch.randn(4))
    norm.running_var.copy_(torch.rand(4) + 0.5)
    batch_norm.load_state_dict(norm.state_dict())
    x, relevance = torch.randn(2, 2, 4, 3, 3, dtype=torch.float64)
    (found,) = Single(norm, rules.epsilon(), x).backward(relevance, [0, 1])
    (expected,) = Single(batch_norm, rules.epsilon(), x).backward(relevance, [0, 1])
    torch.testing.assert_close(found, expected)


class Called(nn.Module):
    """A norm whose forward calls the function, as modules of other libraries do."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        n = self.norm
        if isinstance(n, nn.GroupNorm):
            return F.group_norm(x, n.num_groups, n.weight, n.bias, n.eps)
        if isinstance(n, nn.LayerNorm):
            return F.layer_norm(x, n.normalized_shape, n.weight, bias=n.bias, eps=n.eps)
        return F.batch_norm(
            x, n.running_mean, n.running_var, n.weight, n.bias, training=False, eps=n.eps
        )


class Computed(nn.Module):
    def forward(self, x):
        return F.group_norm(x, 2, x.flatten(1).mean(0)[:8])


def around(norm):
    """A small network with a norm between convolutions."""
    return randomised(
        nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.Conv2d(8, 2, 1)).double()
    )


@pytest.mark.parametrize("composite", ["EpsilonPlusFlat", "EpsilonGammaFlat", "Gradient"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.GroupNorm(2, 8),
        lambda: nn.GroupNorm(4, 8, affine=False),
        lambda: nn.LayerNorm(6),
        lambda: nn.LayerNorm((6, 6), elementwise_affine=False),
        lambda: nn.BatchNorm2d(8),
        lambda: nn.BatchNorm2d(8, affine=False),
    ],
)
def test_the_function_is_treated_as_its_module(make, composite):
    images = torch.randn(2, 3, 8, 8)
    found = []
    for wrap in (lambda norm: norm, Called):
        network = around(make())
        network[1] = wrap(network[1])
        explainer, prediction = explained(network, images, composite)
        torch.testing.assert_close(
            prediction.outputs[0], network(images.double()), check_dtype=False
        )
        targets = targets_at(prediction, [(0, 5), (1, 40)])
        found.append(explainer.explain(targets, layers="all", heatmaps=True))
    for ours, theirs in zip(found[0].relevance.values(), found[1].relevance.values(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(found[0].heatmaps, found[1].heatmaps)
    assert found[0].heatmaps.abs().sum() > 0


def test_parameters_that_are_computed_are_refused():
    with pytest.raises(InputError, match="group_norm: its weight is computed"):
        explained(nn.Sequential(nn.Conv2d(3, 8, 1), Computed()), torch.randn(1, 3, 8, 8))


@pytest.mark.parametrize("rule", [None, rules.z_plus()])
def test_other_rules_are_refused_by_name(rule):
    node = Node("block.norm", nn.GroupNorm(1, 3), (Input(0),), {}, (0,), (2, 3, 4, 4))
    node.sources = (Node("x", nn.ReLU(), (), {}, (), (2, 3, 4, 4)),)
    with pytest.raises(InputError, match=r"block\.norm: GroupNorm has no rule"):
        operation_for(node, rule, [False])
