"""UNet as segmentation_models_pytorch builds it; published with a VGG-13 encoder.

Ronneberger et al., arXiv 1505.04597; Iakubovskii, segmentation_models_pytorch.
"""

import segmentation_models_pytorch as smp
from torch import nn

from lcrp.errors import InputError
from lcrp.models import class_names, narrow_encoder
from lcrp.models.base import SegmentationModel
from lcrp.models.preprocessing import IMAGENET, stretch

PUBLISHED_LAYERS = (
    "encoder.features.0",
    "encoder.features.5",
    "encoder.features.10",
    "encoder.features.15",
)


class Network(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes, H, W)."""

    def __init__(self, unet):
        super().__init__()
        self.encoder = unet.encoder
        self.decoder = unet.decoder
        self.segmentation_head = unet.segmentation_head

    def forward(self, images):
        return (self.segmentation_head(self.decoder(self.encoder(images))),)


class UNet(SegmentationModel):
    """UNet with an encoder of segmentation_models_pytorch or the narrow one."""

    default_classes = class_names.CITYSCAPES
    fit = staticmethod(stretch)
    pixels = IMAGENET

    def __init__(
        self,
        architecture,
        classes,
        *,
        input_size=(256, 512),
        encoder="vgg13",
        encoder_channels=None,
        decoder_channels=None,
    ):
        """A network without training.

        encoder: "narrow" or a name that segmentation_models_pytorch knows.
        encoder_channels: channels per stage of the narrow encoder (default 12, 24, 48, 64).
        decoder_channels: channels per decoder block, deepest first.
        """
        options = {"encoder": encoder}
        if encoder == "narrow":
            channels = narrow_encoder.CHANNELS if encoder_channels is None else encoder_channels
            options["encoder_channels"] = list(channels)
            encoder = narrow_encoder.register(channels)
            depth = len(channels) - 1
            usual = channels[-2::-1]
        elif encoder_channels is not None:
            raise InputError(
                f'encoder_channels: the encoder "{encoder}" has channels of its own; '
                f'leave it out, or use the encoder "narrow"'
            )
        else:
            depth = 5
            usual = (256, 128, 64, 32, 16)
        options["decoder_channels"] = list(usual if decoder_channels is None else decoder_channels)
        try:
            unet = smp.Unet(
                encoder,
                encoder_depth=depth,
                encoder_weights=None,
                decoder_channels=options["decoder_channels"],
                classes=len(classes),
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"unet: {error.args[0]}; change the options of the model") from error
        network = Network(unet)
        super().__init__(architecture, network, classes, input_size, options)
        self.default_layers = (
            PUBLISHED_LAYERS if encoder == "vgg13" else _last_of_stages(network.encoder)
        )
        self.example_layer = self.default_layers[-1]

    @classmethod
    def class_count(cls, state):
        bias = state.get("segmentation_head.0.bias")
        return None if bias is None else len(bias)


def _last_of_stages(encoder):
    """Names of the last convolution at each width of an encoder, from shallow to deep."""
    last = {}
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            last[module.out_channels] = f"encoder.{name}"
    return tuple(last.values())
