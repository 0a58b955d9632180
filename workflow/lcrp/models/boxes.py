"""What the detectors share after their networks: boxes, and which of them to keep."""

import torch
from torchvision.ops import batched_nms


def corners(centres, sizes):
    """Boxes (n, 4), x1 y1 x2 y2, from their centres (n, 2) and sizes (n, 2)."""
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


def ranked(confidence, most=None):
    """Indices by falling confidence; among equals the earlier one first."""
    return torch.sort(confidence, descending=True, stable=True).indices[:most]


def suppress(boxes, confidence, labels, iou, most):
    """Class-wise non-maximum suppression.

    boxes: (n, 4), x1 y1 x2 y2. confidence, labels: (n,).
    iou: of two boxes of a class that overlap by more, the less confident goes.
    most: how many are kept at most.
    Returns the kept indices by falling confidence; among equals the earlier one first.
    """
    order = ranked(confidence)
    # torchvision keeps classes apart by shifting boxes by multiples of the largest
    # coordinate: in float32 one huge box would blur all the others into one.
    kept = batched_nms(
        boxes[order].double(), confidence[order].double(), labels[order], iou_threshold=iou
    )
    return order[kept.sort().values[:most]]


def cells(height, width, like):
    """Column and row of every cell of a feature map, (height * width, 2), row by row."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=like.device),
        torch.arange(width, device=like.device),
        indexing="ij",
    )
    return torch.stack([columns.flatten(), rows.flatten()], dim=1).to(like.dtype)
