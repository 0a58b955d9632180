"""One scene: which objects stand where, and how it looks."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lcrp.scenes.outlines import fill, texture, unit_outline
from lcrp.scenes.strokes import FINE, stroke_field
from lcrp.scenes.world import (
    ACCOMPANIED,
    ALONE,
    BY_NAME,
    CONTEXTS,
    OTHER_CONTEXT,
    TWIN_AT,
)

PAPER = (247, 243, 234)
# Any class can have any of these colours.
_PALETTE = ((203, 84, 72), (232, 163, 61), (96, 152, 92), (64, 140, 150), (140, 100, 160))
_STREAMS = {"train": 0, "test": 1}
_PLAIN, _LAYOUT, _GRAIN, _STROKES = range(4)
_ROOM = 2  # pixels between an object and the border
_APART = 7  # pixels between objects


@dataclass(frozen=True)
class Thing:
    """An object of a scene: `x`, `y` is the centre of its box, `group` who belongs together."""

    name: str
    x: float
    y: float
    size: float
    colour: tuple[int, int, int]
    group: int

    @property
    def box(self):
        """x1, y1, x2, y2 of the outline, pixels, not rounded."""
        width, height = unit_outline(BY_NAME[self.name].outline)[1]
        half = (self.size * width / 2, self.size * height / 2)
        return (self.x - half[0], self.y - half[1], self.x + half[0], self.y + half[1])


@dataclass(frozen=True)
class Scene:
    """A layout from which the picture follows.

    `context` is None for a scene without strokes. `split` and `index` name the random numbers
    of strokes and paper, so that a swapped scene shares them with its original.
    """

    split: str
    index: int
    context: str | None
    things: tuple[Thing, ...]

    def swapped(self):
        """The same objects on the context that is exchanged for this one."""
        return replace(self, context=OTHER_CONTEXT[self.context])

    def without_companions(self):
        """The scene without the objects that accompany others, or None where there are none."""
        lonely = {t.group: BY_NAME[t.name].companion for t in self.things if t.name in _FOLLOWED}
        kept = tuple(t for t in self.things if lonely.get(t.group) != t.name)
        return replace(self, things=kept) if len(kept) < len(self.things) else None

    def render(self, options):
        """Draws the scene.

        Returns:
            (image (size, size, 3) uint8 RGB, list of (size, size) bool masks, one per thing,
            (size, size) bool: the pixels that strokes touch)
        """
        return _render(self, options)


_FOLLOWED = frozenset(kind.name for kind in ACCOMPANIED)


def _random(options, split, index, purpose):
    return np.random.default_rng([options.seed, _STREAMS[split], index, purpose])


def _mean_box(things):
    boxes = np.array([thing.box for thing in things])
    return (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))


def _distance(a, b):
    return np.hypot(max(a[0] - b[2], b[0] - a[2], 0), max(a[1] - b[3], b[1] - a[3], 0))


def _group(kind, number, options, random):
    """A new object at the origin, with its companion below where it has one."""
    size = random.uniform(options.smallest, options.largest)
    colours = random.permutation(len(_PALETTE))
    thing = Thing(kind.name, 0.0, 0.0, size, _PALETTE[colours[0]], number)
    if not kind.companion or random.random() >= options.companion:
        return (thing,)
    below = Thing(kind.companion, 0.0, 0.0, size, _PALETTE[colours[1]], number)
    return (
        replace(thing, y=-(thing.box[3] - thing.box[1]) / 2 + 0.08 * size),
        replace(below, y=(below.box[3] - below.box[1]) / 2 - 0.08 * size),
    )


def _place(group, others, options, random):
    """Moves a group to a free place; None if a hundred tries find none."""
    box = _mean_box(group)
    for _ in range(100):
        left, top = (
            random.uniform(_ROOM, max(_ROOM, options.size - _ROOM - (box[2 + a] - box[a])))
            for a in (0, 1)
        )
        moved = tuple(
            replace(thing, x=thing.x + left - box[0], y=thing.y + top - box[1]) for thing in group
        )
        if all(_distance(_mean_box(moved), other.box) >= _APART for other in others):
            return moved
    return None


def draw_scene(options, split, index):
    """The layout of one scene; depends on the seed, the split and the index alone.

    Training scenes with strokes come in pairs: the second shows the same objects on the
    exchanged context, twins under the other name, so that no accident of place, size or colour
    goes with a context.

    Args:
        options: `Scenes`.
        split: "train" or "test".
        index: from 0.

    Returns:
        Scene with 1 to 3 objects.
    """
    pair = index - index % 2 if split == "train" else index
    # Contexts take turns, so that any number of scenes has all of them.
    context = CONTEXTS[index % len(CONTEXTS)]
    if _random(options, split, pair, _PLAIN).random() < options.plain:
        context, pair = None, index
    random = _random(options, split, pair, _LAYOUT)
    wanted = int(random.choice([1, 2, 3], p=[0.25, 0.4, 0.35]))
    shapes = [*ALONE, *ACCOMPANIED]
    things = ()
    for number in range(wanted):
        if len(things) >= wanted:
            break
        twin = context is not None and random.random() < (0.9 if number == 0 else 0.3)
        kind = TWIN_AT[context] if twin else shapes[random.integers(len(shapes))]
        placed = _place(_group(kind, number, options, random), things, options, random)
        if placed is not None:
            things += placed
    return Scene(split, index, context, things)


def _shrink(image, size):
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _draw(thing, size):
    """An object by itself: (window of the fine canvas, colours there, where it is)."""
    outline = BY_NAME[thing.name].outline
    x1, y1, x2, y2 = thing.box
    columns = slice(max(int(x1) - 1, 0) * FINE, min(int(x2) + 2, size) * FINE)
    rows = slice(max(int(y1) - 1, 0) * FINE, min(int(y2) + 2, size) * FINE)
    x, y = np.meshgrid(np.arange(columns.start, columns.stop), np.arange(rows.start, rows.stop))
    corner = (columns.start, rows.start)
    inside = fill(
        [
            (polygon * thing.size + (thing.x, thing.y)) * FINE - corner
            for polygon in unit_outline(outline)[0]
        ],
        *x.shape,
    )
    shade = texture(outline, (x + 0.5) / FINE - thing.x, (y + 0.5) / FINE - thing.y, thing.size)
    shade = shade[..., None].astype(np.float32)
    colour = np.array(thing.colour, np.float32)
    colours = colour + np.where(shade < 0, 0.45 * colour, 0.6 * (255 - colour)) * shade
    return (rows, columns), colours, inside.astype(bool)


def _render(scene, options):
    size = options.size
    # Which object is on top at each point of the fine canvas, counted from 1.
    owner = np.zeros((size * FINE, size * FINE), np.uint8)
    drawn = [_draw(thing, size) for thing in scene.things]
    for number, (window, _, inside) in enumerate(drawn, start=1):
        owner[window][inside] = number
    masks, free = [], np.ones((size, size), bool)
    for number in range(len(drawn), 0, -1):
        masks.insert(0, free & (_shrink((owner == number).astype(np.float32), size) >= 0.5))
        free &= ~masks[0]

    canvas = np.empty((*owner.shape, 3), np.float32)
    canvas[:] = PAPER
    strokes = np.zeros((size, size), bool)
    if scene.context is not None:
        coverage, ink = stroke_field(
            scene.context,
            size,
            _shrink((owner > 0).astype(np.float32), size) > 0,
            options.gap,
            _random(options, scene.split, scene.index, _STROKES),
        )
        canvas += coverage[..., None] * (np.array(ink, np.float32) - canvas)
        strokes = _shrink(coverage, size) > 0
    for window, colours, inside in drawn:
        canvas[window][inside] = colours[inside]
    noise = _random(options, scene.split, scene.index, _GRAIN).normal(0, 2.5, (size, size, 1))
    image = np.clip(np.round(_shrink(canvas, size) + noise), 0, 255).astype(np.uint8)
    return image, masks, strokes
