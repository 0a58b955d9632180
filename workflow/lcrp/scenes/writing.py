"""Write the scenes: PNG images and masks, COCO annotations, the truth."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as run_lengths

from lcrp.configuration import Scenes, parse_entries
from lcrp.files import whole
from lcrp.scenes.scene import draw_scene
from lcrp.scenes.world import CONTEXTS, class_names, label_of, truth

SPLITS = ("train", "test", "swapped")
# Room for the ids of a scene's variants, and of the objects in an image.
_VARIANTS = 2
_OBJECTS = 10


def _variants(options, split, index):
    """(file name, image id, scene, what was swapped) of the pictures made of one scene."""
    scene = draw_scene(options, "train" if split == "train" else "test", index)
    if split != "swapped":
        yield f"{index:06d}.png", index + 1, scene, None
        return
    if scene.context is not None:
        yield f"{index:06d}-context.png", index * _VARIANTS + 1, scene.swapped(), "context"
    lonely = scene.without_companions()
    if lonely is not None:
        yield f"{index:06d}-companion.png", index * _VARIANTS + 2, lonely, "companion"


def _write_scene(options, split, directory, index):
    """Write the pictures of one scene; returns their COCO entries (images, objects, strokes)."""
    names = class_names(options.merge_twins)
    images, annotations, fields = [], [], []
    for file, number, scene, swap in _variants(options, split, index):
        image, masks, strokes = scene.render(options)
        labels = np.zeros(image.shape[:2], np.uint8)
        entry = {
            "id": number,
            "file_name": file,
            "height": options.size,
            "width": options.size,
            "context": scene.context,
        }
        if swap is not None:
            entry |= {"original": f"{index:06d}.png", "swap": swap}
        images.append(entry)
        for place, (thing, mask) in enumerate(zip(scene.things, masks, strict=True)):
            category = names.index(label_of(thing.name, options.merge_twins)) + 1
            labels[mask] = category
            annotation = _annotation(number * _OBJECTS + place, number, category, mask)
            annotations.append(annotation | {"group": thing.group})
        if strokes.any():
            category = CONTEXTS.index(scene.context) + 1
            fields.append(_annotation(number, number, category, strokes))
        _write_png(directory / "images" / file, image[..., ::-1])
        _write_png(directory / "masks" / file, labels)
    return images, annotations, fields


def _annotation(own, image, category, mask):
    """COCO's entry for a mask."""
    run = run_lengths.encode(np.asfortranarray(mask.astype(np.uint8)))
    ys, xs = np.nonzero(mask)
    low, high = (xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)
    return {
        "id": own,
        "image_id": image,
        "category_id": category,
        "bbox": [float(v) for v in (*low, high[0] - low[0], high[1] - low[1])],
        "area": float(mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": run["size"], "counts": run["counts"].decode()},
    }


def _categories(names):
    return [{"id": number, "name": name} for number, name in enumerate(names, start=1)]


def _write_png(path, pixels):
    # cv2.imwrite does not say when the disk is full.
    path.write_bytes(cv2.imencode(".png", pixels)[1])


def write_split(
    options: "Scenes | Mapping",
    split: str,
    directory: str | os.PathLike,
    workers: int = 1,
    progress: Callable[[Sequence], Iterable] = iter,
) -> Path:
    """Draw one split into a directory, which appears when it is complete.

    `images/*.png` (RGB), `masks/*.png` (0 background, then the classes in the order of
    `class_names`; 255 is not used) and `annotations.json` (COCO: boxes, run-length masks; each
    image also names its `context`) and `stuff.json` (COCO: the strokes, as regions of contexts,
    which no model is to find). The split "swapped" holds variants of the held-out scenes,
    annotated with the classes that the objects had before: `<scene>-context.png` on the
    exchanged context, `<scene>-companion.png` without the companions; their entries name the
    `original` and the `swap`. The ids of images and objects depend on the scene alone, so
    that more scenes only add entries.

    Args:
        options: `Scenes` or a dict of them.
        split: "train", "test" or "swapped".
        directory: replaced if it exists.
        workers: number of processes; the files do not depend on it.
        progress: wraps the numbers of the scenes, as tqdm does.

    Returns:
        Path of the annotations.
    """
    options = parse_entries(Scenes, options, "scenes")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; choose from {', '.join(SPLITS)}")
    directory = Path(directory)
    with whole(directory) as part:
        for name in ("images", "masks"):
            (part / name).mkdir(parents=True)
        entries = _write_pictures(options, split, part, workers, progress)
        images, objects, fields = (
            [found for scene in entries for found in scene[kind]] for kind in range(3)
        )
        for name, found, names in (
            ("annotations", objects, class_names(options.merge_twins)),
            ("stuff", fields, CONTEXTS),
        ):
            coco = {"images": images, "annotations": found, "categories": _categories(names)}
            (part / f"{name}.json").write_text(json.dumps(coco))
    return directory / "annotations.json"


def _write_pictures(options, split, directory, workers, progress):
    count = options.train if split == "train" else options.test
    write = partial(_write_scene, options, split, directory)
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            written = pool.map(write, range(count), chunksize=16)
            return [entries for _, entries in zip(progress(range(count)), written, strict=True)]
    return [write(index) for index in progress(range(count))]


def write_truth(options: "Scenes | Mapping", path: str | os.PathLike) -> Path:
    """Write `truth(options)` as JSON, whole or not at all; returns the path."""
    with whole(path) as part:
        known = truth(parse_entries(Scenes, options, "scenes"))
        part.write_text(json.dumps(known, indent=2) + "\n")
    return Path(path)


def write_scenes(
    options: "Scenes | Mapping",
    directory: str | os.PathLike,
    workers: int = 1,
    progress: Callable[[Sequence], Iterable] = iter,
) -> Path:
    """Draw the whole dataset: `train/`, `test/`, `swapped/` and `truth.json` in a directory."""
    directory = Path(directory)
    for split in SPLITS:
        write_split(options, split, directory / split, workers, progress)
    write_truth(options, directory / "truth.json")
    return directory
