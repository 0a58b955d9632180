"""Synthetic records with the statistics of real ones, for the benchmarks of store and tables.

Relevances are heavy-tailed (log-normal, spread over about six decades) and a fifth of them is
zero; positions are uniform; half of the targets' relevance or more lies inside the object. Every
target has a pair with every other class of its image.
"""

import numpy as np
import pandas as pd

from lcrp.store import LayerRecords, ShardRecords

# Channels and sides of the feature maps of YOLOv5m's convolutions, roughly: 20,000 channels.
STAGES = ((48, 320), (96, 160), (192, 80), (384, 40), (768, 20))


def layer_table(concepts):
    """Layer names with (channels, (height, width)), together `concepts` channels."""
    layers = {}
    left, number = concepts, 0
    while left > 0:
        channels, side = STAGES[min(number // 12, len(STAGES) - 1)]
        channels = min(channels, left)
        layers[f"model.{number // 6}.cv{number % 6}.conv"] = (channels, (side, side))
        left -= channels
        number += 1
    return layers


class Numbers:
    """Random numbers that cost little: slices of one large draw."""

    def __init__(self, seed=0, size=2**22):
        random = np.random.default_rng(seed)
        self.random = random
        values = np.exp(2 * random.normal(size=size)) * (random.random(size) > 0.2)
        self.values = values.astype(np.float32)
        self.uniform = random.random(size).astype(np.float32)

    def _slice(self, bank, shape):
        count = int(np.prod(shape))
        start = int(self.random.integers(0, max(1, len(bank) - count)))
        if count > len(bank):
            return np.resize(bank, shape)
        return bank[start : start + count].reshape(shape)

    def relevance(self, shape):
        """Heavy-tailed, a fifth of them zero."""
        return self._slice(self.values, shape)

    def share(self, shape):
        """Between 0 and 1."""
        return self._slice(self.uniform, shape)


def shard_records(first, images, layers, classes, numbers, targets_per_image=2.5):
    """ShardRecords of `images` images from number `first` on."""
    random = numbers.random
    count = 1 + random.poisson(targets_per_image - 1, images)
    count = np.minimum(count, classes)
    rows = [
        (image, index)
        for image in range(images)
        for index in sorted(random.choice(classes, count[image], replace=False))
    ]
    targets = pd.DataFrame(rows, columns=["image", "class"])
    total = len(targets)
    targets["instance"] = 0
    targets["score"] = random.random(total)
    targets["iou"] = random.random(total)
    targets["thing"] = "1"
    targets["background"] = 0.5 + 0.4 * random.random(total)
    beside = targets.reset_index().merge(targets[["image", "class"]], on="image")
    beside = beside[beside["class_x"] != beside["class_y"]]
    pairs = beside[["index", "class_y"]].set_axis(["target", "thing"], axis=1)
    pairs = pairs.sort_values(["target", "thing"], ignore_index=True)
    pairs["area"] = 0.2 * random.random(len(pairs))
    recorded = {}
    for layer, (channels, (height, width)) in layers.items():
        relevance = numbers.relevance((total, channels))
        landed = relevance * numbers.share((total, channels))
        spread = (numbers.share((total, channels)) * height * width).astype(np.int32)
        recorded[layer] = LayerRecords(
            relevance=relevance,
            position=spread,
            inside=landed * (0.5 + 0.5 * numbers.share((total, channels))),
            landed=landed,
            on_thing=landed[pairs["target"]] * 0.2 * numbers.share((len(pairs), channels)),
            activation=numbers.relevance((images, channels)),
            activation_position=spread[:images] if total >= images else None,
            shape=(height, width),
        )
    table = pd.DataFrame(
        {
            "index": range(first, first + images),
            "id": [f"{i:06d}" for i in range(first, first + images)],
            "file": [f"{i:06d}.jpg" for i in range(first, first + images)],
            "height": 480,
            "width": 640,
            "status": "ok",
        }
    )
    attrs = {
        "experiment": "synthetic",
        "architecture": "yolov5m",
        "task": "detection",
        "classes": [f"class {i}" for i in range(classes)],
        "weights_sha256": "0" * 64,
        "dataset_fingerprint": "0" * 64,
    }
    return ShardRecords(attrs, table, targets, recorded, pairs)
