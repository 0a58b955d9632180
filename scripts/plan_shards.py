"""Divide the indexed images into shards; an image that has one already stays in it."""

from job import job, whole
from lcrp.datasets import plan_shards, read_index, read_plan
from lcrp.store.limits import require_limits

if __name__ == "__main__":
    with job(snakemake), whole(snakemake.output.plan) as part:
        index = read_index(snakemake.input.index)
        require_limits(
            index, {"unreadable": snakemake.params.limits["unreadable"]}, snakemake.input.index
        )
        plan_shards(
            index, read_plan(snakemake.output.plan), snakemake.params.images_per_shard
        ).to_csv(part, index=False)
