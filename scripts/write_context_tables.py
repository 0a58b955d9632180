"""Write the context tables for people, scores and effects of interventions side by side."""

from job import job
from lcrp.context import open_tables
from lcrp.joined_tables import read_effects, write_csv
from lcrp.store import open_store

if __name__ == "__main__":
    with job(snakemake), open_store(snakemake.input.store) as store:
        # Empty where nothing was intervened on.
        given = snakemake.input.effects
        effects = read_effects(given) if given else None
        with open_tables(snakemake.input.tables, store) as tables:
            write_csv(tables, **dict(snakemake.output.items()), effects=effects)
