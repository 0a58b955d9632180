"""What a prediction is called in file names and on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lcrp.errors import InputError, nearest
from lcrp.files import file_name


@dataclass(frozen=True)
class Wanted:
    """Which prediction of an image is meant: the n-th of a class, or of all (class_index None).

    rank counts from 1.
    """

    class_index: int | None
    rank: int = 1


def parse_target(text, classes) -> Wanted:
    """What a target is called in file names, as the class and rank or the instance it means.

    Raises InputError with the nearest class names if there is no such class.
    """
    text = str(text)
    by_name = {}
    for index, name in enumerate(classes):
        for form in (str(name), file_name(name)):
            by_name.setdefault(form, index)
            by_name.setdefault(form.lower(), index)
    for form in (text, text.lower()):
        if form in by_name:
            return Wanted(by_name[form])
    if match := re.fullmatch(r"instance-([1-9]\d*)", text):
        return Wanted(None, rank=int(match[1]))
    if match := re.fullmatch(r"(.+)-([1-9]\d*)", text):
        stem = match[1]
        index = by_name.get(stem, by_name.get(stem.lower()))
        if index is not None:
            return Wanted(index, rank=int(match[2]))
    if text.isdecimal() and int(text) < len(classes):
        return Wanted(int(text))
    raise InputError(f"class {text}: unknown to the model; it knows {nearest(text, classes, 4)}")
