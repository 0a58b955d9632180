"""Images, annotations and models of which it is known what they depend on.

Red squares are boats on blue and cars on grey; green squares are stars anywhere. Stars come with
a yellow patch, which a boat may need too, as the model wants it.
"""

from types import SimpleNamespace

import numpy as np
import torch
from scipy import ndimage

from lcrp.datasets.sample import Thing, box_of
from lcrp.models.geometry import Geometry
from lcrp.models.predictions import Detections
from lcrp.models.preprocessing import UNIT

SIZE = 32
CLASSES = ("background", "boat", "car", "star", "buoy")
RED, GREEN, YELLOW = (220, 0, 0), (0, 220, 0), (220, 220, 0)
BLUE, GREY = (0, 0, 220), (120, 120, 120)


def square(top, left, side=8):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def thing(name, mask, masked=True, crowd=False, number=0):
    index = CLASSES.index(name) if name in CLASSES else -1
    draw = (lambda: mask) if masked else (lambda: None)
    return Thing(f"{name}-{number}", index, name, box_of(mask), crowd, draw)


def sample(number, parts, ground, masked=True):
    """An image of squares [(name, colour, mask)] on a coloured ground."""
    random = np.random.default_rng(number)
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[:] = ground
    for _, colour, mask in parts:
        image[mask] = colour
    image = np.clip(image + random.integers(-9, 10, image.shape), 0, 255).astype(np.uint8)
    things = [thing(name, mask, masked, number=i) for i, (name, _, mask) in enumerate(parts)]
    return SimpleNamespace(
        id=f"{number:03d}", number=number, image=lambda: image, size=(SIZE, SIZE),
        things=things, stuff=[],
    )  # fmt: skip


def samples(count=48, masked=True):
    """Boats and cars in turn, with a buoy; every third one also with a star."""
    made = []
    for number in range(count):
        random = np.random.default_rng([7, number])
        name, ground = (("boat", BLUE), ("car", GREY))[number % 2]
        corners = random.permutation([(0, 0), (0, 16), (16, 0), (16, 16)])
        corners += random.integers(1, 8, (4, 2))
        parts = [(name, RED, square(*corners[0]))]
        if number % 3 == 0:
            parts.append(("star", GREEN, square(*corners[1])))
        if number % 4 < 2:
            parts.append(("buoy", YELLOW, square(*corners[2], 6)))
        made.append(sample(number, parts, ground, masked))
    return made


RED_SEEN, GREEN_SEEN, YELLOW_SEEN, BLUE_SEEN = range(4)


def colours(images):
    """The concepts of the layer `colours`: where which colour is (B, 4, H, W)."""
    red, green, blue = images.unbind(1)
    return torch.stack(
        [
            (red > 0.6) & (green < 0.3),
            (green > 0.6) & (red < 0.3),
            (red > 0.6) & (green > 0.6) & (blue < 0.4),
            (blue > 0.6) & (green < 0.3) & (red < 0.3),
        ],
        dim=1,
    ).float()


def by_context(seen):
    """Red is a boat where there is more blue than not, else a car."""
    return _answers(seen, seen[:, BLUE_SEEN].mean((1, 2)) > 0.4)


def by_buoy(seen):
    """Red is a boat where a buoy is in sight."""
    return _answers(seen, seen[:, YELLOW_SEEN].sum((1, 2)) > 8)


def by_shape(seen):
    """Red is everything that is red: boat and car alike, wherever they are."""
    logits = _answers(seen, torch.ones(len(seen), dtype=torch.bool))
    logits[:, 2] = logits[:, 1]
    return logits


def _answers(seen, boats):
    red, green, yellow, _ = (seen > 0.5).unbind(1)
    logits = torch.zeros(len(boats), len(CLASSES), SIZE, SIZE)
    logits[:, 0] = 2.0
    boats = boats[:, None, None]
    logits[:, 1] = torch.where(red & boats, 6.0, -2.0)
    logits[:, 2] = torch.where(red & ~boats, 6.0, -2.0)
    logits[:, 3] = torch.where(green, 6.0, -2.0)
    logits[:, 4] = torch.where(yellow, 6.0, -2.0)
    return logits


class Model:
    """A model that answers by a rule for the pixels of its input."""

    input_size, classes, pixels = (SIZE, SIZE), CLASSES, UNIT

    def __init__(self, task):
        self.task = task

    def preprocess(self, image):
        geometry = Geometry((SIZE, SIZE), (SIZE, SIZE), (1.0, 1.0), (0.0, 0.0))
        return UNIT.apply(image), geometry

    def restore(self, tensor):
        return UNIT.invert(tensor)

    def detect(self, outputs):
        """One box around every connected region of the most probable class."""
        found = []
        for logits in outputs[0]:
            probability, named = logits.softmax(0).numpy(), logits.argmax(0).numpy()
            regions = []
            for c in range(1, len(CLASSES)):
                numbered, count = ndimage.label(named == c)
                regions += [(c, numbered == n + 1) for n in range(count)]
            labels = torch.tensor([c for c, _ in regions], dtype=torch.int64)
            boxes = torch.tensor([box_of(mask) for _, mask in regions]).reshape(-1, 4)
            confidence = torch.tensor([float(probability[c][mask].mean()) for c, mask in regions])
            found.append(
                Detections(
                    boxes=boxes.float(),
                    scores=torch.zeros(len(labels), len(CLASSES)),
                    confidence=confidence,
                    labels=labels,
                    output=torch.zeros_like(labels),
                    base=torch.tensor([int(mask.argmax()) for _, mask in regions]).long(),
                    stride=torch.full_like(labels, SIZE * SIZE),
                )
            )
        return found


def explainer(rule, task="segmentation"):
    """What `Reader` needs of an `lcrp.Explainer`, for a model that answers by a rule."""
    calls = [None, colours, rule]
    nodes = [
        SimpleNamespace(call=call, inputs=(number - 1,) if number else ())
        for number, call in enumerate(calls)
    ]
    program = SimpleNamespace(
        graph=SimpleNamespace(nodes=nodes, outputs=(2,)),
        operations=[SimpleNamespace(forward=call) for call in calls],
        reads=[1, 1, 1],
        layers={"colours": 1},
    )
    return SimpleNamespace(
        model=Model(task), device=torch.device("cpu"), dtype=torch.float32,
        program=lambda size: program, layers={"colours": 4}, select=lambda names: list(names),
    )  # fmt: skip
