"""Small stores with known context shares."""

import numpy as np
import pandas as pd
import pytest

from lcrp.store import LayerRecords, ShardRecords, merge_shards, open_store, write_shard

CLASSES = ["boat", "car", "rider"]
BOAT, CAR, RIDER = range(3)


def build(folder, targets, relevance, inside, **more):
    """A merged store with one layer `conv` (or several, given dictionaries) of these rows.

    targets: list of (image number, class index); relevance, inside: (targets, channels);
    more: `columns` of the targets, `landed`, `pairs` and `on_thing`, `top_k`.
    """
    if not isinstance(relevance, dict):
        relevance, inside = {"conv": relevance}, {"conv": inside}
    images = 1 + max((image for image, _ in targets), default=0)
    table = pd.DataFrame(targets, columns=["image", "class"]).astype(int)
    table["instance"] = table.groupby(["image", "class"]).cumcount()
    for name, values in more.get("columns", {}).items():
        table[name] = values
    landed = more.get("landed", {})
    layers = {
        name: LayerRecords(
            relevance=np.asarray(values, np.float32),
            inside=np.asarray(inside[name], np.float32),
            landed=np.asarray(landed[name], np.float32) if name in landed else None,
            on_thing=more["on_thing"][name] if "on_thing" in more else None,
        )
        for name, values in relevance.items()
    }
    records = ShardRecords(
        {"experiment": "toy", "classes": CLASSES},
        pd.DataFrame({"id": [f"scene {i}" for i in range(images)], "status": "ok"}),
        table,
        layers,
        more.get("pairs", pd.DataFrame()),
    )
    write_shard(folder / "0.zarr.zip", records)
    merge_shards([folder / "0.zarr.zip"], folder / "store.zarr.zip", more.get("top_k", 40))
    return open_store(folder / "store.zarr.zip")


@pytest.fixture
def build_store(tmp_path):
    """Function that makes a store from rows of relevance."""
    opened = []

    def make(*args, **kwargs):
        opened.append(build(tmp_path, *args, **kwargs))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def random_store(build_store):
    """60 targets of 40 images, non-negative relevance of two layers, some without annotation."""
    random = np.random.default_rng(3)
    targets = sorted(
        {
            (int(i), int(c))
            for i, c in zip(random.integers(0, 40, 90), random.integers(0, 3, 90), strict=True)
        }
    )[:60]
    relevance = {
        "a": np.exp(random.normal(size=(60, 5))),
        "b": np.exp(random.normal(size=(60, 70))) * (random.random((60, 70)) < 0.7),
    }
    share = random.random((60, 1))
    inside = {
        n: v * np.clip(share + 0.2 * random.random(v.shape), 0, 1) for n, v in relevance.items()
    }
    for values in inside.values():
        values[::9] = np.nan
    return build_store(targets, relevance, inside)


@pytest.fixture
def harbour(build_store):
    """Boats of 8 images; in six of them a rider, on whom a third of what is outside lies."""
    random = np.random.default_rng(0)
    targets = [(image, BOAT) for image in range(8)]
    relevance = 1 + random.random((8, 4))
    inside = relevance * np.array([1.0, 0.5, 0.25, 0.0])
    pairs = pd.DataFrame({"target": range(2, 8), "thing": RIDER, "area": 0.125})
    on_thing = ((relevance - inside)[2:] / 3).astype(np.float32)
    return build_store(
        targets,
        relevance,
        inside,
        pairs=pairs,
        on_thing={"conv": on_thing},
        columns={"background": 0.75, "object_share": 0.25},
    )
