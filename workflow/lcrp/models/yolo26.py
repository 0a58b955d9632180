"""YOLO26, sizes n to x, and any other depth and width: one box per object without suppression.

Jocher et al. 2026, https://github.com/ultralytics/ultralytics. Written from the published
configuration; the module names are those of the published checkpoints, whose heads for training
(`cv2`, `cv3`) are left out.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from lcrp.models.anchor_free import Scale, box_branches, by_level, class_branches
from lcrp.models.boxes import ranked
from lcrp.models.yolo11 import SOURCES, YOLO11, PSABlock, pyramid
from lcrp.models.yolo_blocks import SPPF, Bottleneck, C2f, Layers

SIZES = {
    "yolo26n": Scale(0.5, 0.25),
    "yolo26s": Scale(0.5, 0.50),
    "yolo26m": Scale(0.5, 1.0, most=512, large=True),
    "yolo26l": Scale(1.0, 1.0, most=512, large=True),
    "yolo26x": Scale(1.0, 1.5, most=512, large=True),
}
FOR_TRAINING = ("model.23.cv2.", "model.23.cv3.")


class OneToOne(nn.Module):
    """Per level, the four distances to the sides of the boxes, and the class logits."""

    def __init__(self, channels: Sequence[int], classes: int):
        super().__init__()
        self.one2one_cv2 = box_branches(channels, bins=1)
        self.one2one_cv3 = class_branches(channels, classes, depthwise=True)

    def forward(self, features):
        return by_level(features, self.one2one_cv2, self.one2one_cv3)

    def distances(self, raw: Tensor) -> Tensor:
        """Left, top, right, bottom (4, n) in cells: the raw boxes themselves."""
        return raw


def attending(inputs: int, outputs: int) -> C2f:
    """C2f on one block: a bottleneck, then attention."""
    hidden = outputs // 2
    block = nn.Sequential(
        Bottleneck(hidden, True, kernels=(3, 3), hidden=hidden // 2), PSABlock(hidden)
    )
    return C2f(inputs, outputs, hidden, [block])


class Network(Layers):
    """Images (B, 3, H, W) to raw boxes (B, 4, h, w) and class logits (B, C, h, w) per stride."""

    def __init__(self, classes: int, scale: Scale):
        layers = pyramid(
            scale,
            nested=True,
            pooling=partial(SPPF, activation=False, shortcut=True),
            last=attending,
            head=partial(OneToOne, classes=classes),
        )
        super().__init__(layers, SOURCES)


class YOLO26(YOLO11):
    """YOLO26 with its decoding."""

    sizes = SIZES
    usual = "yolo26n"
    built = Network
    class_branch = "one2one_cv3"

    @classmethod
    def adapted(cls, state):
        kept = {key: value for key, value in state.items() if not key.startswith(FOR_TRAINING)}
        return super().adapted(kept)

    def _kept(self, found, rule):
        return ranked(found.confidence, rule.most)
