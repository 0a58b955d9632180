"""Lines of YOLO text labels as tools write them."""

from collections.abc import Sequence
from math import isfinite

from lcrp.errors import InputError

# Writers of labels round: a coordinate may leave the image by as much.
SLACK = 0.01
# What leaves it further, as boxes around half an object do, is cut at the edge; but no pixels.
LOOSE = 0.1
OUTLINES, POSES = "outlines", "poses"


def numbers_of(line: str, where: str) -> tuple[int, list[float]]:
    """The class of a line, and its other numbers; blanks, commas and semicolons divide them.

    Raises:
        InputError: it holds something else.
    """
    try:
        own, *numbers = (float(word) for word in line.replace(",", " ").replace(";", " ").split())
    except ValueError as error:
        raise _malformed(where, line) from error
    if not own.is_integer() or len(numbers) < 4:
        raise _malformed(where, line)
    return int(own), numbers


def layout(lines: Sequence[Sequence[float]]) -> str:
    """What follows the first four numbers of long lines: `OUTLINES` or `POSES`.

    Poses are a box, then as many points in every line, all of them in the box or left out (0, 0),
    each with its visibility (0, 1 or 2) or without. Outlines have any number of points, or corners
    that the box of the first four numbers would not hold.

    Args:
        lines: numbers after the class, of lines with more than a box and a confidence.
    """
    counts = {len(numbers) for numbers in lines}
    if len(counts) != 1:
        return OUTLINES
    for step in (3, 2):
        if all(_holds(numbers, step) for numbers in lines):
            return POSES
    return OUTLINES


def box_and_outline(
    numbers: Sequence[float], kind: str, where: str, line: str
) -> tuple[tuple[float, float, float, float], list[float] | None]:
    """What a line draws, relative to the image.

    Args:
        numbers: after the class.
        kind: `OUTLINES` or `POSES`, of the longer lines.
        where: file and line, for the error.
        line: as it stands in the file.

    Returns:
        (x1, y1, x2, y2), and the outline (x, y, x, y, ...) or None.

    Raises:
        InputError: the numbers are no such thing, or are pixels.
    """
    count = len(numbers)
    outlined = count > 5 and kind == OUTLINES
    if outlined:
        # A confidence may follow the points.
        numbers = numbers[: count - count % 2]
        if len(numbers) < 6:
            raise _malformed(where, line)
    else:
        numbers = numbers[:4]
    if not all(isfinite(n) and -LOOSE <= n <= 1 + LOOSE for n in numbers):
        raise InputError(
            f"{where}: {line.strip()[:60]!r} has coordinates outside 0 to 1; divide x by the "
            "width and y by the height of the image"
        )
    if outlined:
        points = [_cut(n) for n in numbers]
        xs, ys = points[0::2], points[1::2]
        return (min(xs), min(ys), max(xs), max(ys)), points
    x, y, width, height = numbers
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if all(-SLACK <= n <= 1 + SLACK for n in numbers):
        return box, None
    return tuple(min(max(edge, 0), 1) for edge in box), None


def _cut(value):
    return value if -SLACK <= value <= 1 + SLACK else min(max(value, 0), 1)


def _holds(numbers, step):
    """Whether numbers are a box and points of `step` numbers each that lie in it."""
    x, y, width, height = numbers[:4]
    rest = numbers[4:]
    if len(rest) % step or not rest or not (0 < width <= 1 and 0 < height <= 1):
        return False
    points = [rest[place : place + step] for place in range(0, len(rest), step)]
    if step == 3 and any(point[2] not in (0, 1, 2) for point in points):
        return False
    return all(
        (px == py == 0) or (abs(px - x) <= 0.55 * width and abs(py - y) <= 0.55 * height)
        for px, py, *_ in points
    )


def _malformed(where, line):
    return InputError(
        f"{where}: {line.strip()[:60]!r} is not `class x y width height` or "
        "`class x1 y1 x2 y2 x3 y3 ...`; correct the line"
    )
