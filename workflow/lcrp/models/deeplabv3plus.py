"""DeepLabV3+ with a ResNet-50 of output stride 16.

Chen et al., arXiv 1802.02611. The module names are those of the published checkpoint.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50
from torchvision.models.segmentation.deeplabv3 import ASPP

from lcrp.models import class_names
from lcrp.models.base import SegmentationModel
from lcrp.models.preprocessing import IMAGENET, cover


def _conv(inputs, outputs, kernel):
    """Convolution without bias, batch norm, ReLU, as three numbered modules."""
    return (
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Head(nn.Module):
    """Low-level features (256 channels) and high-level ones (2048) to class logits."""

    def __init__(self, classes):
        super().__init__()
        self.project = nn.Sequential(*_conv(256, 48, 1))
        self.aspp = ASPP(2048, [6, 12, 18], 256)
        self.aspp.project[3].p = 0.1  # dropout; torchvision has 0.5
        self.classifier = nn.Sequential(*_conv(48 + 256, 256, 3), nn.Conv2d(256, classes, 1))

    def forward(self, low, high):
        low = self.project(low)
        high = F.interpolate(
            self.aspp(high), size=low.shape[-2:], mode="bilinear", align_corners=False
        )
        return self.classifier(torch.cat([low, high], dim=1))


class Network(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes, H, W)."""

    def __init__(self, classes):
        super().__init__()
        resnet = resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
        self.backbone = nn.Sequential(
            OrderedDict(
                (name, child)
                for name, child in resnet.named_children()
                if name not in ("avgpool", "fc")
            )
        )
        self.classifier = Head(classes)

    def forward(self, images):
        features = {}
        x = images
        for name, stage in self.backbone.named_children():
            x = features[name] = stage(x)
        logits = self.classifier(features["layer1"], features["layer4"])
        return (
            F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False),
        )


class DeepLabV3Plus(SegmentationModel):
    """DeepLabV3+ with its centre crop."""

    default_classes = class_names.VOC
    default_layers = (
        "backbone.layer3.0.conv1",
        "backbone.layer4.0.conv3",
        "backbone.layer4.2.conv2",
    )
    example_layer = "backbone.layer4.0.conv3"
    fit = staticmethod(cover)
    pixels = IMAGENET

    def __init__(self, architecture, classes, *, input_size=(513, 513)):
        """A network without training."""
        super().__init__(architecture, Network(len(classes)), classes, input_size, {})

    @classmethod
    def class_count(cls, state):
        bias = state.get("classifier.classifier.3.bias")
        return None if bias is None else len(bias)
