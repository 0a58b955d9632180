"""What the detectors share after their networks: boxes, and which of them to keep."""

import numpy as np
import torch


def corners(centres, sizes):
    """Boxes (n, 4), x1 y1 x2 y2, from their centres (n, 2) and sizes (n, 2)."""
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


def ranked(confidence, most=None):
    """Indices by falling confidence; among equals the earlier one first."""
    return torch.sort(confidence, descending=True, stable=True).indices[:most]


def intersection_over_union(box, boxes):
    """Of one box (4,) with others (n, 4), x1 y1 x2 y2: (n,) float64; NaN where both are empty.

    numpy: torchvision, which has it as well, costs every job three seconds to import.
    """
    box, boxes = np.asarray(box, np.float64), np.asarray(boxes, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
        common = np.clip(sides, 0, None).prod(axis=1)
        return common / ((box[2:] - box[:2]).prod() + _areas(boxes) - common)


def _areas(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def suppress(boxes, confidence, labels, iou, most):
    """Class-wise non-maximum suppression.

    boxes: (n, 4), x1 y1 x2 y2. confidence, labels: (n,).
    iou: of two boxes of a class that overlap by more, the less confident goes.
    most: how many are kept at most.
    Returns the kept indices by falling confidence; among equals the earlier one first.
    """
    order = ranked(confidence)
    sorted_boxes = boxes[order].double().cpu().numpy()
    sorted_labels = labels[order].cpu().numpy()
    left, kept = np.arange(len(order)), []
    while left.size and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        with_best = intersection_over_union(sorted_boxes[best], sorted_boxes[left])
        left = left[~((with_best > iou) & (sorted_labels[left] == sorted_labels[best]))]
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def cells(height, width, like):
    """Column and row of every cell of a feature map, (height * width, 2), row by row."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=like.device),
        torch.arange(width, device=like.device),
        indexing="ij",
    )
    return torch.stack([columns.flatten(), rows.flatten()], dim=1).to(like.dtype)
