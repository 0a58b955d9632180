"""A small convolutional encoder for segmentation_models_pytorch, of any width.

Each stage is two times 3x3 convolution, batch norm and ReLU; the first works at full
resolution, and every further one starts with a 2x2 max pool.
"""

from collections import OrderedDict

from segmentation_models_pytorch.encoders import encoders
from segmentation_models_pytorch.encoders._base import EncoderMixin
from torch import nn

from lcrp.errors import InputError

CHANNELS = (12, 24, 48, 64)


class NarrowEncoder(nn.Module, EncoderMixin):
    """Images (B, 3, H, W) to one feature map per stage, each of half the size of the last."""

    def __init__(self, channels, depth, output_stride=32):
        super().__init__()
        self._depth = depth
        self._in_channels = 3
        self._out_channels = list(channels)
        self._output_stride = output_stride
        inputs = (3, *channels[:-1])
        self.stages = nn.ModuleList(
            _stage(before, after, pooled=index > 0)
            for index, (before, after) in enumerate(zip(inputs, channels, strict=True))
        )

    def make_dilated(self, output_stride):
        raise ValueError("the narrow encoder pools, and does not support dilation")

    def forward(self, images):
        features = []
        x = images
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _stage(inputs, outputs, pooled):
    layers = OrderedDict()
    if pooled:
        layers["pool"] = nn.MaxPool2d(2)
    for index, before in enumerate((inputs, outputs), start=1):
        layers[f"conv{index}"] = nn.Conv2d(before, outputs, 3, padding=1, bias=False)
        layers[f"bn{index}"] = nn.BatchNorm2d(outputs)
        layers[f"relu{index}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def register(channels):
    """Make an encoder with these channels per stage known to segmentation_models_pytorch.

    Returns the name that `get_encoder` knows it by.
    """
    channels = tuple(channels)
    if len(channels) < 2 or any(not isinstance(c, int) or c < 1 for c in channels):
        raise InputError(
            f"encoder_channels: {list(channels)} is no list of channels per stage; "
            f"give two or more positive whole numbers, such as {list(CHANNELS)}"
        )
    name = "narrow-" + "-".join(str(c) for c in channels)
    encoders[name] = {
        "encoder": NarrowEncoder,
        "params": {"channels": channels},
        "pretrained_settings": {},
    }
    return name
