"""YOLOv8, sizes n to x, and any other depth and width.

Jocher et al. 2023, https://github.com/ultralytics/ultralytics. Written from the published
configuration; the module names are those of the published checkpoints.
"""

from torch import nn

from lcrp.models.anchor_free import AnchorFreeYOLO, Detect, Scale
from lcrp.models.yolo_blocks import SPPF, Bottleneck, C2f, Concat, Conv, Layers

SIZES = {
    "yolov8n": Scale(0.33, 0.25),
    "yolov8s": Scale(0.33, 0.50),
    "yolov8m": Scale(0.67, 0.75, most=768),
    "yolov8l": Scale(1.0, 1.0, most=512),
    "yolov8x": Scale(1.0, 1.25, most=512),
}
SOURCES = {11: (10, 6), 14: (13, 4), 17: (16, 12), 20: (19, 9), 22: (15, 18, 21)}


class Network(Layers):
    """Images (B, 3, H, W) to raw boxes (B, 64, h, w) and class logits (B, C, h, w) per stride."""

    def __init__(self, classes: int, scale: Scale):
        c64, c128, c256, c512, c1024 = (scale.channels(c) for c in (64, 128, 256, 512, 1024))

        def c2f(inputs, outputs, repeats, shortcut=False):
            hidden = outputs // 2
            blocks = [
                Bottleneck(hidden, shortcut, kernels=(3, 3)) for _ in range(scale.repeats(repeats))
            ]
            return C2f(inputs, outputs, hidden, blocks)

        super().__init__(
            [
                Conv(3, c64, 3, 2),
                Conv(c64, c128, 3, 2),
                c2f(c128, c128, 3, shortcut=True),
                Conv(c128, c256, 3, 2),
                c2f(c256, c256, 6, shortcut=True),
                Conv(c256, c512, 3, 2),
                c2f(c512, c512, 6, shortcut=True),
                Conv(c512, c1024, 3, 2),
                c2f(c1024, c1024, 3, shortcut=True),
                SPPF(c1024),
                nn.Upsample(scale_factor=2, mode="nearest"),
                Concat(),
                c2f(c1024 + c512, c512, 3),
                nn.Upsample(scale_factor=2, mode="nearest"),
                Concat(),
                c2f(c512 + c256, c256, 3),
                Conv(c256, c256, 3, 2),
                Concat(),
                c2f(c256 + c512, c512, 3),
                Conv(c512, c512, 3, 2),
                Concat(),
                c2f(c512 + c1024, c1024, 3),
                Detect((c256, c512, c1024), classes, depthwise=False),
            ],
            SOURCES,
        )


class YOLOv8(AnchorFreeYOLO):
    """YOLOv8 with its decoding."""

    sizes = SIZES
    usual = "yolov8n"
    built = Network
    head = "model.22"
    # The three inputs of the head, through one of which all relevance passes, and the end of the
    # backbone.
    default_layers = (
        "model.9.cv2.conv", "model.15.cv2.conv", "model.18.cv2.conv", "model.21.cv2.conv",
    )  # fmt: skip
    example_layer = "model.9.cv2.conv"
