"""YOLOv5, release 6.0, sizes n to x, and any other depth and width.

Jocher et al., https://doi.org/10.5281/zenodo.3908559. The module names are those of the
published checkpoints.
"""

import math

import numpy as np
import torch
from torch import nn

from lcrp.errors import InputError
from lcrp.models.base import OBJECTNESS
from lcrp.models.boxes import cells, corners
from lcrp.models.predictions import Detections
from lcrp.models.yolo_blocks import (
    C3,
    SPPF,
    Concat,
    Conv,
    Layers,
    repeated,
    rounded_up,
    with_batch_norms,
)
from lcrp.models.yolo_family import STRIDES, YOLO, multiples

SIZES = {  # depth and width multiples
    "yolov5n": (0.33, 0.25),
    "yolov5s": (0.33, 0.50),
    "yolov5m": (0.67, 0.75),
    "yolov5l": (1.0, 1.0),
    "yolov5x": (1.33, 1.25),
}
ANCHORS = (  # width and height in pixels, three per stride
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
SOURCES = {12: (11, 6), 16: (15, 4), 19: (18, 14), 22: (21, 10), 24: (17, 20, 23)}


class Detect(nn.Module):
    """Per stride, a 1x1 convolution to (x, y, w, h, objectness, classes) of three anchors."""

    def __init__(self, channels, classes, anchors, strides=STRIDES):
        super().__init__()
        anchors = torch.tensor(anchors, dtype=torch.float32)
        self.register_buffer("anchors", anchors / torch.tensor(strides)[:, None, None])
        self.m = nn.ModuleList(nn.Conv2d(c, len(anchors[0]) * (5 + classes), 1) for c in channels)
        for head in self.m:
            # Few cells hold an object: a training starts from rare ones.
            nn.init.constant_(head.bias.view(len(anchors[0]), -1)[:, 4:], math.log(0.01 / 0.99))

    def forward(self, features):
        return tuple(head(x) for head, x in zip(self.m, features, strict=True))


class Network(Layers):
    """Images (B, 3, H, W) to three raw outputs (B, 3 * (5 + classes), H / stride, W / stride)."""

    def __init__(self, classes, depth, width, anchors):
        c64, c128, c256, c512, c1024 = (rounded_up(width * c) for c in (64, 128, 256, 512, 1024))
        n3, n6, n9 = (repeated(depth, n) for n in (3, 6, 9))
        super().__init__(
            [
                Conv(3, c64, 6, 2, 2),
                Conv(c64, c128, 3, 2),
                C3(c128, c128, n3),
                Conv(c128, c256, 3, 2),
                C3(c256, c256, n6),
                Conv(c256, c512, 3, 2),
                C3(c512, c512, n9),
                Conv(c512, c1024, 3, 2),
                C3(c1024, c1024, n3),
                SPPF(c1024),
                Conv(c1024, c512),
                nn.Upsample(scale_factor=2, mode="nearest"),
                Concat(),
                C3(2 * c512, c512, n3, shortcut=False),
                Conv(c512, c256),
                nn.Upsample(scale_factor=2, mode="nearest"),
                Concat(),
                C3(2 * c256, c256, n3, shortcut=False),
                Conv(c256, c256, 3, 2),
                Concat(),
                C3(2 * c256, c512, n3, shortcut=False),
                Conv(c512, c512, 3, 2),
                Concat(),
                C3(2 * c512, c1024, n3, shortcut=False),
                Detect((c256, c512, c1024), classes, anchors),
            ],
            SOURCES,
        )


class YOLOv5(YOLO):
    """YOLOv5 with its decoding.

    Attributes:
        sizes: {architecture: depth and width multiples} of the published ones.
        usual: the one that a network of other multiples starts from.
        built: makes the network of (count of classes, depth, width, anchors).
        strides, anchors: of its outputs.
        head: where its head is.
    """

    sizes = SIZES
    usual = "yolov5n"
    built = Network
    strides = STRIDES
    anchors = ANCHORS
    head = "model.24"
    default_layers = ("model.6.cv3.conv", "model.8.cv3.conv", "model.10.conv")
    example_layer = "model.8.cv3.conv"

    def __init__(
        self,
        architecture,
        classes,
        *,
        input_size=(640, 640),
        depth=None,
        width=None,
        anchors=None,
        sides="rounded",
    ):
        """A network without training.

        depth, width: multiples, for the architecture "yolov5" (default: those of size n).
        sides: how the letterbox makes resized sides whole: "rounded", or "truncated" as in
            the training code, which shows one row or column less of some images.
        anchors: (3, 3, 2) widths and heights in pixels, three for each stride.
        """
        depth, width, options = multiples(architecture, self.sizes, self.usual, depth, width)
        if anchors is not None:
            anchors = _valid_anchors(anchors, self.strides)
            options["anchors"] = anchors
        anchors = self.anchors if anchors is None else anchors
        network = self.built(len(classes), depth, width, anchors)
        super().__init__(architecture, network, classes, input_size, options, sides)
        if len(self.classes) == 1:
            # Its training has no loss for a single class: that output stays at its random start.
            self.explained = OBJECTNESS

    @classmethod
    def adapted(cls, state):
        # Release 6.0 also kept the anchors multiplied by the stride.
        unused = f"{cls.head}.anchor_grid"
        kept = {key: value for key, value in state.items() if key != unused}
        return with_batch_norms(_without_masks(kept, cls.head))

    @classmethod
    def class_count(cls, state):
        bias = state.get(f"{cls.head}.m.0.bias")
        return None if bias is None or len(bias) % 3 else len(bias) // 3 - 5

    def _levels(self, outputs, threshold):
        anchors = self.network.model[-1].anchors
        levels = zip(outputs, anchors, self.strides, strict=True)
        return Detections.concatenated(
            [
                self._level(index, raw, anchors * stride, stride, threshold)
                for index, (raw, anchors, stride) in enumerate(levels)
            ]
        )

    def _level(self, index, raw, anchors, stride, threshold):
        height, width = raw.shape[-2:]
        area = height * width
        raw = raw.reshape(len(anchors), 5 + len(self.classes), area)
        anchor, cell = (raw[:, 4].sigmoid() > threshold).nonzero(as_tuple=True)
        values = raw[anchor, :, cell].float().sigmoid()
        objectness, scores, first = values[:, 4], values[:, 5:], 5
        if self.explained == OBJECTNESS:
            objectness, scores, first = torch.ones_like(objectness), values[:, 4:5], 4
        centres = (2 * values[:, :2] - 0.5 + cells(height, width, values)[cell]) * stride
        sizes = (2 * values[:, 2:4]) ** 2 * anchors.to(values)[anchor]
        return Detections(
            boxes=corners(centres, sizes),
            scores=scores,
            confidence=objectness,
            labels=torch.zeros_like(cell),
            output=torch.full_like(cell, index),
            base=(anchor * (5 + len(self.classes)) + first) * area + cell,
            stride=torch.full_like(cell, area),
        )


def _without_masks(state, head):
    """The detector of a network for instance masks (-seg): its heads end in weights of masks."""
    prototypes = state.get(f"{head}.proto.cv3.conv.weight")
    if prototypes is None:
        return state
    kept = {}
    for key, value in state.items():
        if key.startswith(f"{head}.m."):
            per_anchor = value.unflatten(0, (3, -1))
            value = per_anchor[:, : per_anchor.shape[1] - len(prototypes)].flatten(0, 1)
        if not key.startswith(f"{head}.proto."):
            kept[key] = value
    return kept


def _valid_anchors(anchors, strides):
    try:
        valid = np.asarray(anchors, dtype=np.float64)
    except (TypeError, ValueError):
        valid = np.empty(0)
    shape = (len(strides), 3, 2)
    if valid.shape != shape or not (np.isfinite(valid) & (valid > 0)).all():
        raise InputError(
            f"anchors: not three pairs (width, height) for each of the strides "
            f"{', '.join(map(str, strides))}; give {' x '.join(map(str, shape))} positive numbers "
            f"in pixels"
        )
    return valid.tolist()
