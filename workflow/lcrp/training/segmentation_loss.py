"""Cross entropy in which the objects weigh more at first."""

import torch
import torch.nn.functional as F

from lcrp.datasets.sample import VOID

_BACKGROUND_AT_FIRST = 0.1


def segmentation_loss(model, outputs, labels, done):
    """Weighted mean cross entropy per pixel; void pixels do not count.

    Nearly all pixels are background: class 0, if it is called so, weighs a tenth at first, so
    that the objects are learned early, and as much as the others at last, so that contours end
    up where they are.

    Args:
        model: segmentation model.
        outputs: its outputs, logits (B, C, H, W) first.
        labels: (B, H, W) int64.
        done: the share of the training that is done: 0 at the first step, 1 at the last.

    Returns:
        dict of scalar tensors: "loss".
    """
    weight = torch.ones(len(model.classes))
    if model.classes[0] == "background":
        weight[0] = _BACKGROUND_AT_FIRST + (1 - _BACKGROUND_AT_FIRST) * done
    return {"loss": F.cross_entropy(outputs[0], labels, weight=weight, ignore_index=VOID)}
