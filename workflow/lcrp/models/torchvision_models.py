"""The segmentation models and single-shot detectors that torchvision builds.

DeepLabV3 (Chen et al., arXiv 1706.05587), FCN (Long et al., arXiv 1411.4038), LR-ASPP and
SSDlite with MobileNetV3 (Howard et al., arXiv 1905.02244), SSD300 (Liu et al.,
arXiv 1512.02325). The names are those of torchvision's builders.
"""

import math

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from lcrp.models.base import SegmentationModel, Suppression, spread_layers, without_values
from lcrp.models.preprocessing import IMAGENET, PixelScale, cover, stretch
from lcrp.models.priors import PriorDetector
from lcrp.models.ssd import L2Norm

DETECTION = {  # side of the input, and its pixel scale
    "ssd300_vgg16": (300, PixelScale(255.0, (0.48235, 0.45882, 0.40784), (1 / 255,) * 3)),
    "ssdlite320_mobilenet_v3_large": (320, PixelScale(255.0, (0.5,) * 3, (0.5,) * 3)),
}


def _built(architecture, classes):
    return torchvision.models.get_model(
        architecture, weights=None, weights_backbone=None, num_classes=classes
    )


def _class_names(architecture):
    """Those of the published weights; ids that COCO left out get names of their own."""
    names = torchvision.models.get_model_weights(architecture).DEFAULT.meta["categories"]
    names = [f"unused {index}" if name == "N/A" else name for index, name in enumerate(names)]
    return ("background", *names[1:])


class SegmentationNetwork(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes, H, W)."""

    def __init__(self, built):
        super().__init__()
        self.backbone = built.backbone
        self.classifier = built.classifier

    def forward(self, images):
        features = self.backbone(images)
        logits = self.classifier(features.get("out", features))  # LR-ASPP takes them all
        return (
            F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False),
        )


class TorchvisionSegmentation(SegmentationModel):
    """A segmentation model of torchvision."""

    fit = staticmethod(cover)
    pixels = IMAGENET

    def __init__(self, architecture, classes, *, input_size=(520, 520)):
        """A network without training."""
        network = SegmentationNetwork(_built(architecture, len(classes)))
        super().__init__(architecture, network, classes, input_size, {})
        self.default_layers = spread_layers(network.backbone, "backbone", self.input_size)
        self.example_layer = self.default_layers[-1]

    @classmethod
    def usual_classes(cls, architecture):
        return _class_names(architecture)

    @classmethod
    def adapted(cls, state):
        # The auxiliary head helps the training alone.
        return {k: v for k, v in state.items() if not k.startswith("aux_classifier.")}

    @classmethod
    def class_count(cls, state):
        for key in ("classifier.4.bias", "classifier.low_classifier.bias"):
            if key in state:
                return len(state[key])
        return None


class DetectionNetwork(nn.Module):
    """Images (B, 3, H, W) to class logits of every map, then box offsets of every map."""

    def __init__(self, built):
        super().__init__()
        self.backbone = built.backbone
        self.head = built.head

    def forward(self, images):
        features = list(self.backbone(images).values())
        return tuple(
            header(x)
            for head in (self.head.classification_head, self.head.regression_head)
            for header, x in zip(head.module_list, features, strict=True)
        )


class NormalisedBackbone(nn.Module):
    """SSD300's backbone with its L2 norm as a module."""

    def __init__(self, backbone):
        super().__init__()
        self.features = backbone.features
        self.extra = backbone.extra
        self.l2_norm = L2Norm(len(backbone.scale_weight))
        self.l2_norm.weight = backbone.scale_weight

    def forward(self, images):
        x = self.features(images)
        features = {"0": self.l2_norm(x)}
        for index, block in enumerate(self.extra, start=1):
            x = block(x)
            features[str(index)] = x
        return features


class TorchvisionSSD(PriorDetector):
    """SSD300 or SSDlite of torchvision."""

    fit = staticmethod(stretch)
    largest_exponent = math.log(1000 / 16)
    clips = True

    def __init__(self, architecture, classes, *, input_size=None):
        """A network without training; the input size is fixed."""
        side, self.pixels = DETECTION[architecture]
        self.only_size = (side, side)
        built = _built(architecture, len(classes))
        super().__init__(
            architecture,
            DetectionNetwork(built),
            classes,
            self.only_size if input_size is None else input_size,
            {},
            _priors(built, self.only_size),
        )
        self.evaluation = Suppression(
            built.score_thresh, built.nms_thresh, built.detections_per_img, built.topk_candidates
        )
        self.default_layers = spread_layers(self.network.backbone, "backbone", self.input_size)
        self.example_layer = self.default_layers[-1]

    def canonised(self):
        """A copy of the network that is ready to trace, its L2 norm as a module."""
        network = super().canonised()
        if hasattr(network.backbone, "scale_weight"):
            network.backbone = NormalisedBackbone(network.backbone)
        return network.eval()

    @classmethod
    def usual_classes(cls, architecture):
        return _class_names(architecture)

    @classmethod
    def class_count(cls, state):
        boxes = {"head.classification_head.module_list.0.bias": 4}
        boxes["head.classification_head.module_list.0.1.bias"] = 6
        for key, count in boxes.items():
            if key in state:
                return len(state[key]) // count
        return None


def _priors(built, size):
    """The default boxes (N, 4): centre x, y, width, height relative to the input."""
    features = without_values(built.backbone)(torch.empty(1, 3, *size, device="meta"))
    with torch.device("cpu"):
        boxes = DefaultBoxGenerator(
            built.anchor_generator.aspect_ratios,
            scales=built.anchor_generator.scales,
            steps=built.anchor_generator.steps,
            clip=built.anchor_generator.clip,
        )
        maps = [torch.empty(1, 1, *feature.shape[-2:]) for feature in features.values()]
        images = ImageList(torch.empty(1, 3, *size), [size])
        corners = boxes(images, maps)[0] / torch.tensor([*size[::-1]] * 2)
    return torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
