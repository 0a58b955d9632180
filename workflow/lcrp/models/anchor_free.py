"""What the YOLO models without anchors share: their heads, and how boxes are read off them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lcrp.models.base import Suppression
from lcrp.models.boxes import cells
from lcrp.models.predictions import Detections
from lcrp.models.yolo_blocks import Conv, repeated, rounded_up, with_batch_norms
from lcrp.models.yolo_family import STRIDES, YOLO, multiples

BINS = 16


class Scale(NamedTuple):
    """How large a network of a family is.

    Attributes:
        depth, width: multiples of repeats and channels.
        most: channels are no more than that before they are multiplied.
        large: whether every C3k2 block holds C3 blocks.
    """

    depth: float
    width: float
    most: int = 1024
    large: bool = False

    def channels(self, count: int) -> int:
        """The channels of a layer that has `count` at full width."""
        return rounded_up(min(count, self.most) * self.width)

    def repeats(self, count: int) -> int:
        """The repeats of a block that has `count` at full depth."""
        return repeated(self.depth, count)


def box_branches(channels: Sequence[int], bins: int = BINS) -> nn.ModuleList:
    """Per level, two 3x3 convolutions and one to `bins` numbers for each side of the box."""
    hidden = max(16, channels[0] // 4, 4 * bins)
    return nn.ModuleList(
        nn.Sequential(Conv(c, hidden, 3), Conv(hidden, hidden, 3), nn.Conv2d(hidden, 4 * bins, 1))
        for c in channels
    )


def class_branches(channels: Sequence[int], classes: int, *, depthwise: bool) -> nn.ModuleList:
    """Per level, two 3x3 convolutions and one to the class logits.

    Args:
        channels: of the features of each level.
        classes: how many there are.
        depthwise: whether each 3x3 convolution is a depthwise one and a 1x1 one.
    """
    hidden = max(channels[0], min(classes, 100))

    def mixing(inputs):
        if not depthwise:
            return Conv(inputs, hidden, 3)
        return nn.Sequential(Conv(inputs, inputs, 3, depthwise=True), Conv(inputs, hidden))

    branches = nn.ModuleList(
        nn.Sequential(mixing(c), mixing(hidden), nn.Conv2d(hidden, classes, 1)) for c in channels
    )
    for branch in branches:
        # Few cells hold an object: a training starts from rare ones.
        nn.init.constant_(branch[-1].bias, math.log(0.01 / 0.99))
    return branches


def by_level(
    features: Iterable[Tensor], boxes: nn.ModuleList, classes: nn.ModuleList
) -> tuple[Tensor, ...]:
    """Raw boxes and class logits of every level in turn, of the branches given."""
    levels = zip(features, boxes, classes, strict=True)
    return tuple(output for x, box, of_class in levels for output in (box(x), of_class(x)))


class ExpectedBin(nn.Module):
    """The distance that a distribution over bins stands for (Li et al., arXiv 2006.04388).

    The bins' distances lie in a convolution in published files. No part of the network's own
    function: boxes are read off its outputs.
    """

    def __init__(self, bins: int = BINS):
        super().__init__()
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
        self.conv.weight.data = torch.arange(float(bins)).view(1, bins, 1, 1)

    def forward(self, raw):
        """Raw (4 * bins, n) to (4, n)."""
        distances = self.conv.weight.view(1, -1, 1).to(raw)
        return (raw.view(4, distances.shape[1], -1).softmax(dim=1) * distances).sum(dim=1)


class Detect(nn.Module):
    """Per level, the sides of the boxes as distributions over bins, and the class logits."""

    def __init__(self, channels: Sequence[int], classes: int, *, depthwise: bool):
        super().__init__()
        self.cv2 = box_branches(channels)
        self.cv3 = class_branches(channels, classes, depthwise=depthwise)
        self.dfl = ExpectedBin()

    def forward(self, features):
        return by_level(features, self.cv2, self.cv3)

    def distances(self, raw: Tensor) -> Tensor:
        """Left, top, right, bottom (4, n) in cells of raw boxes (4 * bins, n)."""
        return self.dfl(raw)


class AnchorFreeYOLO(YOLO):
    """A YOLO model whose boxes have class scores alone, one box per cell.

    Attributes:
        sizes: {architecture: Scale} of the published ones.
        usual: the one that a network of other multiples starts from.
        built: makes the network of (count of classes, Scale).
        head, class_branch: where its head and the branches of the classes are.
    """

    sizes: Mapping[str, Scale]
    usual: str
    built: Callable[[int, Scale], nn.Module]
    head: str
    class_branch = "cv3"
    evaluation = Suppression(confidence=0.001, iou=0.7, most=300)

    def __init__(
        self,
        architecture: str,
        classes: Sequence[str],
        *,
        input_size: Sequence[int] = (640, 640),
        depth: float | None = None,
        width: float | None = None,
        sides: str = "rounded",
    ):
        """A network without training.

        Args:
            depth, width: multiples, for the name of the family without a size; by default those
                of size n.
            sides: how the letterbox makes resized sides whole: "rounded" as the publisher's, or
                "truncated".
        """
        depth, width, options = multiples(architecture, self.sizes, self.usual, depth, width)
        scale = self.sizes.get(architecture, Scale(depth, width))
        network = self.built(len(classes), scale)
        super().__init__(architecture, network, classes, input_size, options, sides)

    @classmethod
    def adapted(cls, state):
        if any(key.startswith(f"{cls.head}.proto.") for key in state):
            # A network for instance masks (-seg): this detector, and more beside its heads.
            masks = tuple(f"{cls.head}.{part}." for part in ("proto", "cv4", "one2one_cv4"))
            state = {key: value for key, value in state.items() if not key.startswith(masks)}
        return with_batch_norms(state)

    @classmethod
    def class_count(cls, state):
        bias = state.get(f"{cls.head}.{cls.class_branch}.0.2.bias")
        return None if bias is None else len(bias)

    def _levels(self, outputs, threshold):
        return Detections.concatenated(
            [
                self._level(2 * level, *outputs[2 * level : 2 * level + 2], stride, threshold)
                for level, stride in enumerate(STRIDES)
            ]
        )

    def _level(self, index, box, classes, stride, threshold):
        height, width = classes.shape[-2:]
        area = height * width
        scores = classes.float().flatten(1).sigmoid()
        cell = (scores.amax(dim=0) > threshold).nonzero()[:, 0]
        box = box.float().flatten(1)[:, cell]
        left_top, right_bottom = self.network.model[-1].distances(box).T.split(2, dim=1)
        centres = cells(height, width, box)[cell] + 0.5
        return Detections(
            boxes=torch.cat([centres - left_top, centres + right_bottom], dim=1) * stride,
            scores=scores[:, cell].T,
            confidence=torch.ones_like(cell, dtype=box.dtype),
            labels=torch.zeros_like(cell),
            output=torch.full_like(cell, index + 1),
            base=cell,
            stride=torch.full_like(cell, area),
        )
