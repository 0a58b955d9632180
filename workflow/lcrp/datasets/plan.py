"""How the images of an index are divided into shards.

An image that already has a shard stays in it, and new images open new shards: adding images
never asks for the analysis of old ones again. Only another number of images per shard divides
everything anew.
"""

import os
from pathlib import Path

import pandas as pd

from lcrp.datasets.index import read_index


def plan_shards(
    index: pd.DataFrame, earlier: pd.DataFrame | None, images_per_shard: int
) -> pd.DataFrame:
    """Divide images into shards.

    Args:
        index: one row per image, with a column `id`.
        earlier: what this function returned for an earlier index, or None.
        images_per_shard: how many images a shard has at most.

    Returns:
        The rows of the index with the columns `shard` (from 0) and `images_per_shard`: first the
        images that were planned before, then the new ones, each in the order of the index.
    """
    kept = earlier is not None and (earlier["images_per_shard"] == images_per_shard).all()
    rows = (
        _extended(index, earlier, images_per_shard) if kept else _divided(index, images_per_shard)
    )
    return rows.assign(images_per_shard=images_per_shard)


def read_plan(path: str | os.PathLike) -> pd.DataFrame | None:
    """The plan that was written to a CSV file, or None where there is no file or an empty one.

    Raises:
        InputError: the file is not a plan.
    """
    path = Path(path)
    return read_index(path) if path.is_file() and path.stat().st_size else None


def images_of(plan: pd.DataFrame, shard: int | str) -> list[str]:
    """Ids of the images of a shard."""
    return plan.loc[plan["shard"].astype(str) == str(shard), "id"].tolist()


def _divided(index, images_per_shard):
    return index.assign(shard=[row // images_per_shard for row in range(len(index))])


def _extended(index, earlier, images_per_shard):
    known = index[index["id"].isin(earlier["id"])]
    known = known.assign(shard=known["id"].map(earlier.set_index("id")["shard"]))
    new = _divided(index[~index["id"].isin(earlier["id"])], images_per_shard)
    new["shard"] += earlier["shard"].max() + 1
    return pd.concat([known, new]).astype({"shard": int})
