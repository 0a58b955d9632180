"""What the model says of the same objects after an intervention."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from lcrp.effect.reader import Look, Reader, Reading
from lcrp.effect.recognised_objects import Pictures, RecognisedObject


@dataclass(frozen=True)
class Example:
    """An object before and after an intervention.

    Attributes:
        subject: the object.
        before: (H, W, 3) uint8, the network's input.
        after: (H, W, 3) uint8.
        probability: of its class, after.
    """

    subject: RecognisedObject
    before: np.ndarray
    after: np.ndarray
    probability: float


def observe(
    reader: Reader,
    pictures: Pictures,
    subjects: Sequence[RecognisedObject],
    change: Callable[[RecognisedObject], Iterable[np.ndarray]],
    kept: int,
    off: Mapping[str, Sequence[int]] | None = None,
) -> "Outcome":
    """Show changed images of objects to the model.

    Args:
        reader: of the model.
        pictures: the unchanged images.
        subjects: objects, each of another image.
        change: the changed images (H, W, 3) uint8 of an object; none where that is not possible.
        kept: how many of the most telling images become examples.
        off: {layer: channels} that are zero meanwhile.
    """
    outcome = Outcome(subjects, kept)
    looks = (subject.look(pixels) for subject in subjects for pixels in change(subject))
    for look, reading in reader.read(looks, off):
        outcome.add(look, reading)
    outcome.keep_originals(pictures)
    return outcome


class Outcome:
    """Readings of the same objects after an intervention, several draws of each.

    Args:
        subjects: the objects, each of another image.
        kept: how many images are kept, those first in which the probability fell most.
    """

    def __init__(self, subjects: Sequence[RecognisedObject], kept: int):
        self.subjects, self._kept = subjects, kept
        self._readings = {subject.number: [] for subject in subjects}
        self._best, self._ties = [], count()

    def add(self, look: Look, reading: Reading) -> None:
        """Note what the model says of a changed image."""
        subject = look.tag
        self._readings[subject.number].append(reading)
        drop = subject.before.probability - reading.probability
        entry = (drop, -next(self._ties), look, reading)
        if len(self._best) < self._kept:
            heapq.heappush(self._best, entry)
        elif self._kept:
            heapq.heappushpop(self._best, entry)

    def keep_originals(self, pictures: Pictures) -> None:
        """Turn the most telling looks into examples."""
        self._best = [
            Example(look.tag, pictures[look.tag.number].pixels, look.pixels, reading.probability)
            for _, _, look, reading in sorted(self._best, key=lambda entry: entry[:2], reverse=True)
        ]

    def examples(self, most: int) -> list[Example]:
        """The objects whose probability fell most, each once."""
        first = {}
        for example in self._best:
            first.setdefault(example.subject.number, example)
        return list(first.values())[:most]

    @property
    def complete(self) -> bool:
        """Whether every object was seen after the intervention."""
        return all(self._readings.values())

    def before(self, measure: str) -> np.ndarray:
        """(n,) values of the untouched images; measure: a field of `Reading`."""
        return np.array([float(getattr(s.before, measure)) for s in self.subjects])

    def after(self, measure: str) -> np.ndarray:
        """(n,) values after the intervention, means over draws."""
        return np.array(
            [
                np.mean([float(getattr(reading, measure)) for reading in readings])
                for readings in self._readings.values()
            ]
        )

    def drop(self, measure: str) -> np.ndarray:
        """(n,) by how much the values fell."""
        return self.before(measure) - self.after(measure)
