"""Reference images of concepts: crops to where the strongest neuron sees.

Every reference starts from a sample in which the concept was most relevant (or most active).
Its heatmap is that of the one strongest neuron, conditioned on the class for which the sample
was chosen; it says where to crop and what to dim, as in the published figures. Relevance is linear
in where it starts, so that the class decides nothing but the heatmap's scale: it is left out, and
the neuron's own relevance is 1.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import cv2
import numpy as np

from lcrp.errors import InputError
from lcrp.file_names import plain
from lcrp.render.explanation import Reference

CROP_BELOW = 0.1  # of the largest smoothed relevance: what the crop leaves out
SPOT = 0.05  # of all that is strong: a separate spot that the crop leaves out
DIM_BELOW = 0.2  # and what is dimmed
LARGEST_TILE = 256  # pixels; larger crops are kept at this size
IMAGES_TOGETHER = 4  # in one forward pass
LEVELS = 1024  # of a kept heatmap, on each side of zero


class References:
    """The reference images of one store, computed once and kept.

    dataset: where the store's images come from. folder: directory in which computed references
    are kept between runs (None: nothing is kept). Several processes may share it.
    """

    def __init__(self, explainer, model, dataset, store, folder=None):
        self.explainer = explainer
        self.model = model
        self.store = store
        self.folder = None if folder is None else Path(folder) / fingerprint(store)[:16]
        self.samples = SamplesById(dataset)

    def of(self, layer, concepts, class_index=None, count=12, by="relevance"):
        """The best references of concepts of one layer.

        class_index: only samples of this class (None: of any). by: "relevance" (RelMax) or
        "activation" (ActMax). Returns {concept: at most `count` Reference, best first}.
        """
        keys = [(layer, int(concept), class_index) for concept in concepts]
        found = self.several(keys, count, by)
        return {concept: found[layer, concept, class_index] for _, concept, _ in keys}

    def several(self, keys, count=12, by="relevance"):
        """The best references of concepts of any layers and classes.

        keys: (layer, concept, class index or None). Returns {key: list of Reference}. What is
        not kept yet is computed together: each image is read and predicted once.
        """
        found, missing = {}, []
        for key in dict.fromkeys(keys):
            kept = self._read(*key, count, by)
            if kept is None:
                missing.append(key)
            else:
                found[key] = kept
        if missing:
            computed = self._compute(missing, count, by)
            for key, references in computed.items():
                self._write(*key, count, by, references)
            found |= computed
        return found

    def _compute(self, keys, count, by):
        references = {key: [] for key in keys}
        by_image = defaultdict(list)  # image row -> what is wanted from it
        for key in keys:
            for row in self._best(*key, count, by):
                place = len(references[key])
                references[key].append(Reference(row["image_id"], row["class_name"], row["value"]))
                by_image[row["image"]].append((key, place, row))
        images = list(by_image.values())
        for start in range(0, len(images), IMAGES_TOGETHER):
            for key, place, filled in self._of_images(images[start : start + IMAGES_TOGETHER]):
                references[key][place] = filled
        return references

    def _best(self, layer, concept, class_index, count, by):
        """Rows of the store as dicts, with the class for which each of them was chosen."""
        frame = self.store.best(layer, concept, by=by, class_index=class_index, k=count)
        if frame.empty and self.store.attrs.get("imported_from"):
            # Precomputed files often rank over all classes only.
            frame = self.store.best(layer, concept, by=by, k=count)
        rows = []
        for row in frame.to_dict("records"):
            if not row["value"] > 0:
                continue
            target = int(row["target"])
            if target < 0:
                target = self._most_relevant_target(layer, concept, int(row["image"]), class_index)
            chosen = "" if target is None else self._class_of(target)
            rows.append(
                {
                    "image": int(row["image"]),
                    "image_id": str(row["image_id"]),
                    "value": float(row["value"]),
                    "position": int(row["position"]),
                    "class_name": chosen,
                }
            )
        return rows

    def _class_of(self, target):
        index = int(self.store.targets["class"].iat[target])
        # An imported store may not know it.
        return str(self.store.classes[index]) if index >= 0 else ""

    def _most_relevant_target(self, layer, concept, image, class_index):
        """Of the targets of an image, the one to which the concept matters most."""
        targets = self.store.targets
        rows = np.flatnonzero(
            (targets["image"].to_numpy() == image)
            & ((targets["class"].to_numpy() == class_index) if class_index is not None else True)
        )
        if not len(rows):
            return None
        if not self.store.holds(layer, "relevance"):
            return int(rows[0])
        one = slice(concept, concept + 1)
        relevance = [
            abs(float(self.store.read(layer, "relevance", slice(row, row + 1), one)[0, 0]))
            for row in rows
        ]
        return int(rows[int(np.argmax(relevance))])

    def _of_images(self, wanted_of_images):
        pictures, inputs, geometries, neurons = [], [], [], {}
        for wanted in wanted_of_images:
            image_id = wanted[0][2]["image_id"]
            try:
                picture = self.samples[image_id].image()
            except InputError as problem:
                for key, place, row in wanted:
                    yield key, place, _without_picture(row, _short(problem))
                continue
            # Several keys may ask for a neuron: over all classes and of one class, say.
            for key, place, row in wanted:
                neuron = key[0], len(pictures), key[1], row["position"]
                neurons.setdefault(neuron, []).append((key, place, row))
            model_input, geometry = self.model.preprocess(picture)
            pictures.append(picture)
            inputs.append(model_input)
            geometries.append(geometry)
        if not neurons:
            return
        layers = list(dict.fromkeys(layer for layer, *_ in neurons))
        seen = self.explainer.forward(np.stack(inputs), layers)
        for layer in layers:
            asked = [neuron[1:] for neuron in neurons if neuron[0] == layer]
            heatmaps = self.explainer.neurons(seen, layer, *zip(*asked, strict=True))
            for neuron, heatmap in zip(asked, as_arrays(heatmaps), strict=True):
                heatmap = geometries[neuron[0]].map_to_original(heatmap)
                for key, place, row in neurons[layer, *neuron]:
                    yield key, place, _cropped(row, pictures[neuron[0]], heatmap)

    def _path(self, layer, concept, class_index, by):
        if self.folder is None:
            return None
        name = f"{concept}-{'all' if class_index is None else class_index}-{by}.npz"
        return self.folder / plain(layer) / name

    def _read(self, layer, concept, class_index, count, by):
        path = self._path(layer, concept, class_index, by)
        if path is None or not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as kept:
                facts = json.loads(str(kept["facts"]))
                if facts["asked"] < count:
                    return None
                return [
                    _from_kept(fact, kept, number)
                    for number, fact in enumerate(facts["references"][:count])
                ]
        except (
            OSError,
            ValueError,
            KeyError,
            BadZipFile,
        ):  # cut off by a full disk: computed again
            return None

    def _write(self, layer, concept, class_index, count, by, references):
        path = self._path(layer, concept, class_index, by)
        if path is None:
            return
        arrays, facts = {}, []
        for n, reference in enumerate(references):
            facts.append(
                {
                    name: getattr(reference, name)
                    for name in ("image_id", "class_name", "value", "window", "problem")
                }
            )
            if reference.picture is not None:
                arrays[f"picture{n}"] = reference.picture
                arrays[f"heatmap{n}"], facts[-1]["largest"] = _rounded(reference.heatmap)
                arrays[f"relevant{n}"] = reference.relevant
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        text = json.dumps({"asked": count, "references": facts})
        try:
            # Compressed at the lowest level: in a third of numpy's time, a few percent larger.
            with ZipFile(draft, "w", ZIP_DEFLATED, compresslevel=1) as archive:
                for name, array in {"facts": np.array(text), **arrays}.items():
                    with archive.open(f"{name}.npy", "w") as entry:
                        np.lib.format.write_array(entry, array, allow_pickle=False)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


class SamplesById:
    """The samples of a dataset by their id."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.rows = {id: row for row, id in enumerate(dataset.ids)}

    def __contains__(self, id):
        return str(id) in self.rows

    def __iter__(self):
        return iter(self.rows)

    def __getitem__(self, id):
        """The sample, or InputError if the dataset has none of this id."""
        try:
            return self.dataset[self.rows[str(id)]]
        except KeyError:
            raise InputError(f"{id}: not in the dataset; was it removed since?") from None


