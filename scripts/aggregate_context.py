"""Aggregate the context of a concept store: per concept, class, thing and target, for programs."""

from job import job
from lcrp.context import aggregate
from lcrp.store import open_store

if __name__ == "__main__":
    with job(snakemake), open_store(snakemake.input.store) as store:
        aggregate(store, snakemake.output.tables, **snakemake.params.context)
