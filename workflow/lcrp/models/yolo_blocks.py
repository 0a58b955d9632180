"""The blocks that the YOLO networks are made of, from release 5 on.

Written from the published configuration files; the module names are those of the published
checkpoints.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

EPS = 1e-3


class Conv(nn.Module):
    """Convolution without bias, batch norm, SiLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int | None = None,
        *,
        depthwise: bool = False,
        activation: bool = True,
    ):
        """A block without training.

        Args:
            inputs, outputs: channels.
            padding: by default half of the kernel.
            depthwise: whether every channel is convolved alone.
            activation: whether there is the SiLU.
        """
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS, momentum=0.03)
        self.act = nn.SiLU(inplace=True) if activation else nn.Identity()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Two convolutions; plus the input where there is a shortcut."""

    def __init__(
        self,
        channels: int,
        shortcut: bool,
        *,
        kernels: tuple[int, int] = (1, 3),
        hidden: int | None = None,
    ):
        """A block without training; `hidden` are the channels between, by default all."""
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

    def __init__(
        self,
        inputs: int,
        outputs: int,
        repeats: int,
        shortcut: bool = True,
        kernels: tuple[int, int] = (1, 3),
    ):
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
    """Two halves, blocks in a row on the second one; halves and what each block makes, mixed."""

    def __init__(self, inputs: int, outputs: int, hidden: int, blocks: Sequence[nn.Module]):
        """A block without training; `blocks` go from `hidden` channels to as many."""
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

    def __init__(self, channels: int, *, activation: bool = True, shortcut: bool = False):
        """A block without training.

        Args:
            activation: whether there is one before the pools.
            shortcut: whether the input is added to the output.
        """
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
    """A network as a list of layers, each on the one before."""

    def __init__(self, layers: Sequence[nn.Module], sources: Mapping[int, Sequence[int]]):
        """A network of these layers; `sources` are the layers that one reads instead."""
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


def rounded_up(channels: float) -> int:
    """The next multiple of 8."""
    return math.ceil(channels / 8) * 8


def repeated(depth: float, repeats: int) -> int:
    """How often a block is repeated under a depth multiple."""
    return max(round(depth * repeats), 1)


def with_batch_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
