"""Divide the indexed images into shards.

An image that already has a shard stays in it, and new images open new shards: adding images
never asks for the analysis of old ones again. Only another number of images per shard divides
everything anew.
"""

import os

import pandas as pd

from job import job, whole
from lcrp.store.limits import require_limits


def divided(index, images_per_shard):
    """The index with a column `shard`: consecutive images, `images_per_shard` in each."""
    return index.assign(shard=[row // images_per_shard for row in range(len(index))])


def extended(index, earlier, images_per_shard):
    """The index with a column `shard`: the earlier one where there is one, new ones behind."""
    known = index[index["id"].isin(earlier["id"])]
    known = known.assign(shard=known["id"].map(earlier.set_index("id")["shard"]))
    new = divided(index[~index["id"].isin(earlier["id"])], images_per_shard)
    new["shard"] += earlier["shard"].max() + 1
    return pd.concat([known, new]).astype({"shard": int})


def plan(index, earlier, images_per_shard):
    """The index with columns `shard` and `images_per_shard`."""
    kept = earlier is not None and (earlier["images_per_shard"] == images_per_shard).all()
    rows = extended(index, earlier, images_per_shard) if kept else divided(index, images_per_shard)
    return rows.assign(images_per_shard=images_per_shard)


if __name__ == "__main__":
    with job(snakemake), whole(snakemake.output.plan) as part:
        text = {"id": str, "file": str}
        index = pd.read_csv(snakemake.input.index, dtype=text, keep_default_na=False)
        require_limits(
            index, {"unreadable": snakemake.params.limits["unreadable"]}, snakemake.input.index
        )
        earlier = None
        if os.path.getsize(snakemake.output.plan) if os.path.exists(snakemake.output.plan) else 0:
            earlier = pd.read_csv(snakemake.output.plan, dtype=text, keep_default_na=False)
        plan(index, earlier, snakemake.params.images_per_shard).to_csv(part, index=False)
