"""Attention: matrix products and softmax under both rules, and in a network.

The rules are written out slowly, as in AttnLRP (Achtibat et al., arXiv 2402.05602) and its
implementation LXT: products shared evenly over 2 O + eps, softmax by its Taylor expansion.
"""

import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution import Explainer, rules
from lcrp.attribution.graph import Constant, Input, Node
from lcrp.errors import InputError
from lcrp.models.yolo11 import Attention, PSABlock
from support.single_operation import Single
from support.small_models import explained, random_model, randomised, targets_at

EPSILON = 1e-6
ROWS = [0, 0, 1]
EVENLY, VALUES = rules.SharedEvenly(), rules.ValuesOnly()


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def source(call, *sources, shape=(2, 2, 4, 5)):
    node = Node("source", call, (), {}, (), shape)
    node.sources = sources
    return node


def softmaxed():
    return source(torch.softmax, source(operator.matmul, source(None), source(None)))


def product_of(rule, a, b, of_a=None, of_b=None):
    made = [of or source(nn.SiLU()) for of in (of_a, of_b)]
    for node, tensor in zip(made, (a, b), strict=True):
        node.shape = tuple(tensor.shape)
    return Single(torch.matmul, rule, a, b, sources=made)


def jacobian_of_product(matrix, columns):
    """Matrix (outputs, inputs) of x (d, n) -> x matrix, both flattened row by row."""
    eye = torch.eye(columns, dtype=torch.float64)
    return torch.kron(eye, matrix.T.contiguous())


@pytest.mark.parametrize("rule", [VALUES, None], ids=["named", "unnamed"])
def test_values_share_as_in_a_linear_layer_of_the_weights(rule):
    values, weights = random(2, 3, 4, 5), random(2, 3, 5, 6).softmax(dim=-1)
    single = product_of(rule, values, weights, of_b=softmaxed())
    relevance = random(3, *single.output.shape[1:])
    found, nothing = single.backward(relevance, ROWS)
    assert nothing is None
    for row, image in enumerate(ROWS):
        for head in range(3):
            w = jacobian_of_product(weights[image, head], 4)
            x = values[image, head].flatten()
            z = w @ x
            stable = z + torch.where(z < 0, -EPSILON, EPSILON)
            slow = (w * x / stable[:, None] * relevance[row, head].flatten()[:, None]).sum(0)
            torch.testing.assert_close(found[row, head].flatten(), slow)
    single.assert_adjoint()


def test_the_weights_may_come_first():
    values, weights = random(2, 3, 5, 4), random(2, 3, 6, 5).softmax(dim=-1)
    single = product_of(VALUES, weights, values, of_a=softmaxed())
    turned = product_of(VALUES, values.mT, weights.mT, of_b=softmaxed())
    relevance = random(3, 3, 6, 4)
    nothing, found = single.backward(relevance, ROWS)
    assert nothing is None
    torch.testing.assert_close(found, turned.backward(relevance.mT, ROWS)[0].mT)
    single.assert_adjoint()


def slow_even_product(a, b, relevance):
    """LXT: the epsilon rule on a bilinear map, half of it to each factor."""
    shared = relevance / (2 * (a @ b) + EPSILON)
    return a * (shared @ b.mT), b * (a.mT @ shared)


def test_two_signals_share_evenly():
    a, b = random(2, 3, 4, 5), random(2, 3, 5, 6)
    single = product_of(EVENLY, a, b)
    relevance = random(3, *single.output.shape[1:])
    found = single.backward(relevance, ROWS)
    for row, image in enumerate(ROWS):
        slow = slow_even_product(a[image], b[image], relevance[row])
        for part, expected in zip(found, slow, strict=True):
            torch.testing.assert_close(part[row], expected)
    single.assert_adjoint()


def test_under_attnlrp_attention_weights_are_a_signal_too():
    values, weights = random(2, 3, 4, 5), random(2, 3, 5, 6).softmax(dim=-1)
    single = product_of(EVENLY, values, weights, of_b=softmaxed())
    relevance = random(2, *single.output.shape[1:])
    slow = slow_even_product(values, weights, relevance)
    for part, expected in zip(single.backward(relevance, [0, 1]), slow, strict=True):
        torch.testing.assert_close(part, expected)
    single.assert_adjoint()


@pytest.mark.parametrize("rule", [VALUES, EVENLY])
def test_products_lose_nothing(rule):
    a, b = random(2, 3, 4, 5).abs(), random(2, 3, 5, 6).abs()
    single = product_of(rule, a, b, of_b=softmaxed())
    relevance = random(2, *single.output.shape[1:]).abs()
    arrived = sum(part.sum() for part in single.backward(relevance, [0, 1]) if part is not None)
    torch.testing.assert_close(arrived, relevance.sum(), rtol=1e-5, atol=0)


