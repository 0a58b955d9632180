"""What the explainer says about bad input, and how its calls fit together."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lcrp.attribution import Explainer, Targets
from lcrp.attribution.maps import relevance_maps
from lcrp.attribution.operations.spatial import Pooling
from lcrp.attribution.operations.weighted import Linear
from lcrp.errors import InputError
from support.small_models import (
    SmallModel,
    difference,
    explained,
    random_model,
    randomised,
    small_unet,
    small_yolov5,
    small_yolov6,
    targets_at,
)


@pytest.fixture(scope="module")
def unet():
    return Explainer(small_unet(), device="cpu")


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def prediction(unet, pictures):
    return unet.predict(pictures)


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weight_that_is_no_number_is_named(value):
    model = small_unet()
    model.network.encoder.stages[1].conv2.weight[0, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"encoder\.stages\.1\.conv2\.weight") as caught:
        Explainer(model, device="cpu")
    one_line(caught)


def test_buffer_that_is_no_number_is_named():
    model = small_unet()
    model.network.encoder.stages[0].bn1.running_var[2] = float("nan")
    with pytest.raises(InputError, match=r"stages\.0\.bn1\.running_var"):
        Explainer(model, device="cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_image_with_pixels_that_are_no_numbers_is_named(unet, pictures, value):
    broken = pictures.clone()
    broken[1, 0, 4, 4] = value
    with pytest.raises(InputError, match="in image 1 of the batch") as caught:
        unet.predict(broken)
    one_line(caught)


def test_first_layer_that_overflows_is_named(pictures):
    model = small_unet()
    model.network.encoder.stages[1].conv1.weight.mul_(1e30)
    model.network.encoder.stages[1].conv2.weight.mul_(1e30)
    explainer = Explainer(model, device="cpu")
    with pytest.raises(InputError, match=r"from encoder\.stages\.1\.conv2 on") as caught:
        explainer.predict(pictures)
    one_line(caught)


def test_image_of_a_wrong_shape_is_refused(unet):
    for shape in ((3, 32, 32), (1, 1, 32, 32), (1, 3, 32)):
        with pytest.raises(InputError, match="takes") as caught:
            unet.predict(torch.zeros(shape))
        one_line(caught)


@pytest.mark.parametrize(
    ("model", "size"),
    [(small_yolov5, (16, 32)), (small_yolov6, (48, 64)), (small_unet, (4, 4))],
    ids=["yolov5", "yolov6", "unet"],
)
def test_size_that_the_network_cannot_take_is_refused(model, size):
    with pytest.raises(InputError) as caught:
        Explainer(model(), device="cpu").predict(torch.zeros(1, 3, *size))
    assert f"{size[0]} x {size[1]}" in one_line(caught)


def test_unknown_layer_comes_with_the_nearest_names(unet, prediction):
    targets = prediction.targets()
    calls = (
        lambda: unet.explain(targets, layers=["encoder.stage.0.conv1"]),
        lambda: unet.conditional(targets[0], "encoder.stage.0.conv1", [0]),
        lambda: unet.select("encoder.stage.0.conv1"),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"'encoder\.stages\.0\.conv1'") as caught:
            call()
        assert "'encoder.stage.0.conv1'" in one_line(caught)


def test_layers_are_chosen_by_name_pattern_and_word(unet):
    everything = list(unet.layers)
    assert unet.select("all") == everything
    assert unet.select("default") == [n for n in everything if n in unet.model.default_layers]
    chosen = unet.select(["encoder.stages.2.*", "encoder.stages.0.conv1"])
    assert chosen == [
        "encoder.stages.0.conv1",
        "encoder.stages.2.conv1",
        "encoder.stages.2.conv2",
    ]


class WithSpare(nn.Module):
    """A network one of whose convolutions is never run, and one whose output is dropped."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.spare = nn.Conv2d(4, 4, 1)
        self.dropped = nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.first(x)
        self.dropped(x)
        return self.last(x)