def fingerprint(store) -> str:
    """What the content of a store hashes to; references computed for another do not fit it."""
    digest = hashlib.sha256(json.dumps(store.attrs, sort_keys=True, default=str).encode())
    path = Path(store.path)
    if path.is_file():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def as_arrays(heatmaps) -> np.ndarray:
    """Heatmaps of the explainer as float32 numpy."""
    if hasattr(heatmaps, "detach"):
        heatmaps = heatmaps.detach().float().cpu().numpy()
    return np.asarray(heatmaps, dtype=np.float32)


def smoothed(heatmap: np.ndarray) -> np.ndarray:
    """Absolute relevance blurred over about 3 % of the picture, largest value 1; or all zero."""
    sigma = max(1.0, 0.012 * max(heatmap.shape))
    blurred = cv2.GaussianBlur(np.abs(heatmap), (0, 0), sigma)
    largest = blurred.max(initial=0.0)
    return blurred / largest if largest > 0 else np.zeros_like(blurred)


def crop_window(strength: np.ndarray) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 of the square around what is stronger than `CROP_BELOW`.

    strength: (h, w) of `smoothed`. Spots with less than `SPOT` of the strength do not count. The
    square is moved into the picture, cut where the picture is smaller, and no smaller than a
    tenth of the picture. None if nothing is strong.
    """
    height, width = strength.shape
    strong = strength > CROP_BELOW
    if not strong.any():
        return None
    count, regions = cv2.connectedComponents(strong.astype(np.uint8), connectivity=8)
    kept = strong
    if count > 2:  # the background and more than one spot
        mass = np.bincount(regions[strong], weights=strength[strong], minlength=count)
        kept = (mass >= SPOT * mass.sum())[regions] & strong
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    extents = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    side = max(*extents, round(0.1 * max(height, width)), min(16, height, width))
    (y1, y2), (x1, x2) = (
        _interval(found[0], found[-1] + 1, side, length)
        for found, length in ((rows, height), (columns, width))
    )
    return x1, y1, x2, y2


def _interval(first, last, side, length):
    side = int(min(side, length))
    start = round((first + last - side) / 2)
    start = min(max(start, 0), length - side)
    return start, start + side


def _cropped(row, picture, heatmap):
    strength = smoothed(heatmap)
    window = crop_window(strength)
    if window is None:
        return _without_picture(row, "no relevance at its position")
    x1, y1, x2, y2 = window
    picture, heatmap = picture[y1:y2, x1:x2], heatmap[y1:y2, x1:x2]
    relevant = strength[y1:y2, x1:x2]
    factor = LARGEST_TILE / max(picture.shape[:2])
    if factor < 1:
        size = (max(1, round((x2 - x1) * factor)), max(1, round((y2 - y1) * factor)))
        picture, heatmap, relevant = (
            cv2.resize(array, size, interpolation=cv2.INTER_AREA)
            for array in (picture, heatmap, relevant)
        )
    return Reference(
        image_id=row["image_id"],
        class_name=row["class_name"],
        value=row["value"],
        picture=np.ascontiguousarray(picture),
        heatmap=np.ascontiguousarray(heatmap, dtype=np.float32),
        relevant=relevant > DIM_BELOW,
        window=window,
    )


def _from_kept(fact, kept, number):
    if fact["window"] is None:
        return Reference(**fact)
    largest = fact.pop("largest")
    return Reference(
        **{**fact, "window": tuple(fact["window"])},
        picture=kept[f"picture{number}"],
        heatmap=kept[f"heatmap{number}"] * np.float32(largest / LEVELS),
        relevant=kept[f"relevant{number}"],
    )


def _rounded(heatmap):
    """(int16 heatmap in LEVELS steps of its largest value, that value)."""
    largest = float(np.abs(heatmap).max(initial=0.0))
    return np.rint(heatmap * np.float32(LEVELS / (largest or 1))).astype(np.int16), largest


def _without_picture(row, problem):
    return Reference(row["image_id"], row["class_name"], row["value"], problem=problem)


def _short(problem):
    """What is wrong, without the remedy, for a tile."""
    return str(problem).split(";")[0]
