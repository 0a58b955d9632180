"""YOLOv6 of the first release: size s, and any other depth and width.

Li et al., arXiv 2209.02976; RepVGG blocks: Ding et al., arXiv 2101.03697. The module names
are those of the published checkpoints.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from lcrp.models.boxes import cells, corners
from lcrp.models.predictions import Detections
from lcrp.models.yolo_family import STRIDES, YOLO, multiples

SIZES = {"yolov6s": (0.33, 0.50)}  # depth and width multiples
BACKBONE_CHANNELS = (64, 128, 256, 512, 1024)
BACKBONE_REPEATS = (6, 12, 18, 6)
NECK_CHANNELS = (256, 128, 128, 256, 256, 512)
NECK_REPEATS = 12
LARGEST_EXPONENT = 20.0  # of a box side in strides: wider ones would overflow


def _batch_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


def _conv_bn(inputs, outputs, kernel, stride):
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))
    block.add_module("bn", _batch_norm(outputs))
    return block


class Conv(nn.Module):
    """Convolution without bias, batch norm, activation."""

    def __init__(self, inputs, outputs, kernel, stride=1, activation=nn.SiLU):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = _batch_norm(outputs)
        self.act = activation(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class SimConv(Conv):
    """The same with ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__(inputs, outputs, kernel, stride, activation=nn.ReLU)


