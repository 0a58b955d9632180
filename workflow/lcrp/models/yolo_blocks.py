"""The blocks that the YOLO networks are made of, from release 5 on.

Written from the published configuration files; the module names are those of the published
checkpoints.
"""

import math

import torch
from torch import nn

EPS = 1e-3


class Conv(nn.Module):
    """Convolution without bias, batch norm, SiLU.

    depthwise: every channel alone. activation: whether there is the SiLU.
    """

    def __init__(
        self, inputs, outputs, kernel=1, stride=1, padding=None, *, depthwise=False, activation=True
    ):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS, momentum=0.03)
        self.act = nn.SiLU(inplace=True) if activation else nn.Identity()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Two convolutions, `hidden` channels between them; plus the input where there is a shortcut.

    hidden: as many as there are channels where it is not given.
    """

    def __init__(self, channels, shortcut, *, kernels=(1, 3), hidden=None):
        super().__init__()
        hidden = channels if hidden is None else hidden
        self.cv1 = Conv(channels, hidden, kernels[0])
        self.cv2 = Conv(hidden, channels, kernels[1])
        self.shortcut = shortcut

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Half of the channels through bottlenecks, half past them, then mixed."""

    def __init__(self, inputs, outputs, repeats, shortcut=True, kernels=(1, 3)):
        super().__init__()
        hidden = outputs // 2
        self.cv1 = Conv(inputs, hidden)
        self.cv2 = Conv(inputs, hidden)
        self.cv3 = Conv(2 * hidden, outputs)
        blocks = (Bottleneck(hidden, shortcut, kernels=kernels) for _ in range(repeats))
        self.m = nn.Sequential(*blocks)

    def forward(self, x):
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


class C2f(nn.Module):
    """Two halves, blocks in a row on the second one; halves and what each block makes, mixed.

    blocks: modules from `hidden` channels to `hidden` channels.
    """

    def __init__(self, inputs, outputs, hidden, blocks):
        super().__init__()
        self.cv1 = Conv(inputs, 2 * hidden)
        self.cv2 = Conv((2 + len(blocks)) * hidden, outputs)
        self.m = nn.ModuleList(blocks)

    def forward(self, x):
        first, second = self.cv1(x).chunk(2, dim=1)
        stages = [first, second]
        for block in self.m:
            stages.append(block(stages[-1]))
        return self.cv2(torch.cat(stages, dim=1))


class SPPF(nn.Module):
    """Spatial pyramid pooling: a chain of three 5x5 max pools, all four stages mixed."""

    def __init__(self, channels, *, activation=True, shortcut=False):
        super().__init__()
        hidden = channels // 2
        self.cv1 = Conv(channels, hidden, activation=activation)
        self.cv2 = Conv(4 * hidden, channels)
        self.m = nn.MaxPool2d(5, stride=1, padding=2)
        self.shortcut = shortcut

    def forward(self, x):
        start = self.cv1(x)
        once = self.m(start)
        twice = self.m(once)
        y = self.cv2(torch.cat([start, once, twice, self.m(twice)], dim=1))
        return x + y if self.shortcut else y


class Concat(nn.Module):
    """Concatenation of channels, at its place in the list of layers."""

    def forward(self, features):
        return torch.cat(features, dim=1)


class Layers(nn.Module):
    """A network as a list of layers, each on the one before.

    sources: {layer: those that it reads instead}.
    """

    def __init__(self, layers, sources):
        super().__init__()
        self.model = nn.ModuleList(layers)
        self.sources = sources

    def forward(self, images):
        features = []
        x = images
        for index, layer in enumerate(self.model):
            if index in self.sources:
                x = [features[source] for source in self.sources[index]]
            x = layer(x)
            features.append(x)
        return x


def rounded_up(channels):
    """The next multiple of 8."""
    return math.ceil(channels / 8) * 8


def repeated(depth, repeats):
    """How often a block is repeated under a depth multiple."""
    return max(round(depth * repeats), 1)


def with_batch_norms(state):
    """State dict with a batch norm for every `conv` whose own was folded into weight and bias.

    These batch norms carry the bias and scale by one. Their variance is what leaves 1 with the
    eps, so that merging them again gives the very same weights.
    """
    unfolded = {}
    for key, value in state.items():
        place = key.removesuffix("conv.bias")
        norm = f"{place}bn."
        if not key.endswith(".conv.bias") or f"{norm}weight" in state:
            unfolded[key] = value
            continue
        unfolded[f"{norm}weight"] = torch.ones_like(value)
        unfolded[f"{norm}bias"] = value
        unfolded[f"{norm}running_mean"] = torch.zeros_like(value)
        unfolded[f"{norm}running_var"] = torch.full_like(value, 1 - EPS)
    return unfolded
