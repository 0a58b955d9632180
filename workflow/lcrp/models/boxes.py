"""What the detectors share after their networks: boxes, and which of them to keep."""

import torch
from torch import Tensor


def corners(centres: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (n, 4), x1 y1 x2 y2, from their centres (n, 2) and sizes (n, 2)."""
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every box with every other, on their device.

    For arrays there is `lcrp.object_masks.box_overlaps`.

    Args:
        boxes: (n, 4) x1 y1 x2 y2.
        others: (m, 4), likewise.

    Returns:
        (n, m), NaN where both boxes are empty.
    """
    low = torch.maximum(boxes[:, None, :2], others[:, :2])
    high = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    common = (high - low).clamp(min=0).prod(dim=2)
    areas = [(some[:, 2:] - some[:, :2]).prod(dim=1) for some in (boxes, others)]
    return common / (areas[0][:, None] + areas[1] - common)


def ranked(confidence: Tensor, most: int | None = None) -> Tensor:
    """Indices by falling confidence; among equals the earlier one first."""
    return torch.sort(confidence, descending=True, stable=True).indices[:most]


def suppress(boxes: Tensor, confidence: Tensor, labels: Tensor, iou: float, most: int) -> Tensor:
    """Class-wise non-maximum suppression.

    Args:
        boxes: (n, 4) x1 y1 x2 y2.
        confidence: (n,).
        labels: (n,) int64.
        iou: of two boxes of a class that overlap by more, the less confident goes.
        most: how many are kept at most.

    Returns:
        The kept indices by falling confidence; among equals the earlier one first.
    """
    # Imported here: it takes as long as torch, and segmentation has no use for it.
    from torchvision.ops import batched_nms

    order = ranked(confidence)
    # torchvision keeps classes apart by shifting boxes by multiples of the largest
    # coordinate: in float32 one huge box would blur all the others into one.
    kept = batched_nms(
        boxes[order].double(), confidence[order].double(), labels[order], iou_threshold=iou
    )
    return order[kept.sort().values[:most]]


def cells(height: int, width: int, like: Tensor) -> Tensor:
    """Column and row of every cell of a feature map, (height * width, 2), row by row."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=like.device),
        torch.arange(width, device=like.device),
        indexing="ij",
    )
    return torch.stack([columns.flatten(), rows.flatten()], dim=1).to(like.dtype)
