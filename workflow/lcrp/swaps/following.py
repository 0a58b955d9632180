"""The intervention on the scenes: the same objects on exchanged contexts."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from lcrp.datasets.classes import background_classes
from lcrp.datasets.sample import Dataset
from lcrp.models import Model
from lcrp.object_masks import FOUND, box_overlaps
from lcrp.quality.predicting import predict

OUTCOMES = ("follows", "stays", "other", "missed")


def swap_following(
    model: Model,
    test: Dataset,
    swapped: Dataset,
    truth: dict,
    *,
    batch_size: int = 8,
    progress: Callable[[Sequence], Iterable] = iter,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per class, how often the prediction follows the context and how often it stays.

    Args:
        model: trained on scenes.
        test: the held-out scenes, a dataset of the format "coco".
        swapped: their swapped variants, likewise.
        truth: what `lcrp.scenes.truth` returned for them.
        batch_size: images at a time.
        progress: wraps the samples of the one dataset, then those of the other.

    Returns:
        (table of `summarise_swaps`, objects of `follow_swaps`)
    """
    objects = follow_swaps(model, test, swapped, truth, batch_size=batch_size, progress=progress)
    return summarise_swaps(objects, truth), objects


def follow_swaps(
    model: Model,
    test: Dataset,
    swapped: Dataset,
    truth: dict,
    *,
    batch_size: int = 8,
    progress: Callable[[Sequence], Iterable] = iter,
) -> pd.DataFrame:
    """What the model says about each object before and after a swap; see `swap_following`.

    An object's prediction is, for segmentation, the class of most of its pixels, and for
    detection the class of the most confident candidate with an IoU of at least 0.5.

    Returns:
        One row per object and swap: `image`, `original` (ids), `swap` ("context" or
        "companion"), `class`, `from`, `to` (contexts; "" without strokes), `before`, `after`
        (predicted classes; "" for none), `outcome` (follows: a class that belongs to the new
        context; stays: its own class; other; missed: no class at all), `x1`, `y1`, `x2`, `y2`.
    """
    names = {sample.file: sample.id for sample in test}
    before = {
        sample.file: (sample, prediction)
        for sample, prediction in predict(
            model, test, candidates=True, batch_size=batch_size, progress=progress
        )
    }
    contexts = {name: entry["context"] for name, entry in truth["classes"].items()}
    rows = []
    for sample, prediction in predict(
        model, swapped, candidates=True, batch_size=batch_size, progress=progress
    ):
        entry = swapped.entries[sample.number]
        original, first = before[entry["original"]]
        for thing in sample.things:
            after = _said(model, prediction, thing)
            rows.append(
                {
                    "image": sample.id,
                    "original": names[entry["original"]],
                    "swap": entry["swap"],
                    "class": thing.class_name,
                    "from": test.entries[original.number]["context"] or "",
                    "to": entry["context"] or "",
                    "before": _said(model, first, thing),
                    "after": after,
                    "outcome": _outcome(thing.class_name, after, entry, contexts),
                    **dict(zip(("x1", "y1", "x2", "y2"), thing.box, strict=True)),
                }
            )
    columns = ["image", "original", "swap", "class", "from", "to", "before", "after", "outcome"]
    return pd.DataFrame(rows, columns=[*columns, "x1", "y1", "x2", "y2"])


def summarise_swaps(objects: pd.DataFrame, truth: dict) -> pd.DataFrame:
    """Shares of outcomes per class and swap.

    Companions' swaps are summarised for the classes that have a companion.

    Returns:
        Columns `class`, `kind`, `swap`, `objects`, `recognised` (share with the right class
        before the swap), `follows`, `stays`, `other`, `missed` (shares of all objects).
    """
    rows = []
    for swap in ("context", "companion"):
        for name, entry in truth["classes"].items():
            if swap == "companion" and not entry["companion"]:
                continue
            mine = objects[(objects["class"] == name) & (objects["swap"] == swap)]
            shares = mine["outcome"].value_counts(normalize=True)
            rows.append(
                {
                    "class": name,
                    "kind": entry["kind"],
                    "swap": swap,
                    "objects": len(mine),
                    "recognised": (mine["before"] == name).mean() if len(mine) else np.nan,
                    **{o: shares.get(o, 0.0) if len(mine) else np.nan for o in OUTCOMES},
                }
            )
    return pd.DataFrame(rows)


def choose_examples(objects: pd.DataFrame, per_class: int = 1) -> pd.DataFrame:
    """Objects worth showing: recognised before the swap, with their class's usual outcome.

    Args:
        objects: what `follow_swaps` returned.
        per_class: how many per class, from different images.

    Returns:
        The rows of `objects` with `swap` "context", by class.
    """
    chosen = []
    mine = objects[(objects["swap"] == "context") & (objects["before"] == objects["class"])]
    for _, group in mine.groupby("class", sort=False):
        usual = group[group["outcome"] == group["outcome"].mode()[0]]
        chosen.append(usual.drop_duplicates("image").head(per_class))
    return pd.concat(chosen) if chosen else mine


def _said(model, prediction, thing):
    if prediction is None:
        return ""
    if model.task == "segmentation":
        index = np.bincount(prediction[thing.mask()], minlength=len(model.classes)).argmax()
        return "" if index in background_classes(model.classes) else model.classes[index]
    about = np.flatnonzero(box_overlaps(thing.box, prediction.boxes) >= FOUND)
    if not len(about):
        return ""
    return model.classes[prediction.labels[about[prediction.scores[about].argmax()]]]


def _outcome(name, after, entry, contexts):
    if after == name:
        return "stays"
    if not after:
        return "missed"
    follows = entry["swap"] == "context" and contexts[after] == entry["context"]
    return "follows" if follows else "other"
