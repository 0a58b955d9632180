"""What a prediction is called in file names and on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lcrp.errors import InputError, nearest
from lcrp.file_names import FileNames


@dataclass(frozen=True)
class Wanted:
    """Which prediction of an image is meant: the n-th of a class, or of all (class_index None).

    rank counts from 1.
    """

    class_index: int | None
    rank: int = 1


def parse_target(text: str, classes: Sequence[str]) -> Wanted:
    """What a target is called in file names, as the class and rank or the instance it means.

    Args:
        text: a class by name, as `FileNames` calls it, or by index; `<class>-<n>` for its n-th
            box or region; `instance-<n>` for the n-th of the image.
        classes: names by class index.

    Raises:
        InputError: there is no such class; it says which are near.
    """
    text, names = str(text), [str(name) for name in classes]
    if text in names:
        return Wanted(names.index(text))
    if match := re.fullmatch(r"instance-([1-9]\d*)", text):
        return Wanted(None, rank=int(match[1]))
    files = FileNames(names)
    for form, rank in _readings(text):
        with suppress(InputError):
            return Wanted(names.index(files.name(form)), rank)
    if text.isdecimal() and int(text) < len(names):
        return Wanted(int(text))
    raise InputError(f"class {text}: unknown to the model; it knows {nearest(text, names, 4)}")


def _readings(text):
    """(class, rank) that a text may mean: all of it a class, or a class and a number."""
    yield text, 1
    if match := re.fullmatch(r"(.+)-([1-9]\d*)", text):
        yield match[1], int(match[2])
