"""SSD512 with a VGG-16 backbone.

Liu et al., arXiv 1512.02325. The module names are those of the published checkpoint with
the prefix `model.`.
"""

import math
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.models import class_names
from lcrp.models.base import Passing
from lcrp.models.preprocessing import PixelScale, stretch
from lcrp.models.priors import PriorDetector

SIDE = 512
VGG = (
    64,
    64,
    "pool",
    128,
    128,
    "pool",
    256,
    256,
    256,
    "ceil",
    512,
    512,
    512,
    "pool",
    512,
    512,
    512,
)
LOW_LEVEL = 22  # index in the backbone after which the first feature map is taken
EXTRAS = (  # channels, kernel, stride, padding
    (256, 1, 1, 0),
    (512, 3, 2, 1),
    (128, 1, 1, 0),
    (256, 3, 2, 1),
    (128, 1, 1, 0),
    (256, 3, 2, 1),
    (128, 1, 1, 0),
    (256, 3, 2, 1),
    (128, 1, 1, 0),
    (256, 4, 1, 1),
)
FEATURE_CHANNELS = (512, 1024, 512, 256, 256, 256, 256)
STRIDES = (8, 16, 32, 64, 128, 256, 512)
SIZES = (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72)  # pixels
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,))


class L2Norm(nn.Module):
    """Divide by the norm over channels, and scale every channel by a learned weight."""

    def __init__(self, channels, scale=20.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x):
        norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return self.weight[:, None, None] * (x / norm)


class Backbone(nn.Module):
    """Images to seven feature maps."""

    def __init__(self):
        super().__init__()
        self.vgg = nn.ModuleList(_vgg())
        inputs = (FEATURE_CHANNELS[1], *(channels for channels, *_ in EXTRAS[:-1]))
        self.extras = nn.ModuleList(
            nn.Conv2d(before, channels, kernel, stride, padding)
            for before, (channels, kernel, stride, padding) in zip(inputs, EXTRAS, strict=True)
        )
        self.l2_norm = L2Norm(FEATURE_CHANNELS[0])

    def forward(self, images):
        features = []
        x = images
        for index, layer in enumerate(self.vgg):
            x = layer(x)
            if index == LOW_LEVEL:
                features.append(self.l2_norm(x))
        features.append(x)
        for index, extra in enumerate(self.extras):
            x = F.relu(extra(x))
            if index % 2:
                features.append(x)
        return features


def _vgg():
    layers = []
    before = 3
    for step in VGG:
        if step in ("pool", "ceil"):
            layers.append(nn.MaxPool2d(2, ceil_mode=step == "ceil"))
        else:
            layers += [nn.Conv2d(before, step, 3, padding=1), nn.ReLU(inplace=True)]
            before = step
    return [
        *layers,
        nn.MaxPool2d(3, stride=1, padding=1),
        nn.Conv2d(before, 1024, 3, padding=6, dilation=6),
        nn.ReLU(inplace=True),
        nn.Conv2d(1024, 1024, 1),
        nn.ReLU(inplace=True),
    ]


class Predictor(nn.Module):
    """Feature maps to class logits of every map, then box offsets of every map."""

    def __init__(self, classes):
        super().__init__()
        boxes = [boxes_per_cell(ratios) for ratios in RATIOS]
        self.cls_headers, self.reg_headers = (
            nn.ModuleList(
                nn.Conv2d(channels, count * each, 3, padding=1)
                for channels, count in zip(FEATURE_CHANNELS, boxes, strict=True)
            )
            for each in (classes, 4)
        )

    def forward(self, features):
        return tuple(
            header(x)
            for headers in (self.cls_headers, self.reg_headers)
            for header, x in zip(headers, features, strict=True)
        )


class BoxHead(nn.Module):
    """The predictor under the name it has in the checkpoint."""

    def __init__(self, classes):
        super().__init__()
        self.predictor = Predictor(classes)

    def forward(self, features):
        return self.predictor(features)


class Detector(nn.Module):
    """Backbone and head."""

    def __init__(self, classes):
        super().__init__()
        self.backbone = Backbone()
        self.box_head = BoxHead(classes)

    def forward(self, images):
        return self.box_head(self.backbone(images))


class Network(nn.Module):
    """Images (B, 3, 512, 512) to class logits of seven maps, then box offsets of seven maps."""

    def __init__(self, classes):
        super().__init__()
        self.model = Detector(classes)

    def forward(self, images):
        return self.model(images)


def boxes_per_cell(ratios):
    """How many priors a cell has: two squares, and two per ratio."""
    return 2 + 2 * len(ratios)


def priors():
    """All priors (24564, 4): centre x, y, width, height relative to the image.

    In the order of maps, rows, columns, shapes.
    """
    rows = []
    for stride, smaller, larger, ratios in zip(STRIDES, SIZES, SIZES[1:], RATIOS, strict=False):
        side = SIDE // stride
        shapes = [(smaller, smaller), (math.sqrt(smaller * larger),) * 2]
        for ratio in ratios:
            long, short = smaller * math.sqrt(ratio), smaller / math.sqrt(ratio)
            shapes += [(long, short), (short, long)]
        rows += [
            ((x + 0.5) / side, (y + 0.5) / side, width / SIDE, height / SIDE)
            for y in range(side)
            for x in range(side)
            for width, height in shapes
        ]
    return torch.tensor(rows, device="cpu").clamp(0, 1)


class SSD512(PriorDetector):
    """SSD512 with its priors."""

    default_classes = class_names.COCO_WITH_BACKGROUND
    default_layers = ("model.backbone.vgg.28",)
    example_layer = "model.backbone.vgg.28"
    operations = MappingProxyType(
        {L2Norm: Passing(keeps_sign=lambda norm: bool((norm.weight >= 0).all()))}
    )
    only_size = (SIDE, SIDE)
    fit = staticmethod(stretch)
    pixels = PixelScale(mean=(123.0, 117.0, 104.0))

    def __init__(self, architecture, classes, *, input_size=(SIDE, SIDE)):
        """A network without training."""
        network = Network(len(classes))
        super().__init__(architecture, network, classes, input_size, {}, priors())

    @classmethod
    def adapted(cls, state):
        # The published file holds the detector alone, without the module around it.
        if "backbone.vgg.0.weight" not in state:
            return state
        return {f"model.{key}": value for key, value in state.items()}

    @classmethod
    def class_count(cls, state):
        bias = state.get("model.box_head.predictor.cls_headers.0.bias")
        return None if bias is None else len(bias) // boxes_per_cell(RATIOS[0])
