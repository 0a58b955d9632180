"""YOLO11, sizes n to x, and any other depth and width.

Jocher et al. 2024, https://github.com/ultralytics/ultralytics. Written from the published
configuration; the module names are those of the published checkpoints.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from lcrp.models.anchor_free import AnchorFreeYOLO, Detect, Scale
from lcrp.models.yolo_blocks import C3, SPPF, Bottleneck, C2f, Concat, Conv, Layers

SIZES = {
    "yolo11n": Scale(0.5, 0.25),
    "yolo11s": Scale(0.5, 0.50),
    "yolo11m": Scale(0.5, 1.0, most=512, large=True),
    "yolo11l": Scale(1.0, 1.0, most=512, large=True),
    "yolo11x": Scale(1.0, 1.5, most=512, large=True),
}
SOURCES = {12: (11, 6), 15: (14, 4), 18: (17, 13), 21: (20, 10), 23: (16, 19, 22)}
HEAD_CHANNELS = 64


class Attention(nn.Module):
    """Self-attention over the positions of a map, plus a depthwise convolution of the values.

    Every head has queries and keys of half the size of its values.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.heads = max(channels // HEAD_CHANNELS, 1)
        self.values = channels // self.heads
        self.keys = self.values // 2
        self.qkv = Conv(channels, channels + 2 * self.heads * self.keys, activation=False)
        self.proj = Conv(channels, channels, activation=False)
        self.pe = Conv(channels, channels, 3, depthwise=True, activation=False)

    def forward(self, x):
        parts = self.qkv(x).flatten(2).unflatten(1, (self.heads, -1))
        q, k, v = parts.split((self.keys, self.keys, self.values), dim=2)
        weights = (q.transpose(2, 3) @ k * self.keys**-0.5).softmax(dim=-1)
        mixed = (v @ weights.transpose(2, 3)).reshape(x.shape)
        return self.proj(mixed + self.pe(v.reshape(x.shape)))


class PSABlock(nn.Module):
    """Attention, then two 1x1 convolutions, each added to what it reads."""

    def __init__(self, channels: int):
        super().__init__()
        self.attn = Attention(channels)
        self.ffn = nn.Sequential(
            Conv(channels, 2 * channels), Conv(2 * channels, channels, activation=False)
        )

    def forward(self, x):
        x = x + self.attn(x)
        return x + self.ffn(x)


class C2PSA(nn.Module):
    """Two halves, the second one through attention, then mixed."""

    def __init__(self, channels: int, repeats: int):
        super().__init__()
        hidden = channels // 2
        self.cv1 = Conv(channels, 2 * hidden)
        self.cv2 = Conv(2 * hidden, channels)
        self.m = nn.Sequential(*(PSABlock(hidden) for _ in range(repeats)))

    def forward(self, x):
        first, second = self.cv1(x).chunk(2, dim=1)
        return self.cv2(torch.cat([first, self.m(second)], dim=1))


def c3k2(inputs: int, outputs: int, repeats: int, *, nested: bool, share: float = 0.5) -> C2f:
    """C2f on small blocks.

    Args:
        inputs, outputs: channels.
        repeats: how many blocks.
        nested: whether they are C3 blocks of two 3x3 bottlenecks, or bottlenecks.
        share: of the outputs that each half has.
    """
    hidden = int(outputs * share)

    def block():
        if nested:
            return C3(hidden, hidden, 2, kernels=(3, 3))
        return Bottleneck(hidden, True, kernels=(3, 3), hidden=hidden // 2)

    return C2f(inputs, outputs, hidden, [block() for _ in range(repeats)])


def pyramid(
    scale: Scale,
    *,
    nested: bool,
    pooling: Callable[[int], nn.Module],
    last: Callable[[int, int], nn.Module],
    head: Callable[[tuple[int, int, int]], nn.Module],
) -> list[nn.Module]:
    """The layers of YOLO11 and of its successor, around those in which they differ.

    Args:
        scale: of the network.
        nested: whether the blocks of the neck are, see `c3k2`.
        pooling: makes the layer at the end of the backbone, of its channels.
        last: makes the last block before the head, of its inputs and outputs.
        head: makes the head, of the channels of its inputs.
    """
    c64, c128, c256, c512, c1024 = (scale.channels(c) for c in (64, 128, 256, 512, 1024))
    large, twice = scale.large, scale.repeats(2)
    return [
        Conv(3, c64, 3, 2),
        Conv(c64, c128, 3, 2),
        c3k2(c128, c256, twice, nested=large, share=0.25),
        Conv(c256, c256, 3, 2),
        c3k2(c256, c512, twice, nested=large, share=0.25),
        Conv(c512, c512, 3, 2),
        c3k2(c512, c512, twice, nested=True),
        Conv(c512, c1024, 3, 2),
        c3k2(c1024, c1024, twice, nested=True),
        pooling(c1024),
        C2PSA(c1024, twice),
        nn.Upsample(scale_factor=2, mode="nearest"),
        Concat(),
        c3k2(c1024 + c512, c512, twice, nested=nested),
        nn.Upsample(scale_factor=2, mode="nearest"),
        Concat(),
        c3k2(2 * c512, c256, twice, nested=nested),
        Conv(c256, c256, 3, 2),
        Concat(),
        c3k2(c256 + c512, c512, twice, nested=nested),
        Conv(c512, c512, 3, 2),
        Concat(),
        last(c512 + c1024, c1024),
        head((c256, c512, c1024)),
    ]


class Network(Layers):
    """Images (B, 3, H, W) to raw boxes (B, 64, h, w) and class logits (B, C, h, w) per stride."""

    def __init__(self, classes: int, scale: Scale):
        layers = pyramid(
            scale,
            nested=scale.large,
            pooling=SPPF,
            last=partial(c3k2, repeats=scale.repeats(2), nested=True),
            head=partial(Detect, classes=classes, depthwise=True),
        )
        super().__init__(layers, SOURCES)


class YOLO11(AnchorFreeYOLO):
    """YOLO11 with its decoding."""

    sizes = SIZES
    usual = "yolo11n"
    built = Network
    head = "model.23"
    # The three inputs of the head, through one of which all relevance passes, and the end of the
    # backbone.
    default_layers = (
        "model.10.cv2.conv", "model.16.cv2.conv", "model.19.cv2.conv", "model.22.cv2.conv",
    )  # fmt: skip
    example_layer = "model.10.cv2.conv"
