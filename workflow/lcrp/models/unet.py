"""UNet as segmentation_models_pytorch builds it; published with a VGG-13 encoder.

Ronneberger et al., arXiv 1505.04597.
"""

from lcrp.models import class_names
from lcrp.models.smp_models import SMPModel

PUBLISHED_LAYERS = (
    "encoder.features.0",
    "encoder.features.5",
    "encoder.features.10",
    "encoder.features.15",
)


class UNet(SMPModel):
    """UNet with an encoder of segmentation_models_pytorch or the narrow one."""

    default_classes = class_names.CITYSCAPES
    side_multiple = 1  # the decoder resizes to the encoder's maps, whatever their size

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
        """A network without training; see SMPModel for the options."""
        super().__init__(
            architecture,
            classes,
            input_size=input_size,
            encoder=encoder,
            encoder_channels=encoder_channels,
            decoder_channels=decoder_channels,
        )

    def _layers(self):
        if self.options["encoder"] == "vgg13":
            return PUBLISHED_LAYERS
        if self.options["encoder"] == "narrow":
            stages = len(self.options["encoder_channels"])
            return tuple(f"encoder.stages.{index}.conv2" for index in range(stages))
        return super()._layers()