def test_convolution_that_is_not_run_is_no_layer():
    explainer, prediction = explained(randomised(WithSpare()), torch.randn(1, 3, 8, 8))
    layers = ["network.first", "network.last"]
    assert list(explainer.layers) == layers
    explainer.predict(torch.randn(1, 3, 8, 8), activations=explainer.select("all"))
    assert list(explainer.explain(targets_at(prediction, [(0, 3)])).relevance) == layers
    with pytest.raises(InputError, match=r"network\.spare"):
        explainer.select("network.spare")


def test_unknown_composite_comes_with_the_nearest_names():
    with pytest.raises(InputError, match="'EpsilonPlusFlat'") as caught:
        Explainer(small_unet(), composite="EpsilonPlusFlatt", device="cpu").layers  # noqa: B018
    one_line(caught)


def test_unknown_precision_comes_with_the_known_ones():
    with pytest.raises(InputError, match=r"float16.*float32, bf16") as caught:
        Explainer(small_unet(), precision="float16", device="cpu")
    one_line(caught)


@pytest.mark.parametrize("concept", [-1, 8])
def test_concept_out_of_range_is_refused(unet, prediction, concept):
    target = prediction.targets()[0]
    with pytest.raises(InputError, match=f"concept {concept}: .* has 8") as caught:
        unet.conditional(target, "encoder.stages.0.conv1", [0, concept])
    one_line(caught)


@pytest.mark.parametrize("shape", [(1, 32, 32), (32, 32), (2, 32, 31), (2, 1, 1, 32, 32)])
def test_mask_of_a_wrong_shape_is_refused(unet, prediction, shape):
    targets = targets_at(prediction, [(0, 5), (1, 5)])
    with pytest.raises(InputError, match="masks: shape") as caught:
        unet.inside(targets, torch.ones(shape), "encoder.stages.0.conv1")
    one_line(caught)


def test_activations_that_were_not_recorded_are_asked_for_beforehand(unet, prediction):
    targets = targets_at(prediction, [(0, 5)])
    with pytest.raises(InputError, match=r"encoder\.stages\.0\.conv1") as caught:
        unet.explain(targets, layers="encoder.stages.0.conv1", activations=True)
    assert "predict" in one_line(caught)


def test_several_masks_of_a_target_are_like_one_after_the_other(unet, prediction):
    targets = prediction.targets()
    masks = torch.rand(len(targets), 3, 32, 32)
    layers = ["encoder.stages.1.conv2", "encoder.stages.0.conv1"]
    together = unet.inside(targets, masks, layers)
    for k in range(3):
        one = unet.inside(targets, masks[:, k], layers)
        for layer in layers:
            assert one[layer].shape == (len(targets), unet.layers[layer])
            assert difference(together[layer][:, k], one[layer]) < 1e-6


def test_conditional_heatmaps_of_all_concepts_add_up_to_the_heatmap(unet, prediction):
    """Where no path leads around a layer."""
    target = prediction.targets()[0]
    network = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    explainer, found = explained(network, torch.randn(1, 3, 9, 9))
    targets = targets_at(found, [(0, 7)])
    whole = explainer.explain(targets, layers=[], heatmaps=True).heatmaps[0]
    parts = explainer.conditional(targets[0], "network.0", range(4))
    assert difference(parts.sum(0), whole) < 1e-6
    assert target.prediction is prediction


def test_single_neurons_add_up_to_their_concept():
    network = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    explainer, found = explained(network, torch.randn(1, 3, 6, 6))
    (target,) = targets_at(found, [(0, [0, 1], 0, [0.5, 0.5])])
    (whole,) = explainer.conditional(target, "network.0", [2])
    neurons = explainer.conditional(target, "network.0", [2] * 16, positions=range(16))
    assert difference(neurons.sum(0), whole) < 1e-6


def test_result_of_a_layer_that_relevance_does_not_reach_is_zero():
    model = small_yolov5()
    explainer = Explainer(model, device="cpu")
    found = explainer.predict(torch.rand(1, 3, 64, 64))
    targets = targets_at(found, [(0, 5, 0)])
    result = explainer.explain(targets, layers="all")
    for layer in ("model.23.cv3.conv", "model.24.m.1", "model.24.m.2"):
        assert result.relevance[layer].abs().sum() == 0
        assert result.positions[layer].sum() == 0
    assert result.relevance["model.24.m.0"].abs().sum() > 0
    maps = explainer.conditional(targets[0], "model.24.m.1", [0, 1])
    assert maps.shape == (2, 64, 64)
    assert maps.abs().sum() == 0


