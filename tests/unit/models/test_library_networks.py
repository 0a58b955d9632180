"""The networks of torchvision and segmentation_models_pytorch, against these libraries."""

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import fx, nn
from torchvision.models.detection.image_list import ImageList

from lcrp.errors import InputError
from lcrp.models import build_model, load_model

SEGMENTATION = (
    "deeplabv3_resnet50",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)
DETECTION = ("ssd300_vgg16", "ssdlite320_mobilenet_v3_large")
SMP = {
    "smp_unetplusplus": smp.UnetPlusPlus,
    "smp_linknet": smp.Linknet,
    "smp_fpn": smp.FPN,
    "smp_deeplabv3plus": smp.DeepLabV3Plus,
}


def with_statistics(network):
    """The network in eval mode, its batch norms with statistics of their own."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return network.eval()


def check(model, images, expected):
    """The network, its canonised copy and the traced copy all give the expected outputs."""
    canonised = model.canonised()
    for network in (model.network, canonised, fx.symbolic_trace(canonised)):
        with torch.no_grad():
            outputs = network(images)
        for ours, theirs in zip(outputs, expected, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max())


@pytest.mark.parametrize("name", SEGMENTATION)
def test_torchvision_segmentation(name):
    settings = {"weights": None, "weights_backbone": None, "num_classes": 4}
    if "lraspp" not in name:
        settings["aux_loss"] = True  # as in the published weights
    built = with_statistics(torchvision.models.get_model(name, **settings))
    model = load_model(name, built.state_dict(), classes=4, input_size=(64, 96))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        check(model, images, [built(images)["out"]])
    with torch.device("meta"):
        assert len(build_model(name).classes) == 21


@pytest.mark.parametrize("name", DETECTION)
def test_torchvision_detection(name):
    built = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=4)
    with_statistics(built)
    model = load_model(name, built.state_dict(), classes=4)
    images = torch.randn(1, 3, *model.input_size)
    with torch.no_grad():
        features = list(built.backbone(images).values())
        theirs = built.head(features)
        raw = model.network(images)
        check(model, images, raw)
    logits = torch.cat([rows(output, 4) for output in raw[:6]])
    offsets = torch.cat([rows(output, 4) for output in raw[6:]])
    assert torch.allclose(logits, theirs["cls_logits"][0], atol=1e-5)
    assert torch.allclose(offsets, theirs["bbox_regression"][0], atol=1e-5)

    raw = tuple(torch.randn_like(output) for output in raw)
    for output in raw[:6]:
        output[:, 0::4] += 4  # background nearly everywhere
    anchors = built.anchor_generator(ImageList(images, [model.input_size]), features)
    expected = built.postprocess_detections(
        {
            "cls_logits": torch.cat([rows(output, 4) for output in raw[:6]])[None],
            "bbox_regression": torch.cat([rows(output, 4) for output in raw[6:]])[None],
        },
        anchors,
        [model.input_size],
    )[0]
    ours = model.detect(raw)[0]
    assert torch.equal(ours.labels, expected["labels"])
    assert torch.allclose(ours.confidence, expected["scores"], atol=1e-6)
    assert torch.allclose(ours.boxes, expected["boxes"], atol=1e-2)
    assert len(ours) == built.detections_per_img


def rows(output, width):
    """One row of `width` values per box of a feature map (1, boxes * width, h, w)."""
    return output[0].permute(1, 2, 0).reshape(-1, width)


def test_names_of_coco_keep_the_ids_with_gaps():
    with torch.device("meta"):
        classes = build_model("ssd300_vgg16").classes
    assert (classes[0], classes[1], classes[12], classes[90]) == (
        "background", "person", "unused 12", "toothbrush"
    )  # fmt: skip
    assert len(set(classes)) == 91


@pytest.mark.parametrize("name", SMP)
def test_smp_networks(name):
    built = with_statistics(SMP[name]("resnet18", encoder_weights=None, classes=4))
    model = load_model(name, built.state_dict(), classes=4, encoder="resnet18", input_size=(64, 96))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        check(model, images, [built(images)])


@pytest.mark.parametrize("name", ["unet", "smp_unetplusplus", "smp_linknet", "smp_fpn"])
def test_smp_networks_with_the_narrow_encoder(name):
    model = build_model(
        name, 4, encoder="narrow", encoder_channels=[8, 8, 12, 16], input_size=(64, 96)
    )
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        raw = model.network(images)
        check(model, images, raw)
    assert raw[0].shape == (1, 4, 64, 96)
    assert model.default_layers[-1] == "encoder.stages.3.conv2"


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "efficientnet-b0"])
def test_unet_with_other_encoders(encoder):
    model = build_model("unet", 4, encoder=encoder, input_size=(64, 96))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        check(model, images, model.network(images))
        for layer in model.default_layers:
            module = model.network.get_submodule(layer)
            assert module.groups == 1 and not layer.endswith(("_se_reduce", "_se_expand"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("smp_fpn", {"classes": None}, "smp_fpn has none of its own"),
        ("smp_fpn", {"encoder": "resnet1"}, "resnet1"),
        ("smp_fpn", {"decoder_channels": [4]}, "decoder_channels: smp_fpn has no such option"),
        ("smp_deeplabv3plus", {"encoder": "vgg11"}, "dilated"),
        ("smp_deeplabv3plus", {"encoder": "narrow"}, "does not support dilation"),
        ("smp_linknet", {"encoder": "mit_b0"}, "mit_b0"),
        ("smp_linknet", {"input_size": (48, 64)}, "multiples of 32"),
        ("ssd300_vgg16", {"input_size": (320, 320)}, "300 x 300"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(InputError, match=message) as caught, torch.device("meta"):
        build_model(name, **{"classes": 3, **options})
    assert "\n" not in str(caught.value)
