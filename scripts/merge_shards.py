"""Merge the shards of an experiment into its concept store, with the best rows per concept."""

from job import job
from lcrp.store import merge_shards

if __name__ == "__main__":
    with job(snakemake):
        merge_shards(
            snakemake.input.shards,
            snakemake.output.store,
            top_k=snakemake.params.top_k,
            limits=snakemake.params.limits,
        )
