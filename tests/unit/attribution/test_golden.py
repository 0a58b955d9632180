"""Agreement with the golden cases, as their README defines it.

For every layer and map on its own, sum |a - b| / sum |b| is below 1e-4 for relevances and
predictions, 1e-3 for maps and for layers below a max pooling, 5e-3 for the gradient
composites; the same top concepts and the same neurons, unless two are within 1e-4.
"""

import re

import numpy as np
import pytest
import torch
from reference import reference_conditional, reference_explain, reference_network
from torch import nn

from lcrp.attribution import Explainer, Targets
from lcrp.attribution.maps import relevance_at, relevance_maps
from lcrp.attribution.operations.spatial import Pooling
from support.small_models import difference

CASES = (
    "unet",
    "deeplabv3plus",
    "yolov5m",
    "yolov5n-coco-0",
    "yolov5n-coco-1",
    "yolov5n-coco-2",
    "yolov6s",
    "yolov8n",
    "yolov8n-coco-0",
    "yolov8n-coco-1",
    "yolo11n",
    "yolo11n-coco-0",
    "yolo11n-coco-1",
    "ssd512",
)
RELEVANCES, MAPS, GRADIENTS = 1e-4, 1e-3, 5e-3
COMPOSITES = {"GradientComposite": "Gradient", "GuidedBackpropComposite": "GuidedBackprop"}


class Case:
    """A golden case and the model that it was made with."""

    def __init__(self, name, arrays, model):
        self.name, self.arrays, self.model = name, arrays, model
        self.images = torch.from_numpy(arrays["input"])
        self.layers = [str(layer) for layer in arrays["layers"]]
        self.classes = [int(c) for c in arrays["classes"]]
        ends = np.cumsum(arrays["channels"])
        starts = ends - arrays["channels"]
        self.places = dict(zip(self.layers, zip(starts, ends, strict=True), strict=True))

    def explainer(self, composite=None, precision="float32"):
        return Explainer(self.model, composite, device="cpu", precision=precision)

    def targets(self, prediction, count):
        """The first targets of the case, in its order."""
        found = prediction.targets(classes=self.classes)
        by_class = {target.class_index: target for target in found}
        return [by_class[c] for c in self.classes[:count]]

    def relevance(self, entry, layer):
        start, end = self.places[layer]
        return self.arrays[entry][start:end]


@pytest.fixture(scope="module", params=CASES)
def case(request, golden_case, golden_model):
    """Each case in turn: pytest runs all tests of one before it loads the next."""
    name = request.param
    arrays = golden_case(name)
    return Case(name, arrays, golden_model(name, arrays["input"].shape[2:]))


def only(*names):
    """Runs a test on some of the cases."""
    return pytest.mark.parametrize("case", names, indirect=True, scope="module")


def below_max_pooling(program):
    """Names of the layers whose relevance has come through a max pooling."""
    below = set()
    for i in range(len(program.graph.nodes) - 1, -1, -1):
        if i in below or isinstance(program.operations[i], Pooling):
            below.update(program.graph.nodes[i].inputs)
    return {name for name, node in program.layers.items() if node in below}


def differences(case, result, row, entry, layers=None):
    """{layer: relative difference of its relevances}, and that of the heatmap under None."""
    found = {
        layer: difference(result.relevance[layer][row], case.relevance(f"{entry}relevance", layer))
        for layer in layers or case.layers
    }
    heatmap = case.arrays[f"{entry}heatmap"]
    return found | {None: difference(result.heatmaps[row], heatmap)}


def assert_within(found, below, tolerance=RELEVANCES):
    allowed = {layer: MAPS if layer is None or layer in below else tolerance for layer in found}
    broken = {layer: error for layer, error in found.items() if not error < allowed[layer]}
    assert not broken


def assert_same_neurons(maps, found, expected, tolerance):
    """Unless the relevance of two neurons of a channel is as close as the layer's tolerance."""
    maps = maps.flatten(1)
    for channel in np.flatnonzero(np.asarray(found) != expected):
        values = maps[channel]
        gap = values.max() - values[int(expected[channel])]
        assert gap <= tolerance * values.abs().max()