class RepVGGBlock(nn.Module):
    """Sum of a 3x3, a 1x1 and (where shapes allow) an identity branch, each normalised."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.nonlinearity = nn.ReLU(inplace=True)
        if inputs == outputs and stride == 1:
            self.rbr_identity = _batch_norm(inputs)
        else:
            self.rbr_identity = None
        self.rbr_dense = _conv_bn(inputs, outputs, 3, stride)
        self.rbr_1x1 = _conv_bn(inputs, outputs, 1, stride)

    def forward(self, x):
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        if self.rbr_identity is not None:
            y = y + self.rbr_identity(x)
        return self.nonlinearity(y)


class ReparameterisedBlock(nn.Module):
    """A RepVGG block without identity branch as one 3x3 convolution with the same outputs."""

    def __init__(self, block):
        super().__init__()
        self.nonlinearity = block.nonlinearity
        kernel, bias = _folded(block.rbr_dense)
        kernel_1x1, bias_1x1 = _folded(block.rbr_1x1)
        dense = block.rbr_dense.conv
        self.rbr_reparam = nn.Conv2d(
            dense.in_channels, dense.out_channels, 3, dense.stride, dense.padding
        ).to(dense.weight)
        with torch.no_grad():
            self.rbr_reparam.weight.copy_(kernel + F.pad(kernel_1x1, (1, 1, 1, 1)))
            self.rbr_reparam.bias.copy_(bias + bias_1x1)

    def forward(self, x):
        return self.nonlinearity(self.rbr_reparam(x))


def _folded(conv_bn):
    """Kernel and bias, in float64, of a convolution with its batch norm folded in."""
    bn = conv_bn.bn
    factor = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    kernel = conv_bn.conv.weight.double() * factor[:, None, None, None]
    return kernel, bn.bias.double() - bn.running_mean.double() * factor


class RepBlock(nn.Module):
    """A chain of RepVGG blocks."""

    def __init__(self, inputs, outputs, repeats):
        super().__init__()
        self.conv1 = RepVGGBlock(inputs, outputs)
        self.block = nn.Sequential(*(RepVGGBlock(outputs, outputs) for _ in range(repeats - 1)))

    def forward(self, x):
        return self.block(self.conv1(x))


class SimSPPF(nn.Module):
    """Spatial pyramid pooling: a chain of three 5x5 max pools, all four stages mixed."""

    def __init__(self, channels):
        super().__init__()
        hidden = channels // 2
        self.cv1 = SimConv(channels, hidden, 1)
        self.cv2 = SimConv(4 * hidden, channels, 1)
        self.m = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x):
        x = self.cv1(x)
        once = self.m(x)
        twice = self.m(once)
        return self.cv2(torch.cat([x, once, twice, self.m(twice)], dim=1))


class Backbone(nn.Module):
    """Images to features of strides 8, 16, 32."""

    def __init__(self, channels, repeats):
        super().__init__()
        self.stem = RepVGGBlock(3, channels[0], stride=2)
        for index in range(4):
            before, after = channels[index : index + 2]
            stage = [RepVGGBlock(before, after, stride=2), RepBlock(after, after, repeats[index])]
            if index == 3:
                stage.append(SimSPPF(after))
            self.add_module(f"ERBlock_{index + 2}", nn.Sequential(*stage))

    def forward(self, images):
        x = self.ERBlock_2(self.stem(images))
        x8 = self.ERBlock_3(x)
        x16 = self.ERBlock_4(x8)
        return x8, x16, self.ERBlock_5(x16)


class Transpose(nn.Module):
    """Transposed convolution that doubles the size."""

    def __init__(self, channels):
        super().__init__()
        self.upsample_transpose = nn.ConvTranspose2d(channels, channels, 2, 2)

    def forward(self, x):
        return self.upsample_transpose(x)


class Neck(nn.Module):
    """Features of the backbone, mixed upwards and downwards."""

    def __init__(self, backbone, neck, repeats):
        super().__init__()
        c8, c16, c32 = backbone[2:]
        c5, c6, c7, c8_out, c9, c10 = neck
        self.Rep_p4 = RepBlock(c16 + c5, c5, repeats)
        self.Rep_p3 = RepBlock(c8 + c6, c6, repeats)
        self.Rep_n3 = RepBlock(c7 + c6, c8_out, repeats)
        self.Rep_n4 = RepBlock(c9 + c5, c10, repeats)
        self.reduce_layer0 = SimConv(c32, c5, 1)
        self.upsample0 = Transpose(c5)
        self.reduce_layer1 = SimConv(c5, c6, 1)
        self.upsample1 = Transpose(c6)
        self.downsample2 = SimConv(c6, c7, 3, 2)
        self.downsample1 = SimConv(c8_out, c9, 3, 2)

    def forward(self, x8, x16, x32):
        reduced32 = self.reduce_layer0(x32)
        y16 = self.Rep_p4(torch.cat([self.upsample0(reduced32), x16], dim=1))
        reduced16 = self.reduce_layer1(y16)
        out8 = self.Rep_p3(torch.cat([self.upsample1(reduced16), x8], dim=1))
        out16 = self.Rep_n3(torch.cat([self.downsample2(out8), reduced16], dim=1))
        out32 = self.Rep_n4(torch.cat([self.downsample1(out16), reduced32], dim=1))
        return out8, out16, out32


class Detect(nn.Module):
    """Per stride, separate branches for classes and for box and objectness."""

    def __init__(self, channels, classes):
        super().__init__()
        self.cls_convs = nn.ModuleList(Conv(c, c, 3) for c in channels)
        self.reg_convs = nn.ModuleList(Conv(c, c, 3) for c in channels)
        self.cls_preds = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in channels)
        self.reg_preds = nn.ModuleList(nn.Conv2d(c, 4, 1) for c in channels)
        self.obj_preds = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)
        self.stems = nn.ModuleList(Conv(c, c, 1) for c in channels)
        for head in (*self.cls_preds, *self.obj_preds):
            # Few cells hold an object: a training starts from rare ones.
            nn.init.constant_(head.bias, math.log(0.01 / 0.99))

    def forward(self, features):
        outputs = []
        for level, x in enumerate(features):
            x = self.stems[level](x)
            of_box = self.reg_convs[level](x)
            outputs += [
                self.cls_preds[level](self.cls_convs[level](x)),
                self.reg_preds[level](of_box),
                self.obj_preds[level](of_box),
            ]
        return tuple(outputs)


class Network(nn.Module):
    """Images (B, 3, H, W) to raw classes, boxes and objectness for strides 8, 16, 32."""

    def __init__(self, classes, depth, width):
        super().__init__()

        def wide(channels):
            return [math.ceil(width * c / 8) * 8 for c in channels]

        def deep(repeats):
            return max(round(depth * repeats), 1)

        backbone, neck = wide(BACKBONE_CHANNELS), wide(NECK_CHANNELS)
        self.backbone = Backbone(backbone, [deep(repeats) for repeats in BACKBONE_REPEATS])
        self.neck = Neck(backbone, neck, deep(NECK_REPEATS))
        self.detect = Detect((neck[1], neck[3], neck[5]), classes)

    def forward(self, images):
        x8, x16, x32 = self.backbone(images)
        return self.detect(self.neck(x8, x16, x32))


class YOLOv6(YOLO):
    """YOLOv6 with its decoding and the canonical form of its stem."""

    composite = "EpsilonGammaFlat"
    default_layers = (
        "backbone.ERBlock_3.0.rbr_dense.conv",
        "backbone.ERBlock_4.0.rbr_dense.conv",
        "backbone.ERBlock_5.0.rbr_dense.conv",
    )
    example_layer = "backbone.ERBlock_5.0.rbr_dense.conv"

    def __init__(
        self,
        architecture,
        classes,
        *,
        input_size=(640, 640),
        depth=None,
        width=None,
        sides="rounded",
    ):
        """A network without training.

        depth, width: multiples, for the architecture "yolov6" (default: those of size s).
        sides: how the letterbox makes resized sides whole: "rounded", or "truncated" as in
            the training code, which shows one row or column less of some images.
        """
        depth, width, options = multiples(architecture, SIZES, "yolov6s", depth, width)
        network = Network(len(classes), depth, width)
        super().__init__(architecture, network, classes, input_size, options, sides)

    def canonised(self):
        """A copy of the network that is ready to trace, its stem as one 3x3 convolution."""
        network = super().canonised()
        network.backbone.stem = ReparameterisedBlock(network.backbone.stem)
        return network.eval()

    @classmethod
    def class_count(cls, state):
        bias = state.get("detect.cls_preds.0.bias")
        return None if bias is None else len(bias)

    def _levels(self, outputs, threshold):
        return Detections.concatenated(
            [
                self._level(3 * level, *outputs[3 * level : 3 * level + 3], stride, threshold)
                for level, stride in enumerate(STRIDES)
            ]
        )

    def _level(self, index, classes, box, objectness, stride, threshold):
        height, width = classes.shape[-2:]
        area = height * width
        objectness = objectness.float().flatten().sigmoid()
        cell = (objectness > threshold).nonzero()[:, 0]
        box = box.float().flatten(1)[:, cell].T
        centres = (box[:, :2] + cells(height, width, box)[cell]) * stride
        sizes = box[:, 2:].clamp(max=LARGEST_EXPONENT).exp() * stride
        return Detections(
            boxes=corners(centres, sizes),
            scores=classes.float().flatten(1)[:, cell].T.sigmoid(),
            confidence=objectness[cell],
            labels=torch.zeros_like(cell),
            output=torch.full_like(cell, index),
            base=cell,
            stride=torch.full_like(cell, area),
        )
