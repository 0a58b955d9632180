"""The networks can be traced, canonised and built in small."""

import pytest
import torch
from torch import fx, nn

from lcrp.models import architectures, build_model

SMALL = {
    "yolov5": {"width": 0.125, "input_size": (64, 64)},
    "yolov6": {"width": 0.125, "depth": 0.2, "input_size": (64, 64)},
    "yolov8": {"width": 0.125, "input_size": (64, 64)},
    "yolo11": {"width": 0.125, "input_size": (64, 64)},
    "yolo26": {"width": 0.125, "input_size": (64, 64)},
    "unet": {"encoder": "narrow", "input_size": (32, 48)},
    "deeplabv3plus": {"input_size": (65, 97)},
}


@pytest.fixture(params=SMALL)
def small(request):
    """A small model whose batch norms have statistics of their own, in float64.

    In float32, a deep network with random weights makes much of the order of sums.
    """
    torch.manual_seed(0)
    model = build_model(request.param, 4, **SMALL[request.param])
    for module in model.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.normal_(module.bias, std=0.1)
    model.network.double()
    return model


def run(network, model):
    torch.manual_seed(1)
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        return network(torch.randn(2, 3, *model.input_size, dtype=dtype))


def test_canonised_network_is_another_with_the_same_outputs(small):
    network = small.canonised()
    for ours, theirs in zip(run(network, small), run(small.network, small), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-8)
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert any(getattr(module, "inplace", False) for module in small.network.modules())
    assert not network.training


def test_canonised_network_can_be_traced(small):
    network = small.canonised()
    traced = fx.symbolic_trace(network)
    for ours, theirs in zip(run(traced, small), run(network, small), strict=True):
        assert torch.equal(ours, theirs)


def test_images_of_a_batch_do_not_touch(small):
    torch.manual_seed(1)
    images = torch.randn(2, 3, *small.input_size, dtype=torch.float64)
    with torch.no_grad():
        both, alone = small.network(images), small.network(images[1:])
    for ours, theirs in zip(both, alone, strict=True):
        assert torch.allclose(ours[1], theirs[0], rtol=1e-8, atol=1e-8)


def test_segmentation_has_the_size_of_its_input_and_a_label_per_pixel():
    for name in ("unet", "deeplabv3plus"):
        model = build_model(name, 4, **SMALL[name])
        found = model.decode(run(model.network, model))
        assert len(found) == 2
        assert found[0].logits.shape == (4, *model.input_size)
        assert torch.equal(found[0].labels, found[0].logits.argmax(0))
        with pytest.raises(ValueError, match="finds no boxes"):
            model.detect(run(model.network, model))


def test_stem_of_yolov6_becomes_one_exact_convolution():
    model = build_model("yolov6", 4, **SMALL["yolov6"])
    block = model.network.backbone.stem.double()
    for branch in (block.rbr_dense, block.rbr_1x1):
        nn.init.uniform_(branch.bn.running_var, 0.5, 1.5)
        nn.init.normal_(branch.bn.running_mean)
        nn.init.normal_(branch.bn.bias)
    one = model.canonised().backbone.stem
    assert [name for name, m in one.named_modules() if isinstance(m, nn.Conv2d)] == ["rbr_reparam"]
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    assert torch.allclose(one(x), block(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", architectures())
def test_layers_named_by_default_exist(name):
    with torch.device("meta"):
        model = build_model(name, 3)
    convolutions = [n for n, m in model.canonised().named_modules() if isinstance(m, nn.Conv2d)]
    assert set(model.default_layers) <= set(convolutions)
    assert model.example_layer in model.default_layers
    assert model.composite == (
        "EpsilonGammaFlat" if name.startswith("yolov6") else "EpsilonPlusFlat"
    )
    assert not model.network.training


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # published, in millions, for 80 classes; of YOLOv6 as deployed, one 3x3 per block
        ("yolov5n", 1.9),
        ("yolov5s", 7.2),
        ("yolov5m", 21.2),
        ("yolov5l", 46.6),
        ("yolov5x", 86.7),
        ("yolov6s", 17.2),
        *(("yolov5n6", 3.2), ("yolov5s6", 12.6), ("yolov5m6", 35.7), ("yolov5l6", 76.8)),
        *(("yolov5x6", 140.7), ("yolov8n", 3.2), ("yolov8s", 11.2), ("yolov8m", 25.9)),
        ("yolov8l", 43.7),
        *(("yolov8x", 68.2), ("yolo11n", 2.6), ("yolo11s", 9.4), ("yolo11m", 20.1)),
        *(("yolo11l", 25.3), ("yolo11x", 56.9), ("yolo26n", 2.4), ("yolo26s", 9.5)),
        *(("yolo26m", 20.4), ("yolo26l", 24.8), ("yolo26x", 55.7)),
    ],
)
def test_sizes_have_the_published_number_of_parameters(name, parameters):
    with torch.device("meta"):
        network = build_model(name).network
    if name == "yolov6s":
        kept = [m for n, m in network.named_modules() if "rbr_1x1" not in n]
        kernels = [m for m in kept if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        ours = sum(m.weight.numel() + m.out_channels for m in kernels) / 1e6
    else:
        ours = sum(p.numel() for p in network.parameters()) / 1e6
    assert ours == pytest.approx(parameters, abs=0.1)


def test_narrow_encoder_halves_and_widens():
    model = build_model("unet", 4, encoder="narrow", encoder_channels=[4, 6, 10])
    with torch.no_grad():
        features = model.network.encoder(torch.zeros(1, 3, 32, 64))
    assert [tuple(f.shape[1:]) for f in features] == [(4, 32, 64), (6, 16, 32), (10, 8, 16)]
    assert model.options["decoder_channels"] == [6, 4]
    assert model.default_layers == tuple(f"encoder.stages.{i}.conv2" for i in range(3))


def test_an_untrained_detector_finds_nothing():
    for name in ("yolov5", "yolov6", "yolov8", "yolo11", "yolo26"):
        model = build_model(name, 4, **SMALL[name])
        assert all(len(found) == 0 for found in model.decode(run(model.network, model)))
