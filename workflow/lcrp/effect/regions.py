"""What is changed in an image around an object: a part of the background, or all of it."""

from collections.abc import Callable, Sequence

import numpy as np

from lcrp.configuration import Effect
from lcrp.datasets.sample import Sample
from lcrp.effect import pixels as change
from lcrp.effect.recognised_objects import Pictures, RecognisedObject, things_of

# Donors are drawn from this many, those first whose own objects the pasted one does not cover.
DONORS_DRAWN = 12
# Pixels around an object that are painted over with it: its outline, as annotations are drawn.
EDGE = 2


class Regions:
    """Which pixels of an image are an object's, a thing's, or the rest, and images without them.

    Args:
        pictures: of the samples.
        samples: annotated ones.
        settings: `margin` and `donors` are used.
    """

    def __init__(self, pictures: Pictures, samples: Sequence[Sample], settings: Effect):
        self.pictures, self.samples, self.settings = pictures, samples, settings

    def cut_out(self, subject: RecognisedObject) -> np.ndarray:
        """(H, W) bool: an object with its margin."""
        return change.grown(subject.mask, self.settings.margin)

    def of(self, subject: RecognisedObject, thing: str) -> np.ndarray:
        """(H, W) bool: all of a thing that is beside an object."""
        picture = self.pictures[subject.number]
        region = np.zeros_like(subject.mask)
        for part in things_of(self.samples[subject.number]).get(thing, ()):
            mask, _ = picture.mask(part)
            # What stuff borders on is mostly other stuff, not an outline of its own.
            region |= mask if part.class_index < 0 else change.grown(mask, EDGE)
        return region & ~self._closed(subject)

    def elsewhere(
        self, subject: RecognisedObject, region: np.ndarray, random: np.random.Generator
    ) -> np.ndarray | None:
        """As large a region elsewhere in the background; None without room for it."""
        return change.elsewhere(region, self._closed(subject), random)

    def painted(self, subject: RecognisedObject, region: np.ndarray) -> np.ndarray:
        """The image (H, W, 3) with a region painted over."""
        return change.painted_over(self.pictures[subject.number].pixels, region)

    def replaced(
        self, subject: RecognisedObject, replace: Callable[..., np.ndarray], *more: object
    ) -> np.ndarray:
        """The image (H, W, 3) with another background, as a function of `pixels` makes it.

        Args:
            subject: the object, which stays.
            replace: takes the image, the mask of what stays, and where the image lies in it.
            more: further arguments of the function.
        """
        picture = self.pictures[subject.number]
        return replace(picture.pixels, self.cut_out(subject), picture.content, *more)

    def donated(
        self, subject: RecognisedObject, numbers: Sequence[int], random: np.random.Generator
    ) -> list[np.ndarray]:
        """The object on backgrounds of other samples, `donors` of them where there are so many.

        Args:
            subject: the object.
            numbers: of the samples that may donate; unreadable ones do not.
            random: chooses among them.
        """
        numbers = random.permutation(numbers)[:DONORS_DRAWN]
        x1, y1, x2, y2 = subject.box / np.tile(subject.mask.shape[::-1], 2)

        def covered(number):
            sample = self.samples[number]
            overlap = 0.0
            for thing in sample.things:
                a1, b1, a2, b2 = np.divide(thing.box, [*sample.size[::-1]] * 2)
                overlap += max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            return overlap

        made = []
        for number in sorted(numbers, key=covered):
            donor = self.pictures[int(number)]
            if donor is not None:
                made.append(self.replaced(subject, change.put_into, donor.pixels, donor.content))
            if len(made) == self.settings.donors:
                break
        return made

    def _closed(self, subject):
        closed = np.ones_like(subject.mask)
        content = self.pictures[subject.number].content
        closed[content] = self.cut_out(subject)[content]
        return closed
