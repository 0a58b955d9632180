"""Tracing, merging of batch norms, and what is refused."""

import itertools
import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lcrp.attribution import Explainer, Operation, register_operation
from lcrp.attribution.graph import merge_batch_norms, trace
from lcrp.attribution.operations.catalogue import REGISTERED
from lcrp.errors import InputError
from lcrp.models import build_model
from support.small_models import SmallModel, explained, randomised, targets_at


def run(graph, images):
    """Outputs of a graph, node by node."""

    def filled(argument, inputs):
        if hasattr(argument, "position"):
            return inputs[argument.position]
        if isinstance(argument, list | tuple):
            return type(argument)(filled(part, inputs) for part in argument)
        return argument

    values = []
    for node in graph.nodes:
        inputs = [values[i] for i in node.inputs]
        if node.call is None:
            values.append(images)
        elif hasattr(node.call, "value"):
            values.append(node.call.value)
        else:
            args = filled(node.args, inputs)
            kwargs = {name: filled(value, inputs) for name, value in node.kwargs.items()}
            values.append(node.call(*args, **kwargs))
    return [values[i] for i in graph.outputs]


class Branches(nn.Module):
    """Control flow on shapes, several outputs, a buffer, functions and methods."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.unused = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.register_buffer("scale", torch.rand(4, 1, 1) + 0.5)

    def forward(self, x):
        a = F.relu(self.first(x))
        b = self.second(a) * self.scale
        if b.shape[-1] < a.shape[-1]:
            b = F.interpolate(b, size=a.shape[2:], mode="nearest")
        height, width = b.shape[-2:]
        assert height * width > 0
        maps = [torch.cat([a, b], dim=1)] if len(b.size()) == 4 else []
        return a + b, *maps, a.mean().reshape(1, 1).expand(b.shape[0], 1)


def test_trace_follows_control_flow_on_shapes():
    network = Branches().eval()
    images = torch.randn(2, 3, 8, 10)
    graph = trace(network, images)
    for found, expected in zip(run(graph, images), network(images), strict=True):
        torch.testing.assert_close(found, expected)
    assert list(graph.layers) == ["first", "second"]
    assert graph.nodes[graph.layers["second"]].shape == (2, 4, 4, 5)


def test_trace_follows_the_other_branch_at_another_size():
    class Sized(nn.Module):
        def forward(self, x):
            return (x * 2 if x.shape[-1] > 8 else x * 3,)

    for width, factor in ((8, 3), (9, 2)):
        images = torch.randn(2, 3, 8, width)
        torch.testing.assert_close(run(trace(Sized(), images), images)[0], images * factor)


class OnValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        x = self.conv(x)
        return (x * 2 if x.sum() > 0 else x,)


def test_control_flow_on_values_is_refused():
    with pytest.raises(InputError, match="control flow depends on the values"):
        trace(OnValues(), torch.randn(2, 3, 8, 8))


def test_input_too_small_is_refused():
    with pytest.raises(InputError, match="cannot be traced at 2 x 2 pixels") as caught:
        trace(nn.Sequential(nn.Conv2d(3, 3, 5)), torch.randn(2, 3, 2, 2))
    assert "\n" not in str(caught.value)


def merged(*modules):
    network = randomised(nn.Sequential(*modules)).double().eval()
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    graph = trace(network, images)
    before = len(graph.nodes)
    graph = merge_batch_norms(graph)
    torch.testing.assert_close(run(graph, images)[0], network(images), rtol=1e-12, atol=1e-12)
    return before - len(graph.nodes), graph


CONVOLUTIONS = {
    "plain": nn.Conv2d(3, 6, 3, bias=False),
    "with-bias": nn.Conv2d(3, 6, 3),
    "grouped": nn.Conv2d(3, 6, 3, groups=3),
    "transposed": nn.ConvTranspose2d(3, 6, 3, stride=2),
    "transposed-grouped": nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_batch_norm_is_merged_exactly(name, eps):
    gone, _ = merged(CONVOLUTIONS[name], nn.BatchNorm2d(6, eps=eps), nn.SiLU(), nn.Conv2d(6, 2, 1))
    assert gone == 1


def test_batch_norm_without_parameters_is_merged():
    gone, _ = merged(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False))
    assert gone == 1


def test_merging_leaves_the_network_alone():
    network = randomised(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    merge_batch_norms(trace(network, torch.randn(2, 3, 9, 9)))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


class ReadTwice(nn.Module):
    """A convolution that is read past its batch norm too."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) + y


@pytest.mark.parametrize(
    "modules",
    [
        (nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)),
        (nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)),
        (nn.MaxPool2d(2), nn.BatchNorm2d(3)),
        (ReadTwice(),),
    ],
    ids=["first", "behind-activation", "behind-pool", "read-twice"],
)
def test_batch_norm_that_cannot_be_merged_stays(modules):
    gone, graph = merged(*modules)
    assert gone == 0
    assert any(isinstance(node.module, nn.BatchNorm2d) for node in graph.nodes)


class Squared(nn.Module):
    def forward(self, x):
        return x**2


class OddBlock(nn.Module):
    def __init__(self, odd):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.odd = odd

    def forward(self, x):
        return self.odd(self.conv(x))


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (nn.LocalResponseNorm(2), ("odd", "LocalResponseNorm")),
        (nn.PixelShuffle(1), ("odd", "PixelShuffle")),
        (Squared(), ("network.odd.pow", "pow has no rule")),
    ],
    ids=["response-norm", "pixel-shuffle", "function"],
)
def test_unknown_operation_is_named_with_the_remedy(odd, named):
    with pytest.raises(InputError, match="register_operation") as caught:
        explained(randomised(OddBlock(odd)), torch.randn(1, 3, 8, 8))
    for word in named:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