def test_a_product_with_a_parameter_is_linear():
    x, weight = random(2, 4, 5), random(5, 3)
    for rule in (VALUES, EVENLY):
        sources = [source(nn.SiLU(), shape=x.shape), source(Constant(weight), shape=weight.shape)]
        single = Single(torch.matmul, rule, x, weight[None], sources=sources)
        linear = nn.Linear(5, 3, bias=False).double()
        linear.weight.data = weight.T
        relevance = random(2, 4, 3)
        found, nothing = single.backward(relevance, [0, 1])
        slow = x * ((relevance / (x @ weight + torch.where(x @ weight < 0, -1, 1) * EPSILON))
                    @ weight.T)  # fmt: skip
        assert nothing is None
        torch.testing.assert_close(found, slow)


@pytest.mark.parametrize(
    "between",
    [
        lambda node: node,
        lambda node: source(torch.Tensor.transpose, node),
        lambda node: source(nn.Dropout(0.1), source(operator.mul, node)),
    ],
    ids=["direct", "turned", "scaled and thinned out"],
)
def test_attention_weights_are_told_by_the_softmax_they_come_from(between):
    values, weights = random(2, 3, 4, 5), random(2, 3, 5, 6)
    relevance = random(2, 3, 4, 6)
    single = product_of(VALUES, values, weights, of_b=between(softmaxed()))
    assert single.backward(relevance, [0, 1])[1] is None
    mixed = source(nn.Conv2d(2, 2, 1), softmaxed())
    single = product_of(VALUES, values, weights, of_b=mixed)
    assert all(part is not None for part in single.backward(relevance, [0, 1]))


SOFTMAXES = {
    "module": (nn.Softmax(dim=-1), -1, {}),
    "module over channels": (nn.Softmax(dim=1), 1, {}),
    "function": (F.softmax, 2, {"args": (Input(0), 2)}),
    "method": (torch.Tensor.softmax, -1, {"kwargs": {"dim": -1}}),
}


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax_follows_its_taylor_expansion(name):
    call, axis, arguments = SOFTMAXES[name]
    x = random(2, 3, 4, 5)
    single = Single(call, rules.Taylor(), x, **arguments)
    relevance = random(3, *x.shape[1:])
    (found,) = single.backward(relevance, ROWS)
    for row, image in enumerate(ROWS):
        # Each output's relevance goes to x in proportion to Jacobian times x over the output.
        by_output = torch.autograd.functional.jacobian(
            lambda one: one.softmax(dim=axis % 4 - 1), x[image]
        ).view(60, 60)
        output = single.output[image].flatten()
        contributions = by_output * x[image].flatten() / output[:, None]
        slow = (contributions * relevance[row].flatten()[:, None]).sum(0)
        torch.testing.assert_close(found[row].flatten(), slow)
    single.assert_adjoint()


@pytest.mark.parametrize("rule", [rules.ConstantOutput(), None], ids=["named", "unnamed"])
def test_nothing_passes_a_constant_softmax(rule):
    single = Single(nn.Softmax(dim=-1), rule, random(2, 3, 4, 5))
    assert not single.adjoint([random(2, 3, 4, 5)], [0, 1]).any()
    assert single.operation.nonnegative([False])
    with pytest.raises(InputError, match=r"node: relevance arrives at a softmax .* the logits"):
        single.backward(random(2, 3, 4, 5), [0, 1])


def test_a_softmax_at_the_end_of_a_network_is_not_silent():
    network = randomised(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(dim=1))).double()
    images = random(1, 3, 4, 5)
    explainer, prediction = explained(network, images)
    with pytest.raises(InputError, match=r"1: relevance arrives at a softmax"):
        explainer.explain(targets_at(prediction, [(0, 3)]), heatmaps=True)
    explainer, prediction = explained(network, images, "EpsilonPlusFlatAttnLRP")
    assert explainer.explain(targets_at(prediction, [(0, 3)]), heatmaps=True).heatmaps.any()


def test_a_product_of_two_signals_halves_the_relevance_under_attnlrp():
    x, y = random(2, 4, 5, 5), random(2, 4, 1, 1)
    single = Single(operator.mul, EVENLY, x, y)
    relevance = random(2, 4, 5, 5)
    found = single.backward(relevance, [0, 1])
    torch.testing.assert_close(found[0], relevance / 2)
    torch.testing.assert_close(found[1], relevance.sum((2, 3), keepdim=True) / 2)
    single.assert_adjoint()


@pytest.mark.parametrize("call", [torch.matmul, nn.Softmax(dim=1)])
def test_by_gradient_as_autograd(call):
    inputs = [random(2, 3, 4, 5).requires_grad_()]
    inputs += [random(2, 3, 5, 6).requires_grad_()] if call is torch.matmul else []
    output = call(*inputs)
    relevance = torch.randn_like(output)
    expected = torch.autograd.grad(output, inputs, relevance)
    single = Single(call, rules.Gradient(), *(x.detach() for x in inputs))
    for part, slow in zip(single.backward(relevance, [0, 1]), expected, strict=True):
        torch.testing.assert_close(part, slow)
    single.assert_adjoint()