def behind_relu_in_place(case, program):
    """{layer: node of the ReLU} where an unmerged convolution is followed by a ReLU in place.

    There the reference records what the ReLU has left of the convolution's output, unless a hook
    of the composite stands between them: by gradient the relevance is that behind the ReLU. The
    definition says before it.
    """
    found = {}
    for i, node in enumerate(program.graph.nodes):
        if not isinstance(node.module, nn.ReLU):
            continue
        source = node.sources[0]
        original = dict(case.model.network.named_modules()).get(source.name)
        in_place = case.model.network.get_submodule(node.name).inplace
        merged = original is not None and original.bias is None
        if in_place and source.name in program.layers and not merged:
            found[source.name] = i
    return found


def check(case, count):
    explainer = case.explainer()
    prediction = explainer.predict(case.images, activations=case.layers)
    assert list(explainer.layers) == case.layers
    assert list(explainer.layers.values()) == case.arrays["channels"].tolist()
    chosen = case.targets(prediction, count)
    result = explainer.explain(
        Targets(prediction, chosen), layers="all", heatmaps=True, activations=True
    )
    below = below_max_pooling(prediction.record.program)
    for layer in case.layers:
        expected = case.relevance("activation_max", layer)
        activation = result.activation[layer][0]
        if layer.startswith("model.backbone.extras"):
            # The reference's functional ReLU there works in place, before maxima are taken.
            activation = activation.clamp(min=0)
        assert difference(activation, expected) < RELEVANCES
    name = str(case.arrays["layer"])
    for i, target in enumerate(chosen):
        assert_within(differences(case, result, i, f"{i}/"), below)
        concepts = [int(c) for c in case.arrays[f"{i}/concepts"]]
        _check_concepts(case, result.relevance[name][i], i, concepts)
        maps = explainer.conditional(target, name, concepts)
        for concept, found, expected in zip(
            concepts, maps, case.arrays[f"{i}/conditional"], strict=True
        ):
            assert_map(case, target, concept, found, expected)
        neurons = case.arrays[f"{i}/neuron"]
        there = relevance_maps(explainer, [target], [name])[name]
        tolerance = MAPS if name in below else RELEVANCES
        assert_same_neurons(there[0], result.positions[name][i], neurons, tolerance)
        neuron = [int(neurons[concepts[0]])]
        (alone,) = explainer.conditional(target, name, concepts[:1], positions=neuron)
        assert difference(alone, case.arrays[f"{i}/neuron_conditional"]) < MAPS


def assert_map(case, target, concept, found, expected):
    """Within the tolerance, or as the reference does here where it leaves the tolerance too.

    One map of YOLOv6 differs by 1.0017e-3, and the reference itself, run again, by 1.1e-3 to
    1.3e-3 (one and two threads).
    """
    if difference(found, expected) < MAPS:
        return
    network, layer = reference_network(case.model), str(case.arrays["layer"])
    arguments = (network, case.model.composite, case.images, target, layer, [concept])
    (again,) = reference_conditional(*arguments)
    assert difference(again, expected) > MAPS
    assert difference(found, again) < MAPS


def _check_concepts(case, relevance, i, expected):
    normalised = relevance / relevance.abs().sum()
    order = normalised.argsort(descending=True)[: len(expected)].tolist()
    for found, golden in zip(order, expected, strict=True):
        assert found == golden or abs(normalised[found] - normalised[golden]) < 1e-4
    assert difference(normalised[expected], case.arrays[f"{i}/concept_relevance"]) < MAPS


def test_case_agrees(case):
    check(case, count=1)


@pytest.mark.proof
def test_every_target_of_a_case_agrees(case):
    check(case, count=None)


WITH_COMPOSITES = ("unet", "deeplabv3plus", "yolov5m", "yolov6s", "yolov8n", "yolo11n")


def explained(case, composite, precision="float32"):
    """Explainer, prediction and result of the first target under another composite."""
    explainer = case.explainer(composite, precision)
    prediction = explainer.predict(case.images)
    targets = Targets(prediction, case.targets(prediction, 1))
    return explainer, prediction, explainer.explain(targets, layers="all", heatmaps=True)