MODELS = {"unet": small_unet, "yolov5": small_yolov5, "yolov6": small_yolov6}


@pytest.mark.parametrize("name", MODELS)
def test_float32_results_do_not_depend_on_the_batch(name):
    """Below 1e-5 per layer, 1e-3 where max-pooling ties can flip.

    In YOLOv6 other ties can flip as well: its gamma rule switches where an output changes its
    sign, and its sums of three branches may be close to zero.
    """
    per_layer = 1e-3 if name == "yolov6" else 1e-5
    model = MODELS[name]()
    images = torch.rand(3, 3, *model.input_size)
    explainer = Explainer(model, device="cpu", rows=4)
    found = explainer.predict(images)
    places = [(0, 3), (0, 40), (1, 3), (2, 11), (2, 50), (2, 70)]
    together = explainer.explain(targets_at(found, places), heatmaps=True)
    below = _below_max_pooling(found.record.program)
    for row, (image, index) in enumerate(places):
        apart = explainer.predict(images[image : image + 1])
        alone = explainer.explain(targets_at(apart, [(0, index)]), heatmaps=True)
        assert difference(alone.heatmaps[0], together.heatmaps[row]) < 1e-3
        for layer, relevance in alone.relevance.items():
            allowed = 1e-3 if layer in below else per_layer
            assert difference(relevance[0], together.relevance[layer][row]) < allowed


def _below_max_pooling(program):
    below = set()
    for i in range(len(program.graph.nodes) - 1, -1, -1):
        if i in below or isinstance(program.operations[i], Pooling):
            below.update(program.graph.nodes[i].inputs)
    return {name for name, node in program.layers.items() if node in below}


def test_lower_precision_stays_near(pictures):
    """bf16 has 8 bits: the strongest concepts are the same, the numbers near."""
    model = small_unet()
    results = {}
    for precision in ("float32", "bf16"):
        explainer = Explainer(model, device="cpu", precision=precision)
        found = explainer.predict(pictures)
        assert found.outputs[0].dtype == explainer.dtype
        results[precision] = explainer.explain(targets_at(found, [(0, 200)]), heatmaps=True)
    for layer, expected in results["float32"].relevance.items():
        assert difference(results["bf16"].relevance[layer], expected) < 0.1
    assert results["bf16"].heatmaps.dtype == torch.float32


def test_the_model_is_left_as_it_was(pictures):
    model = small_unet()
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    explainer = Explainer(model, device="cpu")
    found = explainer.predict(pictures)
    explainer.explain(found.targets(), heatmaps=True)
    for key, value in model.network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    assert model.network.encoder.stages[0].relu1.inplace


def test_explaining_twice_gives_the_same(unet, prediction):
    """What is kept per image is not changed by a walk."""
    targets = prediction.targets()
    first = unet.explain(targets, heatmaps=True)
    masks = torch.rand(len(targets), 32, 32)
    unet.inside(targets, masks, "all")
    unet.conditional(targets[0], "encoder.stages.1.conv2", [0, 1, 2])
    second = unet.explain(targets, heatmaps=True)
    torch.testing.assert_close(first.heatmaps, second.heatmaps, rtol=0, atol=0)
    for layer in unet.layers:
        torch.testing.assert_close(first.relevance[layer], second.relevance[layer], rtol=0, atol=0)


def test_layers_that_read_the_same_input_share_its_parts():
    explainer = Explainer(small_yolov5(), device="cpu")
    found = explainer.predict(torch.rand(1, 3, *explainer.model.input_size))
    explainer.explain(targets_at(found, [(0, 3)]))
    program, record = found.record.program, found.record
    readers = {}
    for i, (node, operation) in enumerate(
        zip(program.graph.nodes, program.operations, strict=True)
    ):
        if isinstance(operation, Linear) and operation.division is not None:
            readers.setdefault((node.inputs, operation.division), []).append(i)
    shared = [nodes for nodes in readers.values() if len(nodes) > 1]
    assert shared
    for first, *others in shared:
        assert all(record.state(i)[0] is record.state(first)[0] for i in others)


