"""What is annotated in an image, and how its input falls into the object and other things.

The object of a target is, as in Dreyer et al., arXiv 2211.11426, the mask of the class's pixels
(segmentation) or the union of the class's boxes (detection); of an instance target its own region
or box. What lies outside it belongs to the other annotated things, or to nobody.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from lcrp.attribution.targets import Target
from lcrp.datasets.classes import ClassMap
from lcrp.datasets.sample import VOID, Sample, Thing
from lcrp.distance_bands import BEYOND, bands_of_boxes, bands_of_mask
from lcrp.models.geometry import Geometry
from lcrp.object_masks import OBJECT, UNLABELLED, box_mask, box_overlaps


@dataclass(frozen=True)
class Match:
    """The annotated object of a target.

    Attributes:
        thing: its id, "" where there is none.
        iou: of the prediction with it, NaN where there is none.
        mask: (H, W) bool, input pixels; all False where there is none.
        bands: (H, W) uint8, band of each pixel around the object (see `distance_bands`).
    """

    thing: str
    iou: float
    mask: np.ndarray
    bands: np.ndarray


@dataclass(frozen=True)
class Parts:
    """Masks of an input, and which of them add up to what, for T targets.

    Attributes:
        masks: (A, H, W) bool.
        whole: (A,) bool, the masks that add up to the input.
        object: (T, A) bool, those that add up to the object of each target.
        background: (T,) share of the image, padding left out, that the object leaves.
        things: of each target {class: ((A,) bool, area)}, the masks that add up to a thing, and
            the share of the image that it covers.
    """

    masks: np.ndarray
    whole: np.ndarray
    object: np.ndarray
    background: np.ndarray
    things: list[dict[int, tuple[np.ndarray, float]]]


class Annotation:
    """What is annotated in one image, in the pixels of the network's input.

    A crowd region (many objects that were not told apart) belongs to the object of its class, and
    is a thing to other classes, but no instance target is matched with it.
    """

    def __init__(self, sample: Sample, geometry: Geometry, task: str, classes: ClassMap, mode: str):
        """Find the classes of the model that are annotated.

        Args:
            sample: the image and its annotation.
            geometry: of the network's input.
            task: "segmentation" or "detection".
            classes: from the classes of the dataset to those of the model.
            mode: "class" or "instance".

        Raises:
            InputError: a class is annotated that the model does not have.
        """
        self.sample, self.geometry, self.task, self.mode = sample, geometry, task, mode
        self._classes = classes
        present = [classes.index(c, f"image {sample.id}") for c in sample.classes_present]
        self.classes = [index for index in present if index is not None]

    def match(self, target: Target, predicted: ArrayLike) -> Match:
        """The object of a target, and how well the prediction meets it.

        Args:
            target: in this image.
            predicted: (H, W) bool, the explained pixels of a segmentation target.
        """
        predicted = np.asarray(predicted)
        things = self.of_class(target.class_index)
        if self.mode == "instance":
            things = [thing for thing in things if not thing.crowd]
        if not things:
            nowhere = np.full(predicted.shape, BEYOND, np.uint8)
            return Match("", np.nan, np.zeros(predicted.shape, bool), nowhere)
        if self.task == "detection":
            return self._boxes(target, things, predicted.shape)
        return self._region(things, predicted)

    def parts(self, objects: np.ndarray, things: bool = True) -> Parts:
        """How the input falls into objects and things.

        Every pixel is the object's where the object is; else it belongs to the smallest class
        region that covers it (as small objects are painted over large ones; equal ones in the
        order of classes), else to nobody. A thing is all that is annotated of one class; for an
        instance target the others of its own class are a thing as well.

        Args:
            objects: (T, H, W) bool, of the targets.
            things: whether things are told apart; otherwise there are fewer masks.
        """
        content = self.geometry.mask_to_input(np.ones(self.geometry.original, bool))
        pixels = max(content.sum(), 1)
        background = (~objects & content).sum(axis=(1, 2)) / pixels
        if not things:
            different = {}
            numbers = [different.setdefault(mask.tobytes(), len(different) + 1) for mask in objects]
            first = [numbers.index(number) for number in different.values()]
            masks = np.concatenate([np.ones((1, *content.shape), bool), objects[first]])
            number = np.arange(len(masks))
            chosen = number == np.array(numbers)[:, None]
            return Parts(masks, number == 0, chosen, background, [{} for _ in objects])
        code, place = self._partition(objects)
        count = place.shape[1]
        area = np.bincount(code[content], minlength=count) / pixels
        return Parts(
            code == np.arange(count)[:, None, None],
            np.ones(count, bool),
            place == OBJECT,
            background,
            [
                {int(c): (own == c, area[own == c].sum()) for c in np.unique(own[own >= 0])}
                for own in place
            ],
        )

    def _partition(self, objects):
        """Part of each pixel (H, W), and what each part is to each target (T, A)."""
        shape = objects.shape[1:]
        things = [c for c in self.classes if self.of_class(c)]
        regions = np.array([self._class_region(c, shape) for c in things], bool)
        regions = regions.reshape(-1, *shape)
        code = _codes([*regions, *objects])
        count = int(code.max()) + 1
        example = np.empty(count, int)
        example[code.ravel()] = np.arange(code.size)
        covered = regions.reshape(len(things), code.size)[:, example]
        size = regions.sum(axis=(1, 2))
        place = np.full((len(objects), count), UNLABELLED)
        for n in sorted(range(len(things)), key=lambda n: (-size[n], -things[n])):
            place[:, covered[n]] = things[n]
        place[objects.reshape(len(objects), code.size)[:, example]] = OBJECT
        # Parts that are the same to every target become one.
        place, same = np.unique(place, axis=1, return_inverse=True)
        return same.ravel()[code], place

    def of_class(self, index: int) -> list[Thing]:
        """The annotated things of a class of the model."""
        return [t for t in self.sample.things if self._classes.indices[t.class_index] == index]

    def _class_region(self, index, shape):
        things = self.of_class(index)
        if self.task == "detection":
            return box_mask(self._to_input(things), shape)
        return self._labels == things[0].class_index

    @cached_property
    def _labels(self):
        return self.geometry.mask_to_input(self.sample.labels(), fill=VOID)

    def _to_input(self, things):
        return self.geometry.boxes_to_input(np.array([thing.box for thing in things], float))

    def _boxes(self, target, things, shape):
        # A crowd's box says where the class is, but it is the box of no object.
        single = [thing for thing in things if not thing.crowd]
        overlaps = box_overlaps(target.box, self._to_input(single or things))
        best = int(overlaps.argmax())
        chosen = [single[best]] if self.mode == "instance" else things
        boxes = self._to_input(chosen)
        overlap = float(overlaps[best]) if single else np.nan
        thing = (single or things)[best].id
        return Match(thing, overlap, box_mask(boxes, shape), bands_of_boxes(boxes, shape))

    def _region(self, things, predicted):
        labels = self._labels
        mask = labels == things[0].class_index
        thing = things[0].id
        if self.mode == "instance":
            numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
            shares = ndimage.sum(predicted, numbered, range(1, count + 1))
            best = int(np.argmax(shares)) + 1 if count else 0
            mask, thing = (numbered == best) & mask, f"{thing}-{best}"
        known = labels != VOID
        union = ((mask | predicted) & known).sum()
        overlap = (mask & predicted & known).sum() / union if union else np.nan
        return Match(thing, float(overlap), mask, bands_of_mask(mask))


def _codes(masks):
    """Number (H, W) of the combination of masks that each pixel is in, counted without gaps."""
    code = np.zeros(masks[0].shape, int)
    for mask in masks:
        code = 2 * code + mask
        occurs = np.bincount(code.ravel()) > 0
        code = (np.cumsum(occurs) - 1)[code]
    return code
