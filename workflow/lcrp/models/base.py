"""What every model offers, whatever its architecture."""

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lcrp.errors import InputError
from lcrp.models.geometry import Geometry
from lcrp.models.predictions import Detections, Segmentation
from lcrp.models.preprocessing import PixelScale

CLASS_LOGIT, OBJECTNESS = "class logit", "objectness"


@dataclass(frozen=True)
class Passing:
    """What a model says of a module of its own: relevance passes it, as it does an activation.

    Attributes:
        keeps_sign: f(module), whether non-negative inputs make non-negative outputs.
    """

    keeps_sign: Callable[[nn.Module], bool]


class Model:
    """A network with what surrounds it: preprocessing, decoding, class names, defaults.

    Attributes:
        architecture: the name it was built under, such as "yolov5n".
        task: "segmentation" or "detection".
        classes: names by class index (SSD and VOC count the background as 0).
        network: the torch module in eval mode; images (B, 3, H, W) to a tuple of raw outputs.
        input_size: (H, W) that `preprocess` makes.
        composite: name of the composite that the paper uses for it.
        default_layers: convolutions that are analysed by default.
        example_layer: the one that is shown by default.
        explained: what relevance starts at, `CLASS_LOGIT` or `OBJECTNESS`.
        operations: {module type: Passing} of modules that are no layers of torch; each is one node
            of the relevance graph.
        options: what rebuilds it beside name and classes; can be written as JSON.
    """

    task: str
    composite: str = "EpsilonPlusFlat"
    default_classes: tuple[str, ...] | None = None
    default_layers: tuple[str, ...]
    example_layer: str
    explained: str = CLASS_LOGIT
    operations: Mapping[type[nn.Module], Passing] = MappingProxyType({})
    fit: Callable
    pixels: PixelScale
    side_multiple: int = 1
    smallest_side: int = 32
    only_size: tuple[int, int] | None = None

    def __init__(
        self,
        architecture: str,
        network: nn.Module,
        classes: Sequence[str],
        input_size: Sequence[int],
        options: dict,
    ):
        self.architecture = architecture
        self.network = network.eval()
        self.classes = tuple(classes)
        self.input_size = self._valid_size(input_size)
        self.options = {**options, "input_size": list(self.input_size)}

    def preprocess(self, image: np.ndarray) -> tuple[Tensor, Geometry]:
        """An image as the network's input.

        Args:
            image: (h, w, 3) uint8 RGB.

        Returns:
            A float32 tensor (3, H, W), and the geometry that leads back to the image.

        Raises:
            InputError: it is not such an image.
        """
        if image.dtype != "uint8" or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(
                f"image: {image.dtype} of shape {image.shape}; "
                f"give uint8 RGB of shape (height, width, 3)"
            )
        fitted, geometry = self.fit(np.ascontiguousarray(image), self.input_size)
        return self.pixels.apply(fitted), geometry

    def restore(self, image: Tensor) -> np.ndarray:
        """An input (3, H, W) as the image (H, W, 3) uint8 that the network saw."""
        return self.pixels.invert(image)

    def check_input(self, images: Tensor) -> None:
        """Check that images are (B, 3, H, W) of a size that the network takes.

        Raises:
            InputError: they are not.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(
                f"images: shape {tuple(images.shape)}; {self.architecture} takes (batch, 3, H, W)"
            )
        self._valid_size(images.shape[2:])

    def canonised(self) -> nn.Module:
        """A copy of the network that is ready to trace: nothing works in place."""
        network = copy.deepcopy(self.network)
        for module in network.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]
        return network

    def decode(
        self, outputs: Sequence[Tensor], *, threshold: float = 0.25
    ) -> list[Detections] | list[Segmentation]:
        """What the network says about each image, for targets chosen by class.

        Args:
            outputs: the tuple that the network returned.
            threshold: what a box must exceed to be a candidate; segmentation ignores it.

        Returns:
            One entry per image.
        """
        raise NotImplementedError

    def detect(self, outputs: Sequence[Tensor]) -> list[Detections]:
        """The boxes of each image as the family's evaluation keeps them, best first.

        Args:
            outputs: the tuple that the network returned.

        Returns:
            One entry per image.

        Raises:
            InputError: it is a segmentation model.
        """
        raise InputError(f"{self.architecture}: a segmentation model finds no boxes; use decode")

    @classmethod
    def usual_classes(cls, architecture: str) -> tuple[str, ...] | None:
        """Class names of the published weights, or None where there are none."""
        return cls.default_classes

    @classmethod
    def adapted(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """State dict with the keys of the network, from one with the keys as published."""
        return state

    @classmethod
    def class_count(cls, state: Mapping[str, Tensor]) -> int | None:
        """How many classes the head in a state dict has, or None if it has no such head."""
        raise NotImplementedError

    def _valid_size(self, size: Sequence[int]) -> tuple[int, int]:
        try:
            sides = tuple(operator.index(side) for side in size)
        except TypeError:
            sides = ()
        multiple, smallest = self.side_multiple, self.smallest_side
        if self.only_size is not None:
            suits, needed = sides == self.only_size, "{} x {}".format(*self.only_size)
        else:
            suits = len(sides) == 2 and all(s >= smallest and s % multiple == 0 for s in sides)
            needed = f"at least {smallest}" if multiple == 1 else f"multiples of {multiple}"
        if not suits:
            given = " x ".join(str(side) for side in sides) or repr(size)
            raise InputError(
                f"input_size: {given} does not suit {self.architecture}; "
                f"give height and width in pixels, {needed}"
            )
        height, width = sides
        return height, width


class SegmentationModel(Model):
    """A model whose first output holds the class logits (B, C, H, W) at input resolution."""

    task = "segmentation"

    @torch.no_grad()
    def decode(self, outputs: Sequence[Tensor], *, threshold: float = 0.25) -> list[Segmentation]:
        return [Segmentation(logits, logits.argmax(dim=0)) for logits in outputs[0]]


@dataclass(frozen=True)
class Suppression:
    """A post-processing of boxes.

    Attributes:
        confidence: what a box must exceed.
        iou: of two boxes of a class that overlap by more, the less confident goes.
        most: how many are kept.
        most_of_class: how many of a class are considered, or None for all.
    """

    confidence: float
    iou: float
    most: int
    most_of_class: int | None = None


class DetectionModel(Model):
    """A model that finds boxes."""

    task = "detection"

    @torch.no_grad()
    def decode(self, outputs: Sequence[Tensor], *, threshold: float = 0.25) -> list[Detections]:
        return [
            self._candidates([output[image] for output in outputs], threshold)
            for image in range(len(outputs[0]))
        ]

    @torch.no_grad()
    def detect(self, outputs: Sequence[Tensor]) -> list[Detections]:
        return [
            self._evaluated([output[image] for output in outputs])
            for image in range(len(outputs[0]))
        ]

    def _candidates(self, outputs: list[Tensor], threshold: float) -> Detections:
        raise NotImplementedError

    def _evaluated(self, outputs: list[Tensor]) -> Detections:
        raise NotImplementedError


def spread_layers(
    part: nn.Module, name: str, input_size: tuple[int, int], count: int = 3
) -> tuple[str, ...]:
    """Names of convolutions spread evenly over a part of a network, the last one included.

    Depthwise convolutions, whose channels do not mix, are left out, and so are those that see
    only one position, as gates do.

    Args:
        part: a module that takes the images.
        name: its own in the network.
        input_size: (H, W) of the images.
        count: how many names.
    """
    part = without_values(part)
    names: list[str] = []

    def note(name: str) -> Callable:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.shape[-2:].numel() > 1 and name not in names:
                names.append(name)

        return hook

    for path, module in part.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            module.register_forward_hook(note(f"{name}.{path}"))
    part(torch.empty(1, 3, *input_size, device="meta"))
    picked = [names[len(names) * step // count - 1] for step in range(1, count + 1)]
    return tuple(dict.fromkeys(picked))


def without_values(module: nn.Module) -> nn.Module:
    """A copy of a module that computes shapes alone, at no cost."""
    return copy.deepcopy(module).to("meta").eval()
