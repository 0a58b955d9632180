"""The objects that interventions are made on, and the pictures that they come from."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lcrp.datasets.sample import Sample, Thing
from lcrp.effect.pixels import content_of
from lcrp.effect.reader import Look, Reader, Reading
from lcrp.errors import InputError
from lcrp.models import Geometry, Model
from lcrp.object_masks import box_mask

CACHED = 128  # pictures
SMALLEST = 12  # pixels of the input: of a smaller object nothing can be cut out
LARGEST = 0.9  # of the image: a larger object leaves no background to speak of


@dataclass(frozen=True)
class Picture:
    """An image as the network is shown it.

    Attributes:
        pixels: (H, W, 3) uint8.
        geometry: the way back to the image.
        content: (rows, columns) that show the image, not padding.
    """

    pixels: np.ndarray
    geometry: Geometry
    content: tuple[slice, slice]

    def mask(self, thing: Thing) -> tuple[np.ndarray, bool]:
        """((H, W) bool of a thing, whether a mask was annotated or only a box)."""
        drawn = thing.mask()
        if drawn is not None:
            return self.geometry.mask_to_input(drawn, fill=False), True
        return box_mask([self.box(thing)], self.geometry.input), False

    def box(self, thing: Thing) -> np.ndarray:
        """(4,) x1 y1 x2 y2 of a thing, input pixels."""
        return self.geometry.boxes_to_input([thing.box])[0]


class Pictures:
    """The images of samples, as the network is shown them; the last ones are kept.

    Args:
        model: whose input they become.
        samples: with these images.
    """

    def __init__(self, model: Model, samples: Sequence[Sample]):
        self.model, self.samples = model, samples
        self._kept = OrderedDict()

    def __getitem__(self, number: int) -> Picture | None:
        """`Picture` of a sample, or None where it cannot be read."""
        if number not in self._kept:
            self._kept[number] = self._load(self.samples[number])
            if len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def _load(self, sample):
        try:
            tensor, geometry = self.model.preprocess(sample.image())
        except InputError:
            return None
        return Picture(self.model.restore(tensor), geometry, content_of(geometry))


@dataclass(frozen=True)
class RecognisedObject:
    """An object that the model recognises, in an image that nothing was done to.

    Attributes:
        number: its sample's place in the list of samples.
        class_index: its class.
        mask: (H, W) bool, input pixels.
        exact: whether the mask was annotated; else it is the box.
        box: (4,) input pixels.
        before: what the model says of it.
    """

    number: int
    class_index: int
    mask: np.ndarray
    exact: bool
    box: np.ndarray
    before: Reading

    def look(self, pixels: np.ndarray) -> Look:
        """The same object in a changed image."""
        return Look(pixels, self.mask, self.box, self.class_index, self.before.place, self)


def annotated_objects(samples: Iterable[Sample]) -> dict[int, dict[int, list[Thing]]]:
    """{class index: {sample number: [things]}} of the objects that are no crowd."""
    found = {}
    for number, sample in enumerate(samples):
        for thing in sample.things:
            if not thing.crowd:
                found.setdefault(thing.class_index, {}).setdefault(number, []).append(thing)
    return found


def things_of(sample: Sample) -> dict[str, list[Thing]]:
    """{name: [things]} of all that is annotated in an image: objects, crowds and stuff."""
    found = {}
    for thing in (*sample.things, *sample.stuff):
        found.setdefault(thing.class_name, []).append(thing)
    return found


def find_recognised(
    reader: Reader,
    pictures: Pictures,
    objects: Mapping[int, Mapping[int, Sequence[Thing]]],
    wanted: Mapping[int, Sequence[int]],
    seed: int = 0,
    progress: Callable[[list], Iterable] = iter,
) -> tuple[dict[int, list[RecognisedObject]], dict[int, dict[str, int]]]:
    """The recognised objects of each class, one per image.

    Which of several objects of an image is taken is left to chance.

    Args:
        reader: of the model.
        pictures: of the samples.
        objects: {class index: {sample number: [things]}}.
        wanted: {class index: sample numbers to look at}.
        seed: of the choice.
        progress: wraps the sample numbers.

    Returns:
        {class index: objects in the order of `wanted`}, and {class index: {reason: count}} of
        the images without one.
    """
    chosen = {}
    for index, numbers in wanted.items():
        for number in numbers:
            chosen.setdefault(number, []).append(index)
    reasons = {index: {} for index in wanted}
    seen = {index: {} for index in wanted}

    def looks():
        for number in progress(sorted(chosen)):
            picture = pictures[number]
            for index in chosen[number]:
                if picture is None:
                    _count(reasons[index], "unreadable")
                    continue
                random = np.random.default_rng([seed, index, number])
                things = objects[index][number]
                unfit = []
                for place in random.permutation(len(things)):
                    thing = things[place]
                    mask, exact = picture.mask(thing)
                    unfit.append(_unfit(mask, picture))
                    if not unfit[-1]:
                        tag = (number, exact)
                        yield Look(picture.pixels, mask, picture.box(thing), index, tag=tag)
                if all(unfit):
                    _count(reasons[index], unfit[0])

    for look, reading in reader.read(looks()):
        number, exact = look.tag
        own = seen[look.class_index]
        if reading.said and number not in own:
            own[number] = RecognisedObject(
                number, look.class_index, look.mask, exact, look.box, reading
            )  # fmt: skip
    for index, numbers in wanted.items():
        missed = len(numbers) - len(seen[index]) - sum(reasons[index].values())
        if missed > 0:
            reasons[index]["not recognised"] = missed
    found = {
        index: [seen[index][number] for number in numbers if number in seen[index]]
        for index, numbers in wanted.items()
    }
    return found, reasons


def _unfit(mask, picture):
    """Why nothing can be asked about an object, or an empty string."""
    if mask.sum() < SMALLEST:
        return "too small"
    return "filling the image" if mask[picture.content].mean() > LARGEST else ""


def _count(reasons, name):
    reasons[name] = reasons.get(name, 0) + 1
