"""COCO JSON: boxes, polygons, run-length masks, crowds."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.coco_json import CocoFile, file_of, in_order, plain_id, read_coco
from lcrp.datasets.coco_masks import draw_mask
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
        file = read_coco(annotations)
        self.file, self.source = file, file.path
        wanted = set(read_coco(only).ids) if only else set(file.ids)
        places = {given: place for place, given in enumerate(file.ids) if given in wanted}
        if not places:
            raise InputError(f"{only}: it lists none of the images of {self.source}; check it")
        if not Path(images).is_dir():
            raise InputError(f"{images}: no such folder; check the path of the images")
        self._places = [places[given] for given in in_order(places)]
        files = _files(file, self._places, Path(images))
        self.annotated = file.annotated
        self._own = {given: index for index, given in enumerate(file.categories)}
        names = list(file.categories.values())
        if with_background and classes is None:
            classes = ["background", *names]
        class_map = ClassMap(names, classes, source=self.source, unknown=unknown)
        super().__init__(images, files, class_map, name_ids(files))
        self.masks = Path(masks) if masks else None
        self._annotations = self._by_image()
        self._stuff = _Stuff(stuff, self.classes) if stuff else None

    @property
    def listed(self) -> tuple[str, ...]:
        """Ids in the order of `images` in the JSON file."""
        return tuple(name for _, name in sorted(zip(self._places, self.ids, strict=True)))

    @property
    def entries(self) -> list[dict]:
        """What the JSON file says of the image of each sample."""
        return [self.file.images[place] for place in self._places]

    def _by_image(self):
        """Places of the annotations of each sample in the file."""
        found = {given: [] for given in self.file.ids}
        for number in range(len(self.file.annotations)):
            image, category = self.file.image_of(number), self.file.category_of(number)
            self.class_map.index(self._own[category], self.file.where(number))
            found[image].append(number)
        return [found[self.file.ids[place]] for place in self._places]

    def declared_size(self, sample):
        return self.file.size(self._places[sample.number])

    def read_things(self, sample):
        things, taken = [], Counter()
        for number in self._annotations[sample.number]:
            where = self.file.where(number)
            index = self.class_map.index(self._own[self.file.category_of(number)], where)
            region = None if index is None else _region(self.file, number, sample.size)
            if region is None:
                continue
            box, draw = region
            name = self.file.name(number)
            taken[name] += 1
            things.append(
                Thing(
                    id=name if taken[name] == 1 else f"{name}~{taken[name]}",
                    class_index=index,
                    class_name=self.classes[index],
                    box=box,
                    crowd=self.file.crowd(number),
                    draw=draw,
                )
            )
        return things

    def read_stuff(self, sample):
        if self._stuff is None:
            return []
        return self._stuff.regions(self.file.ids[self._places[sample.number]], sample.size)

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
        annotations = [self.file.annotations[n] for n in self._annotations[sample.number]]
        things = json.dumps(annotations, sort_keys=True)
        stuff = ""
        if self._stuff is not None:
            stuff = self._stuff.described(self.file.ids[self._places[sample.number]])
        return f"{self.declared_size(sample)} {things}{stuff}".encode()


class _Stuff:
    """Regions of a COCO JSON file, by image."""

    def __init__(self, path, classes):
        self.file = read_coco(path, images=False)
        self._found = {}
        for number in range(len(self.file.annotations)):
            name = self.file.categories[self.file.category_of(number)]
            if name not in classes:
                image = str(plain_id(self.file.annotations[number].get("image_id")))
                self._found.setdefault(image, []).append((number, name))

    def described(self, image):
        """What is annotated in an image, as JSON."""
        found = self._found.get(str(image), [])
        return json.dumps([(name, self.file.annotations[n]) for n, name in found], sort_keys=True)

    def regions(self, image, size):
        """The regions of an image, as things."""
        regions = []
        for number, name in self._found.get(str(image), []):
            region = _region(self.file, number, size)
            if region is not None:
                box, draw = region
                regions.append(Thing(self.file.name(number), -1, name, box, draw=draw))
        return regions


def _region(file, number, size):
    """Box and mask of an annotation, or None where it covers nothing of the image.

    Some tools write boxes without an area beside masks: then the box is that of the mask.
    """
    segmentation = file.annotations[number].get("segmentation")
    draw = partial(draw_mask, segmentation, size, file.where(number))
    box = file.box(number)
    if box is None:
        mask = draw()
        box = box_of(mask) if mask is not None and mask.any() else None
    return None if box is None or not has_area(box, size) else (box, draw)


def _files(file: CocoFile, places, images):
    """The files of images, relative to their folder; none is listed twice, none leaves it."""
    found, listed = [], {}
    for place in places:
        name = file_of(file.images[place]["file_name"], images)
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{file.path}: file_name {name} leaves the folder; correct it")
        if name in listed:
            raise InputError(
                f"{file.path}: images {file.ids[listed[name]]} and {file.ids[place]} are one file, "
                f"{name}; list it once, with the annotations of both"
            )
        listed[name] = place
        found.append(name)
    return found
