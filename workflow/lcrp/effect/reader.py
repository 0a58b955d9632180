"""What a model says about one object: logit, probability, whether it is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lcrp.attribution import Explainer, forward
from lcrp.models.boxes import box_iou
from lcrp.object_masks import FOUND

# Confidence above which a box counts as found.
THRESHOLD = 0.25


@dataclass(frozen=True)
class Look:
    """An image to show to the model, and the object in it that is asked about.

    Attributes:
        pixels: (H, W, 3) uint8, the network's input before its scaling.
        mask: (H, W) bool, the object.
        box: (4,) x1 y1 x2 y2 of the object, input pixels.
        class_index: the class that is asked about.
        place: (output, flat index) of the class logit of its box in the untouched image;
            None before that is known, and for segmentation.
        tag: by which the caller recognises it.
    """

    pixels: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    class_index: int
    place: tuple[int, int] | None = None
    tag: object = None


@dataclass(frozen=True)
class Reading:
    """What the model says about an object.

    Attributes:
        logit: of the class. Segmentation: mean over the object's pixels. Detection: the raw
            logit of the box that was best for the object in the untouched image.
        probability: of the class. Segmentation: mean over the object's pixels. Detection: the
            highest confidence of a box of the class with an IoU of at least 0.5, as the
            model's evaluation keeps them; 0 without any.
        said: whether the object is recognised: most of its pixels have the class (there can
            be no more probable one), or a box was found with more confidence than `threshold`.
        place: of the logit, see `Look`.
    """

    logit: float
    probability: float
    said: bool
    place: tuple[int, int] | None = None


class Reader:
    """Shows images to a model.

    Args:
        explainer: of the model; batch norms are merged in its network, so that a channel
            of a convolution that is zeroed is a concept that is switched off.
        threshold: confidence above which a box counts as found.
        batch_size: images at a time; the results do not depend on it.

    Attributes:
        passes: images that were shown so far.
    """

    def __init__(self, explainer: Explainer, threshold: float = 0.25, batch_size: int = 16):
        self.explainer, self.model = explainer, explainer.model
        self.threshold, self.batch_size = threshold, batch_size
        self.program = explainer.program(self.model.input_size)
        self.passes = 0

    def read(
        self, looks: Iterable[Look], off: Mapping[str, Sequence[int]] | None = None
    ) -> Iterator[tuple[Look, Reading]]:
        """Readings of an iterable of looks, one after the other.

        Args:
            looks: of `Look`; only a batch of them is held at a time.
            off: {layer: channels} that are zero in all of them.

        Yields:
            (look, `Reading`)
        """
        waiting = []
        for look in looks:
            waiting.append(look)
            if len(waiting) == self.batch_size:
                yield from self._batch(waiting, off)
                waiting = []
        if waiting:
            yield from self._batch(waiting, off)

    @torch.no_grad()
    def _batch(self, looks, off):
        # The same image may be asked about several objects.
        shown = {id(look.pixels): look.pixels for look in looks}
        order = {key: place for place, key in enumerate(shown)}
        images = torch.stack([self.model.pixels.apply(pixels) for pixels in shown.values()])
        outputs = self.outputs(images, off)
        self.passes += len(images)
        if self.model.task == "segmentation":
            for look in looks:
                yield look, self._pixels(look, outputs[0][order[id(look.pixels)]])
            return
        found = self.model.detect(outputs)
        for look in looks:
            image = order[id(look.pixels)]
            yield look, self._boxes(look, found[image], [output[image] for output in outputs])

    @torch.no_grad()
    def outputs(
        self, images: torch.Tensor, off: Mapping[str, Sequence[int]] | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Raw outputs of the network for inputs (B, 3, H, W), with some channels at zero."""
        explainer, program = self.explainer, self.program
        images = images.to(explainer.device, explainer.dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        zeroed = {program.layers[layer]: chosen for layer, chosen in (off or {}).items()}
        return tuple(output.float() for output in forward.outputs(program, images, zeroed))

    def _pixels(self, look, logits):
        inside = logits[:, torch.from_numpy(look.mask).to(logits.device)]  # (C, pixels)
        share = (inside.argmax(dim=0) == look.class_index).float().mean()
        probability = inside.softmax(dim=0)[look.class_index].mean()
        return Reading(
            float(inside[look.class_index].mean()), float(probability), bool(share > 0.5)
        )

    def _boxes(self, look, found, outputs):
        own = found[found.labels == look.class_index]
        probability, place = 0.0, look.place
        if len(own):
            box = torch.as_tensor(look.box, dtype=own.boxes.dtype, device=own.boxes.device)
            near = own[box_iou(box[None], own.boxes)[0] >= FOUND]
            if len(near):
                best = int(near.confidence.argmax())
                probability = float(near.confidence[best])
                if place is None:
                    index = near.base[best] + look.class_index * near.stride[best]
                    place = int(near.output[best]), int(index)
        logit = np.nan if place is None else float(outputs[place[0]].flatten()[place[1]])
        return Reading(logit, probability, probability > self.threshold, place)
