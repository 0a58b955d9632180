"""Networks of other libraries under the engine: encoders of every kind.

Under the composite of gradients the relevance graph must give the network's own gradient.
"""

import pytest
import torch

from lcrp.attribution import Explainer, Targets
from lcrp.models import build_model
from support.small_models import difference, randomised, target_at

# Small ones of every kind that has parts of its own.
ENCODERS = (
    "resnet18",
    "se_resnet50",
    "vgg13_bn",
    "mobilenet_v2",
    "mobileone_s0",
    "densenet121",
    "dpn68",
    "efficientnet-b0",
    "timm-efficientnet-b0",
    "timm-mobilenetv3_small_100",
    "timm-regnety_002",
    "timm-res2net50_26w_4s",
    "timm-gernet_s",
    "tu-resnet18",
    "tu-convnext_atto",
    "mit_b0",
)
QUICK = ("resnet18", "timm-mobilenetv3_small_100", "tu-convnext_atto", "mit_b0")
NETWORKS = (
    *(("unet", {"encoder": name}) for name in ENCODERS),
    *(
        (f"smp_{name}", {"encoder": encoder})
        for name in ("unetplusplus", "linknet", "fpn", "deeplabv3plus")
        for encoder in ("resnet18", "timm-efficientnet-b0")
    ),
    ("smp_fpn", {"encoder": "vgg11"}),
    ("deeplabv3_resnet50", {}),
    ("deeplabv3_mobilenet_v3_large", {}),
    ("fcn_resnet50", {}),
    ("lraspp_mobilenet_v3_large", {}),
    ("ssd300_vgg16", {"input_size": (300, 300)}),
    ("ssdlite320_mobilenet_v3_large", {"input_size": (320, 320)}),
)


def is_quick(name, options):
    return options.get("encoder") in QUICK and (name == "unet" or name == "smp_fpn")


def small(name, options):
    """The model in double precision with random weights, and an image."""
    torch.manual_seed(0)
    model = build_model(name, 3, **{"input_size": (64, 64), **options})
    randomised(model.network).double()
    return model, torch.randn(1, 3, *model.input_size, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(
            name,
            options,
            id=f"{name}-{options.get('encoder', '')}",
            marks=[] if is_quick(name, options) else pytest.mark.proof,
        )
        for name, options in NETWORKS
    ],
)
def test_a_network_is_explained(name, options):
    model, images = small(name, options)
    layers = model.default_layers
    explainer = Explainer(model, composite="Gradient", device="cpu", precision="float64")
    prediction = explainer.predict(images)
    own = images.clone().requires_grad_()
    outputs = model.network(own)
    for found, expected in zip(prediction.outputs, outputs, strict=True):
        assert difference(found, expected.detach()) < 1e-10
    place = outputs[0].numel() // 2
    (gradient,) = torch.autograd.grad(outputs[0].flatten()[place], own)
    result = explainer.explain(
        Targets(prediction, [target_at(prediction, 0, [place])]), layers=layers, heatmaps=True
    )
    # Heatmaps are returned in single precision.
    assert difference(result.heatmaps[0], gradient[0].sum(0)) < 1e-6

    explainer = Explainer(model, device="cpu", precision="float64")
    prediction = explainer.predict(images)
    targets = Targets(prediction, [target_at(prediction, 0, [place])])
    result = explainer.explain(targets, layers=layers, heatmaps=True)
    assert torch.as_tensor(result.heatmaps).isfinite().all()
    # A box of a detector comes from one of its branches.
    reached = [name for name in layers if result.relevance[name].abs().sum() > 0]
    assert reached if model.task == "detection" else reached == list(layers)
