"""COCO JSON: boxes, polygons, run-length masks, crowds."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pycocotools import mask as run_lengths

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.images import read_labels
from lcrp.datasets.sample import Dataset, Thing, box_of, has_area, name_ids, paint
from lcrp.errors import InputError


class CocoDataset(Dataset):
    """Images annotated in a COCO JSON file (https://cocodataset.org/#format-data).

    Category ids may have gaps; classes are their sorted order. The samples are sorted by image id.

    Args:
        images: folder of the images.
        annotations: the JSON file.
        classes: names to map the categories onto, by name.
        with_background: put a class "background" at index 0.
        masks: folder of PNG class masks, named like the images, for `labels()`.
        only: COCO JSON file; only images whose ids it lists are taken.
        unknown: "error" or "ignore", for annotations of a class that is not in `classes`.
        stuff: COCO JSON file of regions that no model is to find (as COCO's stuff_*.json), for
            the same image ids; regions of a class of the dataset are left out.

    Raises:
        InputError: a file is missing or damaged, or contradicts itself.
    """

    format = "coco"

    def __init__(
        self,
        images: str | os.PathLike,
        annotations: str | os.PathLike,
        classes: Sequence[str] | None = None,
        with_background: bool = False,
        masks: str | os.PathLike | None = None,
        only: str | os.PathLike | None = None,
        unknown: str = "error",
        stuff: str | os.PathLike | None = None,
    ):
        self.source = Path(annotations)
        content = _read_json(self.source)
        entries = _checked_images(self.source, content)
        if only:
            wanted = {entry["id"] for entry in _checked_images(only, _read_json(only))}
            entries = [entry for entry in entries if entry["id"] in wanted]
            if not entries:
                raise InputError(f"{only}: it lists none of the images of {self.source}; check it")
        self.entries = sorted(entries, key=lambda entry: _order(entry["id"]))
        self.annotated = "annotations" in content
        categories = sorted(_checked_categories(self.source, content), key=lambda c: c["id"])
        self._own = {category["id"]: index for index, category in enumerate(categories)}
        names = [str(category["name"]) for category in categories]
        if with_background and classes is None:
            classes = ["background", *names]
        files = [Path(entry["file_name"]) for entry in self.entries]
        # A file name in the JSON must not lead out of the folder.
        outside = next((f for f in files if f.is_absolute() or ".." in f.parts), None)
        if outside is not None:
            raise InputError(f"{self.source}: file_name {outside} leaves the folder; correct it")
        if not Path(images).is_dir():
            raise InputError(f"{images}: no such folder; check the path of the images")
        class_map = ClassMap(names, classes, source=self.source, unknown=unknown)
        super().__init__(images, files, class_map, name_ids(files))
        self.masks = Path(masks) if masks else None
        self._annotations = self._by_image(content)
        self._stuff = _Stuff(stuff, self.classes) if stuff else None
        places = {entry["id"]: place for place, entry in enumerate(content["images"])}
        self._places = [places[entry["id"]] for entry in self.entries]

    @property
    def listed(self) -> tuple[str, ...]:
        """Ids in the order of `images` in the JSON file."""
        return tuple(name for _, name in sorted(zip(self._places, self.ids, strict=True)))

    def _by_image(self, content):
        found = {entry["id"]: [] for entry in content["images"]}
        for number, annotation in enumerate(content.get("annotations", [])):
            where = f"{self.source}: annotation {_name(annotation, number)}"
            if not isinstance(annotation, dict):
                raise InputError(f"{where}: not a JSON object; write the file again")
            if annotation.get("image_id") not in found:
                raise InputError(
                    f"{where}: its image_id {annotation.get('image_id')!r} is not in `images`; "
                    "add the image, or remove the annotation"
                )
            if annotation.get("category_id") not in self._own:
                raise InputError(
                    f"{where}: its category_id {annotation.get('category_id')!r} is not in "
                    f"`categories` ({_some(self._own)}); add the category, or correct the id"
                )
            self.class_map.index(self._own[annotation["category_id"]], where)
            found[annotation["image_id"]].append(annotation)
        return [found[entry["id"]] for entry in self.entries]

    def declared_size(self, sample):
        entry = self.entries[sample.number]
        if entry.get("height") and entry.get("width"):
            return int(entry["height"]), int(entry["width"])
        return None

    def read_things(self, sample):
        things = []
        for number, annotation in enumerate(self._annotations[sample.number]):
            where = f"{self.source}: annotation {_name(annotation, number)}"
            index = self.class_map.index(self._own[annotation["category_id"]], where)
            if index is None:
                continue
            draw = partial(draw_mask, annotation.get("segmentation"), sample.size, where)
            box = _box(annotation, where, draw)
            if box is None or not has_area(box, sample.size):
                continue
            things.append(
                Thing(
                    id=str(_name(annotation, number)),
                    class_index=index,
                    class_name=self.classes[index],
                    box=box,
                    crowd=bool(annotation.get("iscrowd", 0)),
                    draw=draw,
                )
            )
        return things

    def read_stuff(self, sample):
        if self._stuff is None:
            return []
        return self._stuff.regions(self.entries[sample.number]["id"], sample.size)

    def read_labels(self, sample):
        if self.masks is not None:
            labels = read_labels(
                self.masks / sample.path.relative_to(self.images).with_suffix(".png")
            )
            if labels.shape != sample.size:
                raise InputError(
                    f"{self.masks / sample.id}.png: its size {labels.shape} is not that of the "
                    f"image, {sample.size}; use the mask of this image"
                )
            return labels
        return paint(sample.things, sample.size, self.class_map.fill) if self.annotated else None

    def annotation_bytes(self, sample):
        things = json.dumps(self._annotations[sample.number], sort_keys=True)
        stuff = ""
        if self._stuff is not None:
            stuff = self._stuff.described(self.entries[sample.number]["id"])
        return f"{self.declared_size(sample)} {things}{stuff}".encode()


class _Stuff:
    """Regions of a COCO JSON file, by image."""

    def __init__(self, path, classes):
        self.path = Path(path)
        content = _read_json(self.path)
        names = {c["id"]: str(c["name"]) for c in _checked_categories(self.path, content)}
        self._found = {}
        for number, annotation in enumerate(content.get("annotations", [])):
            where = f"{self.path}: annotation {_name(annotation, number)}"
            if not isinstance(annotation, dict) or annotation.get("category_id") not in names:
                raise InputError(f"{where}: its category is not in `categories`; correct the file")
            name = names[annotation["category_id"]]
            if name not in classes:
                region = (where, name, annotation)
                self._found.setdefault(annotation.get("image_id"), []).append(region)

    def described(self, image):
        """What is annotated in an image, as JSON."""
        return json.dumps([region[1:] for region in self._found.get(image, [])], sort_keys=True)

    def regions(self, image, size):
        """The regions of an image, as things."""
        regions = []
        for number, (where, name, annotation) in enumerate(self._found.get(image, [])):
            draw = partial(draw_mask, annotation.get("segmentation"), size, where)
            box = _box(annotation, where, draw)
            if box is not None and has_area(box, size):
                regions.append(
                    Thing(str(_name(annotation, number)), -1, name, box, draw=draw),
                )
        return regions


def draw_mask(
    segmentation: list | dict | None, size: tuple[int, int], where: str
) -> np.ndarray | None:
    """The pixels of a COCO segmentation.

    Args:
        segmentation: polygons or run lengths.
        size: (height, width) of the image.
        where: file and annotation, for errors.

    Returns:
        (h, w) bool; None where nothing is drawn.

    Raises:
        InputError: it is neither, or of another size.
    """
    height, width = size
    try:
        if isinstance(segmentation, list):
            polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
            if not polygons:
                return None
            encoded = run_lengths.merge(run_lengths.frPyObjects(polygons, height, width))
        elif isinstance(segmentation, dict):
            if tuple(segmentation["size"]) != (height, width):
                raise InputError(
                    f"{where}: its mask has size {segmentation['size']}, its image "
                    f"{[height, width]}; correct the annotation"
                )
            encoded = segmentation
            if isinstance(segmentation["counts"], list):
                encoded = run_lengths.frPyObjects(segmentation, height, width)
        else:
            return None
        return run_lengths.decode(encoded).astype(bool)
    except InputError:
        raise
    except Exception as error:  # pycocotools raises plain Exceptions, ValueErrors and others
        raise InputError(
            f"{where}: its segmentation is neither polygons nor run lengths ({error}); correct it"
        ) from error


def _box(annotation, where, draw):
    if annotation.get("bbox"):
        try:
            x, y, width, height = (float(value) for value in annotation["bbox"])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{where}: its bbox {annotation['bbox']!r} is not [x, y, width, height]; correct it"
            ) from error
        if not np.isfinite([x, y, width, height]).all():
            raise InputError(f"{where}: its bbox {annotation['bbox']!r} is not finite; correct it")
        return x, y, x + width, y + height
    mask = draw()
    return box_of(mask) if mask is not None and mask.any() else None


def _read_json(path):
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the annotations") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a whole JSON file ({' '.join(str(error).split())[:120]}); get it again"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not in COCO format (a JSON object with `images`); check it")
    return content


def _checked_images(path, content):
    entries = content.get("images")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: no `images` in it, so not in COCO format; check the path")
    seen = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or "id" not in entry or not entry.get("file_name"):
            raise InputError(
                f"{path}: images[{number}] has no id or no file_name; "
                'write it as {"id": 1, "file_name": "a.jpg", "height": 480, "width": 640}'
            )
        if entry["id"] in seen:
            raise InputError(f"{path}: two images have the id {entry['id']}; give each its own")
        seen.add(entry["id"])
    return entries


def _checked_categories(path, content):
    categories = content.get("categories") or []
    for number, category in enumerate(categories):
        if not isinstance(category, dict) or not {"id", "name"} <= set(category):
            raise InputError(
                f"{path}: categories[{number}] has no id or no name; "
                'write it as {"id": 1, "name": "person"}'
            )
    return categories


def _order(number):
    return (isinstance(number, str), number)


def _name(annotation, number):
    return annotation.get("id", number) if isinstance(annotation, dict) else number


def _some(ids):
    ids = [str(i) for i in ids]
    return ", ".join(ids[:5]) + (f", ... {len(ids)} in all" if len(ids) > 5 else "")
