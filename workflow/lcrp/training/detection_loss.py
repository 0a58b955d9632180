"""The loss of YOLOv5: which cells and anchors answer for an object, and what they should say.

Box: complete IoU (Zheng et al., arXiv 1911.08287). Objectness and classes: binary cross
entropy. An object belongs to every anchor whose sides are within a factor of 4 of its own, in
the cell of its centre and in the neighbouring cells next to which the centre lies.
"""

import torch
import torch.nn.functional as F

from lcrp.models.boxes import corners

LARGEST_RATIO = 4.0
BOX, OBJECTNESS, CLASS = 0.3, 1.0, 2.0
# Coarse maps have few cells: the mean over theirs would outweigh what a fine map learns.
LEVELS = (4.0, 1.0, 0.4)


def assign(objects, anchors, stride, height, width):
    """Which predictions of a level answer for which objects.

    Args:
        objects: (n, 6), image, class, centre x, y, width, height in pixels.
        anchors: (a, 2) width and height in pixels.
        stride: pixels per cell.
        height, width: cells of the level.

    Returns:
        (image, anchor, row, column, object), int64 tensors of equal length.
    """
    ratio = objects[:, None, 4:6] / anchors
    fits = torch.maximum(ratio, 1 / ratio).amax(dim=2) < LARGEST_RATIO
    chosen, anchor = fits.nonzero(as_tuple=True)
    centre = objects[chosen, 2:4] / stride
    cell = centre.floor()
    inside = centre - cell
    last = torch.tensor([width - 1, height - 1])
    cells, rows = [cell], [torch.arange(len(chosen))]
    for axis in (0, 1):
        for step, near in ((-1, inside[:, axis] < 0.5), (1, inside[:, axis] > 0.5)):
            neighbour = cell.clone()
            neighbour[:, axis] += step
            exists = (neighbour[:, axis] >= 0) & (neighbour[:, axis] <= last[axis])
            cells.append(neighbour[near & exists])
            rows.append((near & exists).nonzero()[:, 0])
    cells = torch.minimum(torch.cat(cells).long().clamp(min=0), last)
    rows = torch.cat(rows)
    return (
        objects[chosen[rows], 0].long(),
        anchor[rows],
        cells[:, 1],
        cells[:, 0],
        chosen[rows],
    )


def detection_loss(model, outputs, objects, done):
    """The weighted sum over the levels of box, objectness and class loss.

    Args:
        model: a YOLOv5.
        outputs: its raw outputs, one (B, 3 * (5 + C), h, w) per level.
        objects: (n, 6), image, class, centre x, y, width, height in input pixels.
        done: not used.

    Returns:
        dict of scalar tensors: "loss", "box", "objectness", "class".
    """
    # Imported here: it takes as long as torch, and segmentation has no use for it.
    from torchvision.ops import complete_box_iou_loss

    head = model.network.model[-1]
    box = objectness = classes = outputs[0].new_zeros(())
    for raw, anchors, weight in zip(outputs, head.anchors, LEVELS, strict=True):
        batch, _, height, width = raw.shape
        stride = model.input_size[0] // height
        anchors = anchors * stride
        raw = raw.view(batch, len(anchors), -1, height, width).permute(0, 1, 3, 4, 2)
        image, anchor, row, column, which = assign(objects, anchors, stride, height, width)
        wanted = torch.zeros(raw.shape[:4])
        if len(which):
            found = raw[image, anchor, row, column]
            cell = torch.stack([column, row], dim=1)
            centres = (2 * found[:, :2].sigmoid() - 0.5 + cell) * stride
            sizes = (2 * found[:, 2:4].sigmoid()) ** 2 * anchors[anchor]
            overlap = 1 - complete_box_iou_loss(
                corners(centres, sizes), corners(objects[which, 2:4], objects[which, 4:6])
            )
            box = box + (1 - overlap).mean()
            # Where objects share a prediction the best overlap counts, in whatever order.
            flat = ((image * len(anchors) + anchor) * height + row) * width + column
            wanted.view(-1).scatter_reduce_(0, flat, overlap.detach().clamp(min=0), "amax")
            target = F.one_hot(objects[which, 1].long(), raw.shape[4] - 5).to(raw)
            classes = classes + F.binary_cross_entropy_with_logits(found[:, 5:], target)
        objectness = objectness + weight * F.binary_cross_entropy_with_logits(raw[..., 4], wanted)
    loss = BOX * box + OBJECTNESS * objectness + CLASS * classes
    return {"loss": loss, "box": box, "objectness": objectness, "class": classes}
