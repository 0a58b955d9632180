"""Weights reach the network they belong to, or one line says why not."""

import json

import pytest
import torch
from torch import nn

import lcrp
from lcrp.attribution.graph.batch_norms import merged
from lcrp.errors import InputError
from lcrp.models import architectures, build_model, convert, load_model
from lcrp.models.class_names import CITYSCAPES, COCO, COCO_WITH_BACKGROUND, VOC

SMALL = {"width": 0.125, "input_size": (64, 64)}
FAMILIES = ("yolov5", "yolov6", "yolov8", "yolo11", "yolo26")


def same(model, other):
    ours, theirs = model.network.state_dict(), other.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.fixture
def trained():
    return build_model("yolov5", ["a", "b"], **SMALL)


def test_class_names():
    assert (len(COCO), len(COCO_WITH_BACKGROUND), len(VOC), len(CITYSCAPES)) == (80, 81, 21, 20)
    for names in (COCO, COCO_WITH_BACKGROUND, VOC, CITYSCAPES):
        assert len(set(names)) == len(names)
    assert (COCO[0], COCO[17], COCO[79]) == ("person", "horse", "toothbrush")
    assert (VOC[0], VOC[13], CITYSCAPES[12], CITYSCAPES[19]) == (
        "background", "horse", "rider", "ground"
    )  # fmt: skip
    assert COCO_WITH_BACKGROUND[1] == "person"


def test_options_rebuild_the_model(trained):
    options = json.loads(json.dumps(trained.options))
    again = load_model("yolov5", trained.network.state_dict(), classes=["a", "b"], **options)
    assert same(trained, again)
    assert again.options == trained.options and again.classes == ("a", "b")
    assert lcrp.load_model is load_model


def test_half_precision_and_the_prefix_of_parallel_training_are_undone(trained):
    state = {f"module.{key}": value for key, value in trained.network.state_dict().items()}
    assert same(trained, load_model("yolov5", state, classes=2, **SMALL))
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    again = load_model("yolov5", half, classes=2, **SMALL)
    assert {v.dtype for v in again.network.state_dict().values()} == {torch.float32, torch.int64}


def test_extra_anchors_of_release_6_are_dropped(trained):
    state = {**trained.network.state_dict(), "model.24.anchor_grid": torch.zeros(3, 1, 3, 1, 1, 2)}
    assert same(trained, load_model("yolov5", state, classes=2, **SMALL))


def test_ssd_loads_without_the_prefix_of_the_published_file():
    model = build_model("ssd512", 3)
    state = {k.removeprefix("model."): v for k, v in model.network.state_dict().items()}
    assert same(model, load_model("ssd512", state, classes=3))


def test_counts_of_seen_batches_may_be_missing(trained):
    state = trained.network.state_dict()
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert same(trained, load_model("yolov5", state, classes=2, **SMALL))


def test_weights_are_copied_and_the_state_dict_is_left_as_it_was(trained):
    state = trained.network.state_dict()
    keys = list(state)
    load_model("yolov5", state, classes=2, **SMALL).network.model[0].conv.weight.data.zero_()
    assert list(state) == keys and state["model.0.conv.weight"].any()


