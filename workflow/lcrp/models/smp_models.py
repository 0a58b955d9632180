"""The networks of segmentation_models_pytorch, with its encoders or the narrow one.

Iakubovskii, segmentation_models_pytorch; UNet++: Zhou et al., arXiv 1807.10165; LinkNet:
Chaurasia et al., arXiv 1707.03718; FPN: Kirillov et al., arXiv 1901.02446; DeepLabV3+: Chen
et al., arXiv 1802.02611.
"""

import segmentation_models_pytorch as smp
from torch import nn

from lcrp.errors import InputError
from lcrp.models import narrow_encoder
from lcrp.models.base import SegmentationModel, spread_layers
from lcrp.models.preprocessing import IMAGENET, stretch

BUILDERS = {
    "unet": smp.Unet,
    "smp_unetplusplus": smp.UnetPlusPlus,
    "smp_linknet": smp.Linknet,
    "smp_fpn": smp.FPN,
    "smp_deeplabv3plus": smp.DeepLabV3Plus,
}
WITH_DECODER_CHANNELS = ("unet", "smp_unetplusplus")


class Network(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes, H, W)."""

    def __init__(self, built):
        super().__init__()
        self.encoder = built.encoder
        self.decoder = built.decoder
        self.segmentation_head = built.segmentation_head

    def forward(self, images):
        return (self.segmentation_head(self.decoder(self.encoder(images))),)


class Sum(nn.Module):
    """The sum of several feature maps, one addition after the other."""

    def forward(self, features):
        total = features[0]
        for feature in features[1:]:
            total = total + feature
        return total


class LinknetDecoder(nn.Module):
    """LinkNet's decoder, told beforehand where a skip connection joins.

    The library's own asks each feature map for its width, which tracing cannot answer.
    """

    def __init__(self, decoder, skips):
        super().__init__()
        self.blocks = decoder.blocks
        self.skips = skips

    def forward(self, features):
        *skips, x = features[1:]
        for block, joins in zip(self.blocks, self.skips, strict=True):
            x = block.block(x)
            skip = skips.pop() if skips else None
            x = x + skip if joins else x
        return x


class SMPModel(SegmentationModel):
    """A network of segmentation_models_pytorch."""

    fit = staticmethod(stretch)
    pixels = IMAGENET
    side_multiple = 32

    def __init__(
        self,
        architecture,
        classes,
        *,
        input_size=(256, 256),
        encoder="resnet34",
        encoder_channels=None,
        decoder_channels=None,
    ):
        """A network without training.

        encoder: "narrow" or a name that segmentation_models_pytorch knows.
        encoder_channels: channels per stage of the narrow encoder (default 12, 24, 48, 64).
        decoder_channels: channels per decoder block, deepest first (UNet and UNet++).
        """
        options = {"encoder": encoder}
        settings = {}
        if encoder == "narrow":
            channels = narrow_encoder.CHANNELS if encoder_channels is None else encoder_channels
            options["encoder_channels"] = list(channels)
            encoder = narrow_encoder.register(channels)
            settings["encoder_depth"] = depth = len(channels) - 1
            if architecture == "smp_fpn":
                settings["upsampling"] = 2 ** max(0, depth - 3)
            usual = channels[-2::-1]
        elif encoder_channels is not None:
            raise InputError(
                f'encoder_channels: the encoder "{encoder}" has channels of its own; '
                f'leave it out, or use the encoder "narrow"'
            )
        else:
            usual = (256, 128, 64, 32, 16)
        if architecture in WITH_DECODER_CHANNELS:
            decoder_channels = list(usual if decoder_channels is None else decoder_channels)
            settings["decoder_channels"] = options["decoder_channels"] = decoder_channels
        elif decoder_channels is not None:
            raise InputError(f"decoder_channels: {architecture} has no such option; leave it out")
        network = Network(_built(architecture, encoder, len(classes), settings))
        super().__init__(architecture, network, classes, input_size, options)
        self.default_layers = self._layers()
        self.example_layer = self.default_layers[-1]

    def canonised(self):
        """A copy of the network that is ready to trace, all sums as plain additions."""
        network = super().canonised()
        if self.architecture == "smp_fpn":
            network.decoder.merge = Sum()
        elif self.architecture == "smp_linknet":
            shallower = network.encoder.out_channels[-2:0:-1]
            skips = [channels > 0 for channels in shallower] + [False]
            network.decoder = LinknetDecoder(network.decoder, skips)
        return network.eval()

    @classmethod
    def class_count(cls, state):
        bias = state.get("segmentation_head.0.bias")
        return None if bias is None else len(bias)

    def _layers(self):
        return spread_layers(self.network.encoder, "encoder", self.input_size)


def _built(architecture, encoder, classes, settings):
    try:
        return BUILDERS[architecture](encoder, encoder_weights=None, classes=classes, **settings)
    except (KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(
            f"{architecture} with encoder {encoder}: {reason}; change the options of the model"
        ) from error
