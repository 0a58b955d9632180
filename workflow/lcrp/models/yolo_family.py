"""What the YOLO models share: their input, and which of their boxes are kept."""

from collections.abc import Mapping, Sequence
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
    """A detector whose boxes have independent class scores, and an objectness up to release 6.

    Attributes:
        candidates, evaluation: what is kept for targets, and by the family's own evaluation.
    """

    candidates = CANDIDATES
    evaluation = EVALUATION
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
        return found[self._kept(found, self.candidates)]

    def _evaluated(self, outputs):
        least = self.evaluation.confidence
        found = self._levels(outputs, least)
        # Every class above the threshold counts, not a box's best class alone.
        confidence = found.confidence[:, None] * found.scores
        rows, labels = (confidence > least).nonzero(as_tuple=True)
        confidence = confidence[rows, labels]
        first = ranked(confidence, MOST_BEFORE_SUPPRESSION)
        found = found[rows[first]]
        found.labels, found.confidence = labels[first], confidence[first]
        return found[self._kept(found, self.evaluation)]

    def _kept(self, found, rule):
        return suppress(found.boxes, found.confidence, found.labels, rule.iou, rule.most)

    def _levels(self, outputs, threshold) -> Detections:
        """Boxes of one image whose objectness exceeds the threshold, with it as confidence.

        Without objectness: those whose best class score does, with a confidence of one. In the
        order of strides, anchors, rows, columns.
        """
        raise NotImplementedError


def multiples(
    architecture: str,
    sizes: Mapping[str, Sequence],
    usual: str,
    depth: float | None,
    width: float | None,
) -> tuple[float, float, dict]:
    """Depth and width multiples of an architecture, and the options that say so.

    Args:
        sizes: {architecture: (depth, width, ...)} of those that have fixed ones; the name of the
            family alone takes `depth` and `width`.
        usual: the size whose multiples are the default.

    Raises:
        InputError: multiples are given for an architecture that has fixed ones.
    """
    if architecture in sizes:
        if (depth, width) != (None, None):
            family = usual[:-1]
            raise InputError(
                f"{architecture}: depth and width are fixed; "
                f'use the architecture "{family}" to choose them'
            )
        return *sizes[architecture][:2], {}
    depth = sizes[usual][0] if depth is None else depth
    width = sizes[usual][1] if width is None else width
    return depth, width, {"depth": depth, "width": width}
