"""Many figures in one go: which ones a gallery shows, and drawing them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.context.aggregation import target_notes
from lcrp.context.context_columns import NONE
from lcrp.errors import InputError
from lcrp.file_names import FileNames
from lcrp.render.figure import save_figure

TOGETHER = 24  # explanations that are held in memory, and share their reference images
COLUMNS = ("image", "target", "class", "score", "outside", "file", "problem")


def chosen_targets(store, images) -> list[tuple[str, str]]:
    """(image id, target name) of everything explained in some images of a store.

    images: how many, chosen so that as many classes as possible are seen, or their ids. An id
    without targets in the store is kept with the target "" so that the gallery can say so.
    """
    ids = [str(id) for id in store.images["id"]]
    targets = store.targets
    rows = targets["image"].to_numpy(np.int64)
    if isinstance(images, int):
        chosen = _covering(rows, targets["class"].to_numpy(np.int64), images)
    else:
        known = {id: row for row, id in enumerate(ids)}
        chosen = [known.get(str(id), str(id)) for id in images]
    names = []
    for image in chosen:
        if isinstance(image, str):
            names.append((image, ""))
            continue
        there = targets[rows == image]
        # An imported store may not know the class of a sample.
        labels = _target_names(store, there[there["class"] >= 0])
        names += [(ids[image], label) for label in dict.fromkeys(labels) or [""]]
    return names


def most_context_dependent(store, layer, count, without=()) -> list[tuple[str, str]]:
    """(image id, target name) of the predictions with most relevance outside their object.

    Of the targets that have a context score, by the share of the relevance of a layer's concepts;
    one of an image and at most a third of them of one class. without: pairs that are not taken.
    """
    targets = store.targets
    if not count or not len(targets) or not store.holds(layer, "inside"):
        return []
    whole = "landed" if store.holds(layer, "landed") else "relevance"
    inside = np.nan_to_num(store.read(layer, "inside")).sum(axis=1, dtype=np.float64)
    total = np.nan_to_num(store.read(layer, whole)).sum(axis=1, dtype=np.float64)
    usable = (target_notes(store, [layer]) == NONE) & (total > 0)
    usable &= targets["class"].to_numpy() >= 0  # an imported store may not know it
    share = np.where(usable, 1 - inside / np.where(total > 0, total, 1), -np.inf)
    ids = [str(id) for id in store.images["id"]]
    names = _target_names(store, targets)
    chosen, images, classes = [], set(), Counter()
    for row in np.argsort(-share, kind="stable"):
        if len(chosen) == count or not usable[row]:
            break
        image, of = int(targets["image"].iat[row]), int(targets["class"].iat[row])
        pair = ids[image], names[row]
        if image in images or classes[of] >= max(1, count // 3) or pair in without:
            continue
        chosen.append(pair)
        images.add(image)
        classes[of] += 1
    return chosen


def _target_names(store, targets):
    """What targets of a store are called in file names."""
    files = FileNames(store.classes)
    names = [files[store.classes[int(c)]] for c in targets["class"]]
    if store.attrs.get("target_mode") == "instance":
        names = [f"{name}-{int(n) + 1}" for name, n in zip(names, targets["instance"], strict=True)]
    return names


def _covering(images, classes, count):
    """Rows of images that together show many classes, richest first; ties by row."""
    shown, chosen = {}, []
    by_image = {int(i): set(classes[images == i].tolist()) for i in np.unique(images)}
    while by_image and len(chosen) < count:
        best = max(
            by_image, key=lambda i: (sum(1 / (1 + shown.get(c, 0)) for c in by_image[i]), -i)
        )
        chosen.append(best)
        for number in by_image.pop(best):
            shown[number] = shown.get(number, 0) + 1
    return chosen


def draw_explanations(composer, wanted, folder, settings, width=1600, progress=iter):
    """Draws explanations as `<folder>/<image>/<target>.png`.

    wanted: (image id, target name) pairs, as `chosen_targets` gives them. progress: wraps the
    iteration (tqdm, say). Returns a data frame with `COLUMNS`, one row per pair; what could not
    be drawn has no file and a problem.
    """
    folder, wanted = Path(folder), list(wanted)
    steps = iter(progress(wanted))
    rows = []
    for start in range(0, len(wanted), TOGETHER):
        composed = [
            _composed(composer, image, target, settings)
            for image, target in wanted[start : start + TOGETHER]
        ]
        drawable = [e for e in composed if not isinstance(e, InputError)]
        composer.add_references(drawable, settings)
        for (image, target), explanation in zip(
            wanted[start : start + TOGETHER], composed, strict=True
        ):
            next(steps)
            row = dict.fromkeys(COLUMNS, "") | {"image": image, "target": target}
            row |= {"score": np.nan, "outside": np.nan}
            if isinstance(explanation, InputError):
                row["problem"] = str(explanation)
            else:
                path = save_figure(explanation, folder / image / f"{target}.png", width)
                row |= {
                    "class": explanation.class_name,
                    "score": np.nan if explanation.score is None else explanation.score,
                    "outside": np.nan if explanation.outside is None else explanation.outside,
                    "file": path.relative_to(folder).as_posix(),
                }
            rows.append(row)
    next(steps, None)
    return pd.DataFrame(rows, columns=COLUMNS)


def _composed(composer, image, target, settings):
    """An explanation without references, or the InputError that says why there is none."""
    try:
        if not target:
            composer.picture(image)
            raise InputError(f"{image}: nothing was explained in this image")
        return composer.without_references(image, target, settings)
    except InputError as problem:
        return problem
