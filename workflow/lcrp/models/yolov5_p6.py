"""YOLOv5 for large images (P6): a fourth stride of 64. Release 6.0, sizes n to x.

Jocher et al., https://doi.org/10.5281/zenodo.3908559. The module names are those of the
published checkpoints.
"""

from torch import nn

from lcrp.models.yolo_blocks import C3, SPPF, Concat, Conv, Layers, repeated, rounded_up
from lcrp.models.yolov5 import SIZES as SIZES_OF_P5
from lcrp.models.yolov5 import Detect, YOLOv5

SIZES = {f"{name}6": multiples for name, multiples in SIZES_OF_P5.items()}
STRIDES = (8, 16, 32, 64)
ANCHORS = (  # width and height in pixels, three per stride
    ((19, 27), (44, 40), (38, 94)),
    ((96, 68), (86, 152), (180, 137)),
    ((140, 301), (303, 264), (238, 542)),
    ((436, 615), (739, 380), (925, 792)),
)
SOURCES = {
    **{14: (13, 8), 18: (17, 6), 22: (21, 4), 25: (24, 20), 28: (27, 16), 31: (30, 12)},
    33: (23, 26, 29, 32),
}


class Network(Layers):
    """Images (B, 3, H, W) to four raw outputs (B, 3 * (5 + classes), H / stride, W / stride)."""

    def __init__(self, classes, depth, width, anchors):
        channels = (64, 128, 256, 512, 768, 1024)
        c64, c128, c256, c512, c768, c1024 = (rounded_up(width * c) for c in channels)
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
                Conv(c512, c768, 3, 2),
                C3(c768, c768, n3),
                Conv(c768, c1024, 3, 2),
                C3(c1024, c1024, n3),
                SPPF(c1024),
                Conv(c1024, c768),
                nn.Upsample(scale_factor=2, mode="nearest"),
                Concat(),
                C3(2 * c768, c768, n3, shortcut=False),
                Conv(c768, c512),
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
                C3(2 * c512, c768, n3, shortcut=False),
                Conv(c768, c768, 3, 2),
                Concat(),
                C3(2 * c768, c1024, n3, shortcut=False),
                Detect((c256, c512, c768, c1024), classes, anchors, STRIDES),
            ],
            SOURCES,
        )


class YOLOv5P6(YOLOv5):
    """YOLOv5 of four strides with its decoding."""

    sizes = SIZES
    usual = "yolov5n6"
    built = Network
    strides = STRIDES
    anchors = ANCHORS
    head = "model.33"
    side_multiple = 64
    # The four inputs of the head, through one of which all relevance passes, and the end of the
    # backbone.
    default_layers = (
        "model.11.cv2.conv", "model.23.cv3.conv", "model.26.cv3.conv", "model.29.cv3.conv",
        "model.32.cv3.conv",
    )  # fmt: skip
    example_layer = "model.11.cv2.conv"

    def __init__(self, architecture, classes, *, input_size=(1280, 1280), anchors=None,
                 sides="rounded"):  # fmt: skip
        """A network without training; see `YOLOv5`, whose depth and width are fixed here."""
        super().__init__(architecture, classes, input_size=input_size, anchors=anchors, sides=sides)
