"""What the SSD models share: boxes as offsets from priors, classes by softmax."""

import torch

from lcrp.models.base import DetectionModel, Suppression
from lcrp.models.boxes import corners, suppress
from lcrp.models.predictions import Detections

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


class PriorDetector(DetectionModel):
    """A detector with priors, class 0 being the background.

    Its network returns the class logits (B, boxes * C, h, w) of every feature map, then the
    box offsets (B, boxes * 4, h, w) of every feature map.

    Attributes:
        evaluation: the family's post-processing.
        largest_exponent: of a box side in priors; wider ones would overflow.
        clips: whether boxes end at the border of the input.
    """

    evaluation = Suppression(confidence=0.01, iou=0.45, most=100)
    largest_exponent = 20.0
    clips = False

    def __init__(self, architecture, network, classes, input_size, options, priors):
        """priors: (N, 4), centre x, y, width, height relative to the input; by map, cell, box."""
        super().__init__(architecture, network, classes, input_size, options)
        self.priors = priors

    def _candidates(self, outputs, threshold):
        """All boxes with a class logit, other than the background's, above the threshold."""
        found = self._all(outputs)
        return found[(found.scores[:, 1:] > threshold).any(dim=1)]

    def _evaluated(self, outputs):
        found = self._all(outputs)
        rule = self.evaluation
        probability = found.scores.softmax(dim=1)
        enough = probability > rule.confidence
        enough[:, 0] = False
        if rule.most_of_class is not None and len(found) > rule.most_of_class:
            enough &= probability >= probability.topk(rule.most_of_class, dim=0).values[-1]
        rows, labels = enough.nonzero(as_tuple=True)
        found = found[rows]
        found.labels, found.confidence = labels, probability[rows, labels]
        return found[suppress(found.boxes, found.confidence, found.labels, rule.iou, rule.most)]

    def _all(self, outputs):
        """The boxes of all priors of one image, labelled with the best class but background."""
        maps = len(outputs) // 2
        logits, offsets = outputs[:maps], outputs[maps:]
        places = [self._places(index, output) for index, output in enumerate(logits)]
        scores = torch.cat([self._rows(output, len(self.classes)) for output in logits])
        offsets = torch.cat([self._rows(output, 4) for output in offsets])
        confidence, labels = scores.softmax(dim=1)[:, 1:].max(dim=1)
        output, base, stride = (torch.cat(column) for column in zip(*places, strict=True))
        return Detections(
            boxes=self._boxes(offsets),
            scores=scores,
            confidence=confidence,
            labels=labels + 1,
            output=output,
            base=base,
            stride=stride,
        )

    def _boxes(self, offsets):
        priors = self.priors.to(offsets)
        centres = priors[:, :2] + CENTRE_VARIANCE * offsets[:, :2] * priors[:, 2:]
        exponents = (SIZE_VARIANCE * offsets[:, 2:]).clamp(max=self.largest_exponent)
        sizes = priors[:, 2:] * exponents.exp()
        height, width = self.input_size
        border = offsets.new_tensor([width, height, width, height])
        boxes = corners(centres, sizes) * border
        return boxes.clamp(min=0).minimum(border) if self.clips else boxes

    def _places(self, index, logits):
        """Output, first logit and stride between logits of every box of one feature map."""
        area = logits.shape[-2] * logits.shape[-1]
        count = logits.shape[0] // len(self.classes)
        cell = torch.arange(area, device=logits.device)[:, None]
        box = torch.arange(count, device=logits.device)
        base = (box * len(self.classes) * area + cell).flatten()
        return torch.full_like(base, index), base, torch.full_like(base, area)

    def _rows(self, output, width):
        """One row of `width` values per box, by cell, then box."""
        return output.float().flatten(1).T.reshape(-1, width)