@only(*WITH_COMPOSITES)
def test_epsilon_plus_agrees(case):
    _, prediction, result = explained(case, "EpsilonPlus")
    below = below_max_pooling(prediction.record.program)
    assert_within(differences(case, result, 0, "EpsilonPlus/"), below)


@only(*WITH_COMPOSITES)
def test_epsilon_flat_agrees(case):
    """Within the tolerance, or as near as float32 allows.

    The epsilon rule divides by outputs that may be close to zero, which amplifies rounding: the
    golden values are further from float64 than the tolerance (0.04 in DeepLabV3+, where the
    reference with one thread instead of two moves by 0.09). So the engine has to be exact in
    float64 (the next test), and in float32 to come as near to the golden values as these are
    to float64, up to a factor.
    """
    _, prediction, result = explained(case, "EpsilonFlat")
    _, _, exact = explained(case, "EpsilonFlat", "float64")
    found = differences(case, result, 0, "EpsilonFlat/")
    rounding = max(differences(case, exact, 0, "EpsilonFlat/").values())
    below = below_max_pooling(prediction.record.program)
    for layer, error in found.items():
        tolerance = MAPS if layer is None or layer in below else RELEVANCES
        assert error < max(tolerance, 5 * rounding)


@only(*WITH_COMPOSITES)
def test_epsilon_flat_agrees_with_the_reference_in_float64(case):
    explainer, prediction, result = explained(case, "EpsilonFlat", "float64")
    targets = Targets(prediction, case.targets(prediction, 1))
    network = reference_network(case.model, drop_merged=True, dtype=torch.float64)
    expected = reference_explain(
        network, explainer.composite, case.images.double(), targets, case.layers
    )
    assert difference(result.heatmaps, expected.heatmaps) < 1e-5
    for layer in case.layers:
        assert difference(result.relevance[layer], expected.relevance[layer]) < 1e-5


@pytest.mark.parametrize("entry", ["GradientComposite", "GuidedBackpropComposite"])
@only(*WITH_COMPOSITES)
def test_gradients_agree(case, entry):
    _, prediction, result = explained(case, COMPOSITES[entry])
    targets = case.targets(prediction, 1)
    if entry == "GradientComposite":
        for layer, relu in behind_relu_in_place(case, prediction.record.program).items():
            result.relevance[layer] = relevance_at(prediction, targets, [relu])[relu].sum((2, 3))
    found = differences(case, result, 0, f"{entry}/")
    broken = {layer: error for layer, error in found.items() if not error < GRADIENTS}
    assert not broken


def check_inside(case, layers, concepts):
    """Transported masks and masked sums over explicit conditional heatmaps of some concepts."""
    explainer = case.explainer()
    prediction = explainer.predict(case.images)
    (target,) = case.targets(prediction, 1)
    mask = Targets(prediction, [target]).mask(0)
    inside = explainer.inside(Targets(prediction, [target]), mask[None].float(), layers)
    for layer in layers:
        chosen = concepts(inside[layer][0])
        maps = explainer.conditional(target, layer, chosen)
        slow = maps[:, mask].sum(1, dtype=torch.float64)
        scale = maps.abs().sum((1, 2)).max()
        assert (inside[layer][0, chosen] - slow).abs().max() < 1e-5 * scale


def three_layers(case):
    """The layer of the case, and two below."""
    last = case.layers.index(str(case.arrays["layer"]))
    return [case.layers[i] for i in (last // 3, 2 * last // 3, last)]


# One image of each network's trained weights, and all but the largest with random ones.
WITH_MASKS = {n for n in CASES if not re.fullmatch(r"ssd512|.*-coco-[12]", n)}


@only(*(pytest.param(n, marks=() if n in WITH_MASKS else pytest.mark.proof) for n in CASES))
def test_relevance_inside_the_object_meets_conditional_heatmaps(case):
    check_inside(case, three_layers(case), lambda inside: inside.abs().topk(32).indices.tolist())


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_relevance_inside_the_object_meets_all_conditional_heatmaps(case):
    check_inside(case, three_layers(case), lambda inside: range(len(inside)))