def slow_block(block, x, relevance, epsilon=EPSILON):
    """Relevance at the values' and queries' and keys' convolution, of attention written out."""
    parts = block.qkv(x).flatten(2).unflatten(1, (block.heads, -1))
    q, k, v = parts.split((block.keys, block.keys, block.values), dim=2)
    logits = q.mT @ k * block.keys**-0.5
    weights = logits.softmax(dim=-1)
    to_v, to_weights = slow_even_product(v, weights.mT, relevance)
    to_weights = to_weights.mT
    to_logits = logits * (to_weights - weights * to_weights.sum(dim=-1, keepdim=True))
    unscaled = to_logits / (2 * (q.mT @ k) + epsilon)
    to_q = q.mT * (unscaled @ k.mT)
    to_k = k * (q @ unscaled)
    return torch.cat([to_q.mT, to_k, to_v], dim=2).flatten(1, 2).unflatten(2, x.shape[2:])


class AttentionAlone(nn.Module):
    """A convolution, then what attention makes of it, without the depthwise convolution."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(4)

    def forward(self, x):
        block = self.attention
        parts = block.qkv(x).flatten(2).unflatten(1, (block.heads, -1))
        q, k, v = parts.split((block.keys, block.keys, block.values), dim=2)
        weights = (q.transpose(2, 3) @ k * block.keys**-0.5).softmax(dim=-1)
        return (v @ weights.transpose(2, 3)).flatten(1, 2).reshape(len(x), 4, *x.shape[2:])


def test_relevance_of_queries_keys_and_values_in_a_network():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), AttentionAlone())
    network = randomised(network).double().eval()
    images = random(2, 3, 3, 4)
    explainer, prediction = explained(network, images, "EpsilonPlusFlatAttnLRP")
    targets = targets_at(prediction, [(0, 5), (1, 30)])
    found = explainer.explain(targets, layers="all")
    with torch.no_grad():
        for row, place in enumerate((5, 30)):
            start = torch.zeros(1, 1, 4, 12, dtype=torch.float64)
            start.view(-1)[place] = 1
            x = network[0](images[row : row + 1])
            slow = slow_block(network[1].attention, x, start)
            relevance = found.relevance["network.1.attention.qkv.conv"][row].double()
            torch.testing.assert_close(relevance, slow.sum((2, 3))[0], rtol=1e-5, atol=1e-8)


class AroundAttention(nn.Module):
    """Attention between convolutions, with a way past it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = PSABlock(4)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.head(self.block(self.stem(x)))


COMPOSITES = ("EpsilonPlusFlat", "EpsilonPlusFlatAttnLRP", "EpsilonFlatAttnLRP", "Gradient")


@pytest.mark.parametrize("composite", COMPOSITES)
def test_masks_meet_conditional_heatmaps(composite):
    network = randomised(AroundAttention()).double().eval()
    images = random(2, 3, 4, 5)
    explainer, prediction = explained(network, images, composite)
    targets = targets_at(prediction, [(0, 3), (0, 30), (1, 12)])
    masks = torch.rand(3, 2, 4, 5)
    result = explainer.explain(targets, layers="all", masks=masks)
    for layer, channels in explainer.layers.items():
        for row, target in enumerate(targets):
            maps = explainer.conditional(target, layer, range(channels)).double()
            slow = torch.einsum("khw,chw->kc", masks[row].double(), maps)
            assert (result.inside[layer][row] - slow).abs().max() <= 2e-6 * maps.abs().sum()


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("yolo11", "model.10.m.0.attn.qkv.conv"),
        ("yolo26", "model.22.m.0.1.attn.qkv.conv"),
    ],
)
def test_masks_meet_conditional_heatmaps_in_a_detector(name, attention):
    model = random_model(name, width=0.125, input_size=[32, 64])
    for composite in COMPOSITES[:2]:
        explainer = Explainer(model, composite, device="cpu", precision="float64")
        prediction = explainer.predict(random(1, 3, 32, 64))
        (target,) = targets = targets_at(prediction, [(0, 17, 1)])
        mask = torch.zeros(1, 1, 32, 64)
        mask[..., 8:24, 10:40] = 1
        layers = [*model.default_layers, attention, "model.4.cv1.conv"]
        result = explainer.explain(targets, layers=layers, masks=mask)
        for layer in layers:
            concepts = result.inside[layer][0, 0].abs().topk(3).indices.tolist()
            maps = explainer.conditional(target, layer, concepts).double()
            slow = maps[:, 8:24, 10:40].sum((1, 2))
            found = result.inside[layer][0, 0, concepts].double()
            assert (found - slow).abs().max() <= 1e-5 * maps.abs().sum((1, 2)).max()


def test_queries_and_keys_get_relevance_on_request_alone():
    network = randomised(AroundAttention()).double().eval()
    images = random(1, 3, 4, 5)
    found = {}
    for composite in COMPOSITES[:2]:
        explainer, prediction = explained(network, images, composite)
        targets = targets_at(prediction, [(0, 7)])
        layer = "network.block.attn.qkv.conv"
        found[composite] = explainer.explain(targets, layers=[layer]).relevance[layer][0]
    queries_and_keys = 2 * network.block.attn.keys
    assert not found["EpsilonPlusFlat"][:queries_and_keys].any()
    assert found["EpsilonPlusFlat"][queries_and_keys:].any()
    assert found["EpsilonPlusFlatAttnLRP"][:queries_and_keys].abs().min() > 0
