"""Small models of any network, with deterministic weights, and targets set by hand."""

import zlib

import numpy as np
import torch
from torch import nn

from lcrp.attribution import Explainer, Target, Targets
from lcrp.models import build_model
from lcrp.models.base import Model
from lcrp.models.ssd import SSD512, L2Norm


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


def values(name, shape, seed=0):
    """Normal random numbers that depend on a name, a shape and a seed alone."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), seed])
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


@torch.no_grad()
def randomised(network, seed=0):
    """The network with random weights of a sensible scale, batch norms included."""
    for name, value in network.state_dict().items():
        random = values(name, tuple(value.shape), seed)
        if value.ndim > 1 and name.endswith("weight"):
            value.copy_(random * (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "weight")):
            value.copy_(0.5 + random.abs())
        elif name.endswith(("bias", "running_mean")):
            value.copy_(0.1 * random)
    return network.requires_grad_(False)


def random_model(name, classes=3, seed=0, **options):
    """A model of the library with random weights."""
    model = build_model(name, classes, **options)
    randomised(model.network, seed)
    return model


def small_yolov5(size=(64, 64)):
    return random_model("yolov5", width=0.125, depth=0.33, input_size=list(size))


def small_anchor_free(name, size):
    return random_model(name, width=0.0625, depth=0.33, input_size=list(size))


def small_yolov6(size=(64, 64)):
    return random_model("yolov6", width=0.125, depth=0.33, input_size=list(size))


def small_unet(size=(32, 32)):
    return random_model("unet", encoder="narrow", encoder_channels=[8, 12, 16], input_size=size)


class Block(nn.Module):
    def __init__(self, channels, activation):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=2)
        self.act2 = activation()

    def forward(self, x):
        return self.act2(self.conv2(self.act1(self.bn1(self.conv1(x)))) + x)


class ResidualNetwork(nn.Module):
    """Strided and transposed convolutions, residual sums, pools, a linear head."""

    def __init__(self, activation):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act = activation()
        self.block1 = Block(8, activation)
        self.pool = nn.MaxPool2d(2)
        self.block2 = Block(8, activation)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.act_up = activation()
        self.lateral = nn.Conv2d(8, 4, 1)
        self.head = nn.Conv2d(8, 3, 3, padding=1)
        self.smooth = nn.AvgPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classify = nn.Linear(8, 5)

    def forward(self, x):
        early = self.block1(self.act(self.stem(x)))
        late = self.block2(self.pool(early))
        raised = self.act_up(self.up(late))
        maps = torch.cat([raised, self.lateral(early)], dim=1)
        return self.smooth(self.head(maps)), self.classify(self.flatten(self.average(late)))


def residual(activation):
    return SmallModel(randomised(ResidualNetwork(activation)), size=(16, 16))


class SingleShot(nn.Module):
    """Parts of SSD: pooling with a ceiling, dilation, the L2 norm, heads on maps of two sizes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.second = nn.Conv2d(8, 12, 3, padding=1)
        self.l2_norm = L2Norm(12)
        self.close = nn.MaxPool2d(3, stride=1, padding=1)
        self.wide = nn.Conv2d(12, 16, 3, padding=6, dilation=6)
        self.extra1, self.extra2 = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.classes = nn.ModuleList(nn.Conv2d(12, 6, 3, padding=1) for _ in range(2))
        self.boxes = nn.ModuleList(nn.Conv2d(12, 8, 3, padding=1) for _ in range(2))
        self.relu = nn.ReLU()

    def forward(self, x):
        early = self.relu(self.second(self.pool(self.relu(self.first(x)))))
        late = self.relu(self.wide(self.close(self.pool(early))))
        late = self.relu(self.extra2(self.relu(self.extra1(late))))
        maps = (self.l2_norm(early), late)
        rows = lambda heads, n: torch.cat(  # noqa: E731
            [
                head(features).permute(0, 2, 3, 1).reshape(len(x), -1, n)
                for head, features in zip(heads, maps, strict=True)
            ],
            dim=1,
        )
        return rows(self.classes, 3), rows(self.boxes, 4)


def small_ssd():
    """A model with the parts of SSD, by the rules of SSD512."""
    model = SmallModel(randomised(SingleShot()), size=(18, 26))
    model.operations = SSD512.operations
    return model


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