def test_fewer_rows_walk_together_where_maps_are_large(unet):
    program = unet.program((32, 32))
    assert program.widest == max(math.prod(n.shape[1:]) for n in program.graph.nodes if n.shape)
    tensors = [2**26 // (4 * 16), 2**26 // (4 * 5), 2**27]
    assert [unet.batching.at_once(SimpleNamespace(widest=widest)) for widest in tensors] == [
        16,
        5,
        1,
    ]
    assert Explainer(unet.model, device="cpu", rows=3).batching.at_once(program) == 3


def test_another_size_of_images_is_traced_anew(unet):
    found = unet.predict(torch.rand(1, 3, 48, 64))
    result = unet.explain(Targets(found, found.targets()), layers="default", heatmaps=True)
    assert result.heatmaps.shape[1:] == (48, 64)


def test_grey_network_input_is_no_model():
    network = SmallModel(nn.Sequential(nn.Conv2d(3, 2, 5)), size=(3, 3))
    with pytest.raises(InputError, match="cannot be traced at 3 x 3 pixels"):
        Explainer(network, device="cpu").predict(torch.zeros(1, 3, 3, 3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lraspp_mobilenet_v3_large", {"input_size": [64, 64]}),
        ("ssdlite320_mobilenet_v3_large", {}),
    ],
)
def test_gated_networks_can_be_explained(name, options):
    model = random_model(name, **options)
    explainer = Explainer(model, device="cpu")
    found = explainer.predict(torch.rand(1, 3, *model.input_size))
    result = explainer.explain(targets_at(found, [(0, 3)]), layers="all", heatmaps=True)
    assert torch.isfinite(result.heatmaps).all()
    assert result.heatmaps.abs().sum() > 0


def test_any_targets_of_one_prediction_are_explained_in_their_order(unet, prediction):
    layer = "encoder.stages.1.conv2"
    targets = prediction.targets()
    assert {target.image for target in targets} == {0, 1}
    masks = (torch.rand(len(targets), 2, 32, 32) > 0.5).float()
    parts = {image: torch.ones(1, 32, 32) for image in (0, 1)}
    expected = unet.explain(targets, layer, heatmaps=True, masks=masks, parts=parts)
    order = list(reversed(range(len(targets))))
    found = unet.explain(
        (targets[i] for i in order), layer, heatmaps=True, masks=masks[order], parts=parts
    )
    assert list(found.targets) == [targets[i] for i in order]
    assert found.positions[layer].tolist() == expected.positions[layer][order].tolist()
    for entry in ("relevance", "inside", "landed"):
        ours, theirs = getattr(found, entry)[layer], getattr(expected, entry)[layer]
        torch.testing.assert_close(ours, theirs[order])
    torch.testing.assert_close(found.heatmaps, expected.heatmaps[order])
    torch.testing.assert_close(
        torch.stack(found.parts[layer]), torch.stack(expected.parts[layer])[order]
    )
    inside = unet.inside([targets[i] for i in order], masks[order], layer)[layer]
    torch.testing.assert_close(inside, expected.inside[layer][order])
    maps = relevance_maps(unet, [targets[i] for i in order], [layer])[layer]
    torch.testing.assert_close(maps.sum((2, 3)), found.relevance[layer])


def test_no_targets_give_a_result_without_rows(unet, prediction):
    for nothing in ([], prediction.targets(classes=[])):
        found = unet.explain(nothing, "default", heatmaps=True)
        assert found.heatmaps.shape == (0, 32, 32)
        assert all(len(relevance) == 0 for relevance in found.relevance.values())


def test_targets_of_different_predictions_are_refused(unet, pictures, prediction):
    other = unet.predict(pictures).targets()
    with pytest.raises(InputError, match="targets: of 2 predictions") as caught:
        unet.explain([prediction.targets()[0], other[0]])
    one_line(caught)
