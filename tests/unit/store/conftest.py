"""Synthetic records."""

import numpy as np
import pandas as pd
import pytest

from lcrp.store import LayerRecords, ShardRecords

CLASSES = ["boat", "car", "bicycle", "rider"]
LAYERS = {"model.0.conv": (5, (8, 12)), "model.8.cv3.conv": (9, (2, 3))}


def records(images, seed=0, layers=None, ties=False, gaps=False, largest=3):
    """ShardRecords of `images` images with up to `largest` targets each.

    ties: few distinct values, so that ranks tie; gaps: rows with NaN, images without targets.
    """
    random = np.random.default_rng(seed)
    layers = LAYERS if layers is None else layers
    status, rows = [], []
    for image in range(images):
        broken = gaps and random.random() < 0.15
        count = 0 if broken else int(random.integers(0 if gaps else 1, largest + 1))
        status.append("unreadable" if broken else "ok" if count else "no-target")
        chosen = random.choice(len(CLASSES), min(count, len(CLASSES)), replace=False)
        rows += [(image, c, 0) for c in sorted(chosen)]
    targets = pd.DataFrame(rows, columns=["image", "class", "instance"])
    number = len(targets)
    targets["score"] = random.random(number)
    targets["logit"] = random.normal(size=number)
    targets["iou"] = np.where(random.random(number) < 0.2, np.nan, random.random(number))
    targets["pixels"] = np.nan
    for edge in ("box_x1", "box_y1", "box_x2", "box_y2"):
        targets[edge] = random.random(number) * 96
    targets["relevance_sum"] = random.random(number)
    targets["thing"] = [f"thing {i}" if i % 3 else "" for i in range(number)]
    table = pd.DataFrame(
        {
            "index": np.arange(images),
            "id": [f"scene {i}" for i in range(images)],
            "file": [f"images/{i}.png" for i in range(images)],
            "height": 96,
            "width": 128,
            "status": status,
        }
    )
    things = [
        (target, thing, random.random())
        for target, index in enumerate(targets["class"])
        for thing in range(len(CLASSES))
        if thing != index and random.random() < 0.4
    ]
    pairs = pd.DataFrame(things, columns=["target", "thing", "area"])
    recorded = {}
    for layer, (channels, (height, width)) in layers.items():

        def values(n, channels=channels):
            drawn = random.normal(size=(n, channels))
            if ties:
                return np.round(drawn).astype(np.float32)
            return (drawn * np.exp(3 * random.normal(size=drawn.shape))).astype(np.float32)

        relevance, activation = values(number), values(images)
        if gaps and number:
            relevance[random.random(number) < 0.2, random.integers(channels)] = np.nan
        activation[[s == "unreadable" for s in status]] = np.nan
        inside = relevance * random.random((number, 1)).astype(np.float32)
        inside[targets["thing"].to_numpy() == ""] = np.nan
        places = height * width
        recorded[layer] = LayerRecords(
            relevance,
            random.integers(0, places, (number, channels)).astype(np.int32),
            inside,
            activation,
            random.integers(0, places, (images, channels)).astype(np.int32),
            (height, width),
            on_thing=values(len(pairs)),
        )
    attrs = {
        "experiment": "toy",
        "architecture": "unet",
        "task": "segmentation",
        "classes": CLASSES,
        "composite": "EpsilonPlusFlat",
        "target_mode": "class",
        "target_source": "annotated",
        "input_size": (96, 128),
        "weights_sha256": "0" * 64,
        "dataset_fingerprint": "1" * 64,
        "versions": {"torch": "2.15"},
    }
    return ShardRecords(attrs, table, targets, recorded, pairs)


def split(whole, parts):
    """The same rows as several ShardRecords; `parts`: one list of image rows each."""
    pieces = []
    for images in parts:
        images = np.asarray(images, int)
        place = {image: row for row, image in enumerate(images)}
        rows = np.concatenate(
            [np.flatnonzero(whole.targets["image"] == i) for i in images] or [np.empty(0)]
        ).astype(int)
        targets = whole.targets.iloc[rows].reset_index(drop=True)
        targets["image"] = [place[i] for i in targets["image"]]
        of_target = {target: row for row, target in enumerate(rows)}
        kept = np.flatnonzero(whole.pairs["target"].isin(rows))
        pairs = whole.pairs.iloc[kept].reset_index(drop=True)
        pairs["target"] = [of_target[target] for target in pairs["target"]]
        layers = {
            name: LayerRecords(
                layer.relevance[rows],
                layer.position[rows],
                layer.inside[rows],
                layer.activation[images],
                layer.activation_position[images],
                layer.shape if len(images) else None,
                on_thing=layer.on_thing[kept],
            )
            for name, layer in whole.layers.items()
        }
        table = whole.images.iloc[images].reset_index(drop=True)
        pieces.append(ShardRecords(dict(whole.attrs), table, targets, layers, pairs))
    return pieces


@pytest.fixture
def make_records():
    """Function that makes synthetic ShardRecords."""
    return records


@pytest.fixture
def split_records():
    """Function that distributes the images of ShardRecords over several."""
    return split
