"""Aggregate the context tables of a concept store: per concept, per class, per target."""

from job import job
from lcrp.context import aggregate, open_tables, write_csv
from lcrp.store import open_store

if __name__ == "__main__":
    with job(snakemake), open_store(snakemake.input.store) as store:
        aggregate(store, snakemake.output.tables, **snakemake.params.context)
        with open_tables(snakemake.output.tables, store) as tables:
            write_csv(
                tables,
                concepts=snakemake.output.concepts,
                classes=snakemake.output.classes,
                instances=snakemake.output.instances,
            )