def refusal(name, state, **options):
    with pytest.raises(InputError) as caught:
        load_model(name, state, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_another_architecture_are_recognised(trained):
    message = refusal("unet", trained.network.state_dict())
    assert "look like yolov5, not unet" in message
    assert "keys missing (encoder.features.0.weight" in message
    assert "load it as yolov5" in message
    with torch.device("meta"):
        published = build_model("yolov5n")
    assert "look like yolov5n, not yolov5s" in refusal("yolov5s", published.network.state_dict())


@pytest.mark.parametrize("name", [n for n in architectures() if n not in FAMILIES])
def test_every_architecture_is_recognised(name):
    other = "yolov5n" if name != "yolov5n" else "yolov5s"
    with torch.device("meta"):
        state = build_model(name, 80).network.state_dict()
    assert f"look like {name}, not {other}" in refusal(other, state)


@pytest.mark.parametrize(
    "name",
    ["unet", "deeplabv3plus", "yolov5n", "yolov6s", "yolov8n", "yolo11n", "yolo26n", "ssd512"],
)
def test_another_class_count_is_named(name):
    with torch.device("meta"):
        state = build_model(name, 7).network.state_dict()
    message = refusal(name, state)
    expected = {"unet": 20, "deeplabv3plus": 21, "ssd512": 81}.get(name, 80)
    assert f"its head has 7 classes, not {expected}" in message
    assert "give the names of its 7 classes" in message
    assert "look like" not in message


def test_missing_and_surplus_and_misshapen_keys_are_named(trained):
    state = trained.network.state_dict()
    state["extra"] = torch.zeros(1)
    state["model.0.conv.weight"] = torch.zeros(8, 3, 3, 3)
    del state["model.1.conv.weight"]
    message = refusal("yolov5", state, classes=2, **SMALL)
    assert "1 keys missing (model.1.conv.weight)" in message
    assert "1 keys not part of the network (extra)" in message
    assert "model.0.conv.weight 8x3x3x3 instead of 8x3x6x6" in message


def test_weights_that_are_not_finite_are_refused(trained):
    state = trained.network.state_dict()
    state["model.3.bn.bias"] = torch.full_like(state["model.3.bn.bias"], torch.nan)
    assert "model.3.bn.bias holds NaN" in refusal("yolov5", state, classes=2, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "yolo5n"}, "nearest: 'yolov5n'"),
        ({"name": "yolov5", "widht": 1}, "widht: yolov5 has no such option"),
        ({"name": "yolov5n", "width": 1}, "depth and width are fixed"),
        ({"name": "yolov5", "anchors": [1, 2]}, "anchors: not three pairs"),
        ({"name": "yolov5", "anchors": [[[0, 1]] * 3] * 3}, "anchors: not three pairs"),
        ({"name": "yolov5", "sides": "down"}, "sides: 'down'"),
        ({"name": "yolov5", "input_size": (100, 64)}, "100 x 64 does not suit yolov5"),
        ({"name": "yolov5", "input_size": 64}, "input_size: 64 does not suit"),
        ({"name": "ssd512", "input_size": (300, 300)}, "in pixels, 512 x 512"),
        ({"name": "unet", "encoder": "vgg99"}, "vgg99"),
        ({"name": "unet", "encoder_channels": [4, 8]}, 'encoder "vgg13" has channels of its own'),
        ({"name": "unet", "encoder": "narrow", "encoder_channels": [4]}, "encoder_channels: [4]"),
        ({"name": "unet", "encoder": "narrow", "decoder_channels": [4]}, "decoder_channels"),
        ({"name": "unet", "classes": ["a", "a"]}, "'a' is named twice"),
        ({"name": "unet", "classes": []}, "no list of names"),
        ({"name": "unet", "classes": "cat"}, "no list of names"),
    ],
)
def test_a_wrong_name_or_option_is_refused(arguments, message):
    with pytest.raises(InputError) as caught, torch.device("meta"):
        build_model(**arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_images_of_a_wrong_shape_are_refused(trained):
    trained.check_input(torch.zeros(1, 3, 96, 64))
    for shape in ((1, 3, 50, 64), (1, 4, 64, 64), (3, 64, 64)):
        with pytest.raises(InputError):
            trained.check_input(torch.zeros(shape))


def test_a_converted_file_brings_its_options_and_classes(trained, tmp_path):
    torch.save(trained.network.state_dict(), tmp_path / "weights.pt")
    file = tmp_path / "model.safetensors"
    convert(tmp_path / "weights.pt", file, "yolov5", classes=["a", "b"], options=trained.options)
    again = load_model("yolov5", file)
    assert same(trained, again) and again.classes == ("a", "b")
    assert again.options == trained.options
    assert load_model("yolov5", file, input_size=(96, 96)).input_size == (96, 96)
    assert "load it as yolov5" in refusal("yolov5n", file)


@pytest.mark.parametrize("name", ["yolov5", "yolov8", "yolo11", "yolo26"])
def test_a_file_with_folded_batch_norms_gives_the_same_outputs(name):
    torch.manual_seed(0)
    model = build_model(name, 2, **SMALL)
    for norm in (m for m in model.network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.normal_(norm.bias, std=0.1)
    state = dict(model.network.state_dict())
    for key in [key for key in state if key.endswith(".bn.running_var")]:
        place = key.removesuffix("bn.running_var")
        norm = {n: state.pop(f"{place}bn.{n}") for n in ("weight", "bias", "running_mean")}
        scale = norm["weight"] / (state.pop(key) + 1e-3).sqrt()
        state.pop(f"{place}bn.num_batches_tracked")
        state[f"{place}conv.weight"] = state[f"{place}conv.weight"] * scale.view(-1, 1, 1, 1)
        state[f"{place}conv.bias"] = norm["bias"] - norm["running_mean"] * scale
    folded = load_model(name, state, classes=2, **SMALL)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        outputs = zip(model.network(images), folded.network(images), strict=True)
        for ours, theirs in outputs:
            assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    # Merged again, they are the very weights of the file.
    for key in [key for key in state if key.endswith(".conv.bias")]:
        place = key.removesuffix(".conv.bias")
        block = folded.network.get_submodule(place)
        convolution = merged(block.conv, block.bn)
        assert torch.equal(convolution.weight, state[f"{place}.conv.weight"])
        assert torch.equal(convolution.bias, state[key])


@pytest.mark.parametrize("name", ["yolov8", "yolo11", "yolo26"])
def test_a_network_for_masks_is_read_as_its_detector(name):
    model = build_model(name, 2, **SMALL)
    head = "model.22" if name == "yolov8" else "model.23"
    masks = {f"{head}.proto.cv1.conv.weight": 3, f"{head}.cv4.0.2.bias": 32}
    state = {**model.network.state_dict(), **{k: torch.zeros(n) for k, n in masks.items()}}
    assert same(model, load_model(name, state, classes=2, **SMALL))


def test_a_yolov5_for_masks_is_read_as_its_detector(trained):
    state = dict(trained.network.state_dict())
    for key in [key for key in state if key.startswith("model.24.m.")]:
        anchors = state[key].unflatten(0, (3, -1))
        state[key] = torch.cat([anchors, torch.ones_like(anchors[:, :4])], dim=1).flatten(0, 1)
    state["model.24.proto.cv3.conv.weight"] = torch.zeros(4, 8, 1, 1)
    assert same(trained, load_model("yolov5", state, classes=2, **SMALL))


def test_heads_for_training_of_yolo26_are_left_out():
    model = build_model("yolo26", 2, **SMALL)
    state = dict(model.network.state_dict())
    state |= {k.replace("one2one_", ""): v + 1 for k, v in state.items() if "one2one_" in k}
    assert same(model, load_model("yolo26", state, classes=2, **SMALL))


def test_real_files_bring_their_names(shared):
    for name in ("yolov8n", "yolo11n"):
        model = load_model(name, shared / "real" / f"{name}-coco.pt")
        assert model.classes == COCO
        message = refusal("unet", shared / "real" / f"{name}-coco.pt")
        assert f"load it as {name}" in message


def test_a_neighbour_is_named_with_what_to_do(trained):
    state = dict(trained.network.state_dict())
    state["model.0.conv.conv.weight"] = state.pop("model.0.conv.weight")
    message = refusal("yolov5", state, classes=2, **SMALL)
    assert "it holds YOLOv5 before release 6.0" in message and "release 6.0 or later" in message