class Swapped(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1).transpose(0, 1)


def test_what_moves_the_axis_of_images_is_named():
    with pytest.raises(InputError, match=r"odd\.transpose: moves the batch axis"):
        explained(randomised(OddBlock(Swapped())), torch.randn(1, 3, 8, 8))


class InPlace(nn.Module):
    def __init__(self, relu, add):
        super().__init__()
        self.relu, self.add = relu, add
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.relu(self.one(x))
        return self.relu(self.add(self.two(x), x))


@pytest.mark.parametrize("composite", ["EpsilonPlusFlat", "Gradient"])
@pytest.mark.parametrize(
    ("relu", "add"),
    [
        (lambda x: F.relu(x, inplace=True), operator.iadd),
        (lambda x: F.relu(x, True), lambda x, y: x.add_(y)),
        (lambda x: x.relu_(), operator.add),
    ],
)
def test_nothing_is_computed_in_place(relu, add, composite):
    images = torch.randn(2, 3, 6, 6)
    found = []
    for parts in ((relu, add), (F.relu, operator.add)):
        explainer, prediction = explained(randomised(InPlace(*parts)).double(), images, composite)
        targets = targets_at(prediction, [(0, 5), (1, 100)])
        found.append(explainer.explain(targets, layers="all", heatmaps=True))
    torch.testing.assert_close(found[0].heatmaps, found[1].heatmaps)
    assert found[0].heatmaps.abs().sum() > 0


class Parts(nn.Module):
    """Splits its channels, as Res2Net does, and scales one part by a reshaped parameter."""

    def __init__(self, split):
        super().__init__()
        self.split = split
        self.stem, self.one = nn.Conv2d(3, 7, 1), nn.Conv2d(3, 3, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        first, *others, last = self.split(self.stem(x))
        total = 0
        for part in (first, self.one(first)):
            total = total + part * self.scale.reshape(1, -1, 1, 1)
        return torch.cat([total, *others, last], dim=1)


class Slices(Parts):
    def __init__(self, ends):
        super().__init__(lambda x: [x[:, i:j] for i, j in itertools.pairwise(ends)])


@pytest.mark.parametrize("composite", ["EpsilonPlusFlat", "Gradient"])
@pytest.mark.parametrize(
    ("split", "ends"),
    [
        (lambda x: torch.split(x, 3, dim=1), (0, 3, 6, 7)),
        (lambda x: torch.split(x, [3, 4], 1), (0, 3, 7)),
        (lambda x: x.split(3, 1), (0, 3, 6, 7)),
        (lambda x: torch.chunk(x, 3, dim=-3), (0, 3, 6, 7)),
        (lambda x: x.chunk(3, dim=1), (0, 3, 6, 7)),
    ],
)
def test_parts_of_a_tensor_are_slices(split, ends, composite):
    images = torch.randn(2, 3, 6, 6)
    found = []
    for network in (Parts(split), Slices(ends)):
        explainer, prediction = explained(randomised(network).double(), images, composite)
        torch.testing.assert_close(prediction.outputs[0], network(images.double()))
        targets = targets_at(prediction, [(0, 5), (0, 230), (1, 100)])
        found.append(explainer.explain(targets, layers="all", heatmaps=True))
    torch.testing.assert_close(found[0].heatmaps, found[1].heatmaps)
    assert found[0].heatmaps.abs().sum() > 0


@pytest.mark.parametrize("composite", ["EpsilonPlusFlat", "Gradient"])
def test_registered_module_becomes_one_operation(composite, monkeypatch):
    class Doubled(Operation):
        def backward(self, relevance, state, rows):
            return [2 * relevance]

        def adjoint(self, shares, state, rows):
            return 2 * shares[0]

    monkeypatch.setitem(REGISTERED, Squared, None)
    seen = []
    register_operation(Squared, lambda node, rule: seen.append(node.name) or Doubled(node))
    explainer, prediction = explained(
        randomised(OddBlock(Squared())), torch.randn(1, 3, 8, 8), composite
    )
    assert seen == ["network.odd"]
    assert prediction.outputs[0].min() >= 0
    assert list(explainer.layers) == ["network.conv"]


def test_names_of_layers_are_those_of_the_modules():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.late = nn.Conv2d(4, 2, 1)
            self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())])

        def forward(self, x):
            return (self.late(self.blocks[0](x)),)

    explainer = Explainer(SmallModel(Nested()), device="cpu")
    assert explainer.layers == {"late": 2, "blocks.0.0": 4}


@pytest.mark.parametrize("name", ["yolov8", "yolo11", "yolo26"])
def test_every_path_from_an_output_to_the_input_passes_a_default_layer(name):
    model = build_model(name, 2, width=0.0625, input_size=(64, 64))
    graph = trace(model.canonised(), torch.zeros(2, 3, 64, 64))
    cut = {graph.layers[layer] for layer in model.default_layers}
    reached = set(graph.outputs)
    for position in range(len(graph.nodes) - 1, -1, -1):
        if position in reached - cut:
            reached.update(graph.nodes[position].inputs)
    assert 0 not in reached
