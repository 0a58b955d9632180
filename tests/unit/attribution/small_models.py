"""Small models of any network, with deterministic weights, and targets set by hand."""

import torch
from torch import nn

from lcrp.attribution import Explainer, Target, Targets
from lcrp.models import build_model
from lcrp.models.base import Model


class SmallModel(Model):
    """Any network that takes (B, 3, H, W) and returns a tuple of tensors."""

    task = "segmentation"
    smallest_side = 1
    default_layers = ()

    def __init__(self, network, size=(8, 8), composite="EpsilonPlusFlat"):
        super().__init__("small", network, ("a", "b"), size, {})
        self.composite = composite


class Outputs(nn.Module):
    """Makes a tuple of what a network returns."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        found = self.network(images)
        return found if isinstance(found, tuple) else (found,)


def randomised(network, seed=0):
    """The network with random weights of a sensible scale, batch norms included."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for module in network.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.ndim > 1:
                    fan_in = parameter[0].numel()
                    parameter.copy_(normal(parameter.shape) * (2 / fan_in) ** 0.5)
                else:
                    parameter.copy_(0.1 * normal(parameter.shape))
            if isinstance(module, nn.BatchNorm2d):
                if module.weight is not None:
                    module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
                module.running_mean.copy_(0.1 * normal(module.running_mean.shape))
                variance = 0.5 + torch.rand(module.running_var.shape, generator=generator)
                module.running_var.copy_(variance)
    return network.requires_grad_(False)


def random_model(name, classes=3, seed=0, **options):
    """A model of the library with random weights."""
    model = build_model(name, classes, **options)
    randomised(model.network, seed)
    return model


def small_yolov5(size=(64, 64)):
    return random_model("yolov5", width=0.125, depth=0.33, input_size=list(size))


def small_yolov6(size=(64, 64)):
    return random_model("yolov6", width=0.125, depth=0.33, input_size=list(size))


def small_unet(size=(32, 32)):
    return random_model("unet", encoder="narrow", encoder_channels=[8, 12, 16], input_size=size)


def explained(network, images, composite="EpsilonPlusFlat", **options):
    """Explainer of a network in float64, and its prediction of the images."""
    model = SmallModel(Outputs(network), images.shape[2:])
    options = {"precision": "float64", **options}
    explainer = Explainer(model, composite=composite, device="cpu", **options)
    return explainer, explainer.predict(images)


def target_at(prediction, image, index, output=0, value=None):
    """A target that starts at flat indices of a raw output of an image."""
    index = torch.as_tensor(index).reshape(-1)
    value = torch.ones(len(index)) if value is None else torch.as_tensor(value)
    return Target(
        image, 0, "a", 0, 1.0, 1.0, (0.0, 0.0, 1.0, 1.0), 0, output, index, value, prediction
    )


def targets_at(prediction, places):
    """Targets at (image, flat index) or (image, flat index, output)."""
    return Targets(prediction, [target_at(prediction, *place) for place in places])


def difference(found, expected):
    """Relative L1 difference: sum |found - expected| / sum |expected|."""
    found = torch.as_tensor(found).double()
    expected = torch.as_tensor(expected).double()
    return float((found - expected).abs().sum() / expected.abs().sum().clamp(min=1e-30))
