"""COCO JSON files as tools write them, checked and understood entry by entry."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from lcrp.errors import InputError, nearest

_OF_AN_IMAGE = '{"id": 1, "file_name": "a.jpg", "height": 480, "width": 640}'
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", "", "none", "null")


@dataclass(frozen=True)
class CocoFile:
    """The content of a COCO JSON file.

    Attributes:
        path: of the file.
        images: its image entries, in its order.
        ids: of each image, an int or text, as `plain_id` understands it.
        categories: {category id: name}, in ascending order of the ids.
        annotations: its annotation entries as they stand in the file.
        annotated: whether the file has annotations at all, be they none.
    """

    path: Path
    images: list[dict]
    ids: list
    categories: dict
    annotations: list[dict] = field(default_factory=list)
    annotated: bool = True

    def image_of(self, number: int):
        """Id of the image that an annotation is about.

        Raises:
            InputError: the file has no such image.
        """
        return self._known(number, "image_id", self.ids, "`images`", "add the image, or remove it")

    def category_of(self, number: int):
        """Id of the category of an annotation.

        Raises:
            InputError: the file has no such category, or is of another kind than instances.
        """
        self._check_kind(self.annotations[number])
        return self._known(
            number, "category_id", self.categories, "`categories`", "add it, or correct the id"
        )

    def where(self, number: int) -> str:
        """The file and the annotation, for errors."""
        return f"{self.path}: annotation {self.name(number)}"

    def name(self, number: int) -> str:
        """The id of an annotation, or its place in the file where it has none."""
        given = self.annotations[number].get("id")
        return str(number if given is None else given)

    def size(self, image: int) -> tuple[int, int] | None:
        """(height, width) that the file says of an image; None where it does not.

        Raises:
            InputError: it says something else than two positive numbers.
        """
        entry = self.images[image]
        if not entry.get("height") or not entry.get("width"):
            return None
        sides = []
        for name in ("height", "width"):
            side = _number(entry[name])
            if side is None or side != int(side) or side < 1:
                raise InputError(
                    f"{self.path}: images[{image}]: its {name} is {entry[name]!r}; "
                    f"write it as {_OF_AN_IMAGE}"
                )
            sides.append(int(side))
        return tuple(sides)

    def crowd(self, number: int) -> bool:
        """Whether an annotation is a region of many objects that were not told apart."""
        given = self.annotations[number].get("iscrowd")
        text = str(given).strip().lower()
        if given is True or text in _YES or _number(given) == 1:
            return True
        if given in (None, False) or text in _NO or _number(given) == 0:
            return False
        raise InputError(f"{self.where(number)}: its iscrowd is {given!r}; write 0 or 1")

    def box(self, number: int) -> tuple[float, float, float, float] | None:
        """(x1, y1, x2, y2) of an annotation's bbox in pixels; None where it has none with an area.

        Raises:
            InputError: its bbox is not four finite numbers.
        """
        given = self.annotations[number].get("bbox")
        if not given:
            return None
        values = [_number(value) for value in given] if isinstance(given, list | tuple) else []
        if len(values) != 4 or None in values:
            raise InputError(
                f"{self.where(number)}: its bbox {given!r} is not [x, y, width, height]; correct it"
            )
        if not all(map(math.isfinite, values)):
            raise InputError(f"{self.where(number)}: its bbox {given!r} is not finite; correct it")
        x, y, width, height = values
        return (x, y, x + width, y + height) if width > 0 and height > 0 else None

    def _known(self, number, key, known, place, remedy):
        given = self.annotations[number].get(key)
        found = plain_id(given)
        for meant in (found, str(found), _whole(found)):
            if meant is not None and meant in known:
                return meant
        raise InputError(
            f"{self.where(number)}: its {key} {given!r} is not in {place} ({_some(known)}); "
            f"{remedy}"
        )

    def _check_kind(self, annotation):
        """Name files of another kind, whose annotations have no category."""
        if "segments_info" in annotation:
            kind = "a panoptic file: give the one with instances, or masks as `format: masks`"
        elif "caption" in annotation:
            kind = "a file of captions: give the one with instances"
        else:
            return
        raise InputError(f"{self.path}: {kind}")


def read_coco(path: str | os.PathLike, images: bool = True) -> CocoFile:
    """Read a COCO JSON file.

    Args:
        path: of the file.
        images: whether it has to list images; one of stuff may leave that to another file.

    Raises:
        InputError: it cannot be read, is of another kind, or has images or categories that are
            not what they should be.
    """
    path = Path(path)
    content = _content(path)
    entries = _images(path, content) if images or content.get("images") else []
    annotations = content.get("annotations")
    annotations = [] if annotations is None else annotations
    if not isinstance(annotations, list):
        raise InputError(f"{path}: its `annotations` are no list; write the file again")
    for number, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            raise InputError(
                f"{path}: annotation {number}: not a JSON object; write the file again"
            )
    ids = [plain_id(entry["id"]) for entry in entries]
    _check_unique(path, ids)
    categories = _categories(path, content)
    return CocoFile(path, entries, ids, categories, annotations, "annotations" in content)


def plain_id(given):
    """An id as tools write it (12, 12.0, "12 ") as an int or text; None for what is no id."""
    if isinstance(given, bool) or given is None:
        return None
    if isinstance(given, float):
        return int(given) if math.isfinite(given) and given == int(given) else None
    return given.strip() if isinstance(given, str) else given if isinstance(given, int) else None


def in_order(ids) -> list:
    """Ids in ascending order, numbers before texts."""
    return sorted(ids, key=lambda given: (isinstance(given, str), given))


def file_of(name: str, images: Path) -> Path:
    """The file that a `file_name` means, relative to the folder of the images.

    Tools write backslashes, paths of another machine, the folder itself once more, or URLs: the
    longest ending of such a name that is a file there is meant.
    """
    plain = Path(name)
    if not _leaves(plain) and (images / plain).is_file():
        return plain
    parts = name.split("?")[0].replace("\\", "/").split("/")
    parts = [part for part in parts if part not in ("", ".")]
    for start in range(len(parts)):
        ending = Path(*parts[start:])
        if not _leaves(ending) and (images / ending).is_file():
            return ending
    return plain


def _leaves(path):
    return path.is_absolute() or ".." in path.parts


def _content(path):
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the annotations") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not a whole JSON file ({' '.join(str(error).split())[:120]}); get it again"
        ) from error
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict) and {"image_id", "category_id"} <= set(first):
        raise InputError(
            f"{path}: a file of results (predictions), not of annotations; give the annotations "
            "of the images"
        )
    if not isinstance(content, dict):
        raise InputError(f"{path}: not in COCO format (a JSON object with `images`); check it")
    return content


def _images(path, content):
    entries = content.get("images")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: no `images` in it, so not in COCO format; check the path")
    for number, entry in enumerate(entries):
        named = isinstance(entry, dict) and isinstance(entry.get("file_name"), str)
        if not named or not entry["file_name"].strip() or plain_id(entry.get("id")) is None:
            raise InputError(
                f"{path}: images[{number}] has no id or no file_name; write it as {_OF_AN_IMAGE}"
            )
    return entries


def _check_unique(path, ids):
    seen = {}
    for number, given in enumerate(ids):
        if str(given) in seen:
            raise InputError(
                f"{path}: two images have the id {given} (images[{seen[str(given)]}] and "
                f"images[{number}]); give each its own"
            )
        seen[str(given)] = number


def _categories(path, content):
    categories, found = content.get("categories") or [], {}
    if not isinstance(categories, list):
        raise InputError(f"{path}: its `categories` are no list; write the file again")
    for number, category in enumerate(categories):
        known = isinstance(category, dict) and category.get("name") is not None
        given = plain_id(category.get("id")) if known else None
        if given is None:
            raise InputError(
                f"{path}: categories[{number}] has no id or no name; "
                'write it as {"id": 1, "name": "person"}'
            )
        if given in found:
            raise InputError(
                f"{path}: the categories {found[given]!r} and {category['name']!r} have the id "
                f"{given}; give each its own"
            )
        found[given] = str(category["name"])
    return {given: found[given] for given in in_order(found)}


def _number(given):
    """A number that is written as one or as text; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        return float(given)
    except (ValueError, OverflowError):
        return None


def _whole(given):
    """The number that a text of digits means, else None."""
    return int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else None


def _some(ids):
    return nearest("", ids, 5) if len(ids) < 6 else f"{nearest('', ids, 5)}, ... {len(ids)} in all"
