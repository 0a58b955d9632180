"""What a network says about one image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class Detections:
    """The boxes of one image.

    The logit of class c of a box is `outputs[output][image].flatten()[base + c * stride]`.

    Attributes:
        boxes: (n, 4) float, x1 y1 x2 y2 in input pixels.
        scores: (n, C) float, the score of every class. YOLO: sigmoid of the class logit; SSD:
            the class logit.
        confidence: (n,) float, what ranks the boxes.
        labels: (n,) int64, the class a box is kept for.
        output: (n,) int64, in which of the network's outputs the class logits are.
        base: (n,) int64, where they begin there.
        stride: (n,) int64, how far apart they are.
    """

    boxes: Tensor
    scores: Tensor
    confidence: Tensor
    labels: Tensor
    output: Tensor
    base: Tensor
    stride: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Tensor | slice) -> "Detections":
        """The boxes at a tensor or slice of row numbers."""
        return Detections(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @staticmethod
    def concatenated(parts: "Sequence[Detections]") -> "Detections":
        """All boxes of several Detections, in order."""
        return Detections(
            **{
                field.name: torch.cat([getattr(part, field.name) for part in parts])
                for field in fields(Detections)
            }
        )


@dataclass
class Segmentation:
    """The class map of one image.

    Attributes:
        logits: (C, H, W) float.
        labels: (H, W) int64, the class with the largest logit.
    """

    logits: Tensor
    labels: Tensor
