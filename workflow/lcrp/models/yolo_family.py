"""What the YOLO models share: their input, and which of their boxes are kept."""

from functools import partial

from lcrp.errors import InputError
from lcrp.models import class_names
from lcrp.models.base import DetectionModel, Suppression
from lcrp.models.boxes import ranked, suppress
from lcrp.models.predictions import Detections
from lcrp.models.preprocessing import UNIT, letterbox

WHOLE = {"rounded": round, "truncated": int}
STRIDES = (8, 16, 32)
CANDIDATES = Suppression(confidence=0.25, iou=0.45, most=25)
EVALUATION = Suppression(confidence=0.001, iou=0.6, most=300)
MOST_BEFORE_SUPPRESSION = 30000


class YOLO(DetectionModel):
    """A detector whose boxes have an objectness and independent class scores."""

    default_classes = class_names.COCO
    pixels = UNIT
    side_multiple = 32

    def __init__(self, architecture, network, classes, input_size, options, sides):
        """sides: "rounded" or "truncated", how the letterbox makes resized sides whole."""
        if sides not in WHOLE:
            raise InputError(
                f"sides: {sides!r} is no way to make them whole; give {' or '.join(WHOLE)}"
            )
        super().__init__(architecture, network, classes, input_size, {**options, "sides": sides})
        self.fit = partial(letterbox, whole=WHOLE[sides])

    def _candidates(self, outputs, threshold):
        found = self._levels(outputs, threshold)
        best, found.labels = found.scores.max(dim=1)
        found.confidence = found.confidence * best
        found = found[found.confidence > threshold]
        return found[self._kept(found, CANDIDATES)]

    def _evaluated(self, outputs):
        found = self._levels(outputs, EVALUATION.confidence)
        # Every class above the threshold counts, not a box's best class alone.
        confidence = found.confidence[:, None] * found.scores
        rows, labels = (confidence > EVALUATION.confidence).nonzero(as_tuple=True)
        confidence = confidence[rows, labels]
        first = ranked(confidence, MOST_BEFORE_SUPPRESSION)
        found = found[rows[first]]
        found.labels, found.confidence = labels[first], confidence[first]
        return found[self._kept(found, EVALUATION)]

    def _kept(self, found, rule):
        return suppress(found.boxes, found.confidence, found.labels, rule.iou, rule.most)

    def _levels(self, outputs, threshold) -> Detections:
        """Boxes of one image whose objectness exceeds the threshold, with it as confidence.

        In the order of strides, anchors, rows, columns.
        """
        raise NotImplementedError
