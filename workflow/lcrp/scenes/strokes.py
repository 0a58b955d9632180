"""Contexts: fields of strokes that keep off the objects."""

import cv2
import numpy as np

# Points per pixel side at which everything is drawn before it is averaged down.
FINE = 4
_SPACING = 9
_REACH = 8  # pixels from a stroke's centre that it stays within
_COLOURS = {
    "water": (88, 156, 214),
    "road": (124, 112, 106),
    "sky": (150, 140, 190),
    "meadow": (100, 150, 75),
}


def _wave(length):
    x = np.linspace(-length / 2, length / 2, 25)
    return [np.stack([x, 1.3 * np.sin(x / length * 4 * np.pi)], axis=1)]


def _paving(length):
    x, y = 0.44 * length, 0.27 * length
    return [np.array([(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)])]


def _cloud(length):
    bumps = []
    for centre, radius in ((-0.3, 0.16), (0.0, 0.24), (0.32, 0.15)):
        angles = np.linspace(np.pi, 2 * np.pi, 13)
        x, y = centre + radius * np.cos(angles), 1.3 * radius * np.sin(angles)
        bumps.append(np.stack([x * length, y * length + 1.4], axis=1))
    bumps.append(np.array([(-0.46 * length, 1.4), (0.47 * length, 1.4)]))
    return bumps


def _tuft(length):
    height = length * 0.62
    return [
        np.array([(0.0, height / 2), (lean * height, -height / 2 * tall)])
        for lean, tall in ((-0.45, 0.7), (0.02, 1.0), (0.5, 0.7))
    ]


_STROKES = {"water": _wave, "road": _paving, "sky": _cloud, "meadow": _tuft}


def stroke_field(context, size, taken, gap, random):
    """Strokes of a context over the whole image, none nearer than `gap` to an object.

    Strokes lie on a jittered grid, each drawn from its own random numbers, so that the same
    `random` gives the same strokes wherever two layouts both leave room.

    Args:
        context: one of `CONTEXTS`.
        size: side of the image, pixels.
        taken: (size, size) bool, the objects.
        gap: pixels between strokes and objects.
        random: `numpy.random.Generator`.

    Returns:
        ((FINE*size, FINE*size) float32 coverage 0..1, colour as three uint8 values)
    """
    side = size * FINE
    coverage = np.zeros((side, side), np.uint8)
    # One pixel more than the gap, because a pixel that a stroke only touches changes too.
    distance = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 5)
    forbidden = cv2.resize(
        (distance <= gap + 1).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST
    )
    cells = -(-size // _SPACING) + 1
    draws = random.random((cells, cells, 5))
    for row in range(cells):
        for column in range(cells):
            right, down, length, dark, turn = draws[row, column]
            # every other row is shifted, like bricks
            centre = _SPACING * np.array(
                [column + 0.5 * (row % 2) + 0.4 * (right - 0.5), row + 0.4 * (down - 0.5)]
            )
            if (centre > size + _SPACING / 2).any():
                continue
            corner = np.maximum(np.floor(centre).astype(int) - _REACH, 0)
            window = tuple(
                slice(start * FINE, (start + 2 * _REACH) * FINE) for start in corner[::-1]
            )
            stroke = np.zeros_like(coverage[window])
            angle = np.radians(8 * (turn - 0.5))
            rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            for line in _STROKES[context](6.0 + 2.0 * length):
                points = (line @ rotation + centre - corner) * FINE
                cv2.polylines(
                    stroke, [np.round(points * 16).astype(np.int32)], False, 1, 5, cv2.LINE_8, 4
                )
            if not (stroke & forbidden[window]).any():
                ink = stroke * np.uint8(175 + 80 * dark)
                coverage[window] = np.maximum(coverage[window], ink)
    return coverage.astype(np.float32) / 255, _COLOURS[context]
