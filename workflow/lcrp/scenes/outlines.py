"""The shapes of the objects, all with the same area, and their fine textures."""

from functools import cache

import cv2
import numpy as np

# Share of a size x size square that an object covers, whatever its class.
AREA = 0.55
_FINE = 1024


def _ellipse(cx, cy, rx, ry, start=0.0, end=360.0, points=48):
    angles = np.radians(np.linspace(start, end, points))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def _hull():
    body = [(-0.50, 0.0), (0.46, 0.0), (0.50, 0.06), (0.50, 0.16), (0.40, 0.27), (-0.40, 0.27)]
    body.append((-0.50, 0.16))
    cabin = [(-0.34, 0.02), (-0.26, -0.26), (0.14, -0.26), (0.30, 0.02)]
    return [body, cabin]


def _globe():
    return [
        _ellipse(0, -0.12, 0.36, 0.36),
        [(-0.22, 0.12), (0.22, 0.12), (0.09, 0.32), (-0.09, 0.32)],
        [(-0.09, 0.30), (0.09, 0.30), (0.09, 0.50), (-0.09, 0.50)],
    ]


def _star():
    angles = np.radians(-90 + 36 * np.arange(10))
    radii = np.where(np.arange(10) % 2 == 0, 0.55, 0.26)
    return [np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)]


def _heart():
    t = np.linspace(0, 2 * np.pi, 96)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [np.stack([x / 34, y / 34], axis=1)]


def _cross():
    a, b = 0.17, 0.5
    upright = [(-a, -b), (a, -b), (a, b), (-a, b)]
    return [upright, [(-b, -a), (b, -a), (b, a), (-b, a)]]


def _bicycle():
    return [
        _ellipse(-0.34, 0.08, 0.25, 0.25),
        _ellipse(0.34, 0.08, 0.25, 0.25),
        [(-0.30, -0.10), (0.30, -0.10), (0.30, 0.06), (-0.30, 0.06)],
        [(0.22, -0.28), (0.42, -0.28), (0.42, -0.18), (0.36, -0.18), (0.36, 0.0), (0.24, 0.0)],
    ]


def _rider():
    back = [(-0.18, 0.50), (-0.24, -0.16), (0.22, -0.16)]
    arm_and_leg = [(0.46, 0.10), (0.38, 0.20), (0.16, 0.04), (0.18, 0.50)]
    return [_ellipse(0.02, -0.36, 0.19, 0.19), back + arm_and_leg]


_POLYGONS = {
    "hull": _hull,
    "globe": _globe,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "bicycle": _bicycle,
    "rider": _rider,
}
OUTLINES = tuple(_POLYGONS)


def fill(polygons, height, width):
    """The union of polygons as a (height, width) uint8 mask of 0 and 1.

    Args:
        polygons: list of (n, 2) arrays of x, y in pixels.
    """
    mask = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        points = np.round(np.asarray(polygon) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, lineType=cv2.LINE_8, shift=4)
    return mask


@cache
def unit_outline(name):
    """The polygons of an outline for size 1: centred on its box, area `AREA`.

    Returns:
        (tuple of (n, 2) arrays, (width, height) of the box)
    """
    polygons = [np.asarray(polygon, float) for polygon in _POLYGONS[name]()]
    area = fill([(p + 1) * _FINE / 2 for p in polygons], _FINE, _FINE).mean() * 4
    points = np.concatenate(polygons)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = np.sqrt(AREA / area)
    return (
        tuple((polygon - (low + high) / 2) * scale for polygon in polygons),
        tuple((high - low) * scale),
    )


def texture(name, x, y, size):
    """Shade of an object at points of its own frame.

    Args:
        name: the outline.
        x, y: arrays, pixels from the centre of the object's box.
        size: the object's size, pixels.

    Returns:
        array of -1 (darkest) to 1 (lightest); 0 is the object's own colour.
    """
    u, v = x / size, y / size
    if name == "hull":  # two windows, a band along the side
        window = (v > -0.24) & (v < -0.06) & (np.abs(np.abs(u + 0.04) - 0.12) < 0.08)
        return np.where(window, 1.0, np.where((v > 0.1) & (v < 0.2), -1.0, 0.0))
    if name == "globe":  # ribs from pole to pole
        width = np.sqrt(np.clip(0.17 - (v + 0.12) ** 2, 0.01, None))
        ribs = np.sign(np.sin(np.clip(u / width, -1, 1) * 2.5 * np.pi))
        return np.where(v > 0.3, -1.0, np.where(ribs > 0, 0.35, -0.35))
    if name == "star":  # dots
        dots = np.cos(2 * np.pi * x / 4) * np.cos(2 * np.pi * y / 4)
        return np.where(dots > 0.35, 1.0, -0.1)
    if name == "heart":  # slanted stripes
        return np.sign(np.sin(2 * np.pi * (x + y) / 4.5)) * 0.45
    if name == "cross":  # checks
        return np.sign(np.sin(2 * np.pi * x / 5) * np.sin(2 * np.pi * y / 5)) * 0.5
    if name == "bicycle":  # tyres and hubs
        radius = np.hypot(np.abs(u) - 0.36, v - 0.1)
        return np.where(radius < 0.075, 1.0, np.where((radius > 0.17) & (v > -0.1), -1.0, -0.1))
    # the rider's striped jersey
    return np.where(v > -0.19, np.sign(np.sin(2 * np.pi * y / 4)) * 0.55, 0.6)
