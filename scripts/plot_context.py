"""Plot the context tables: class x thing, score against relevance, scores by layer."""

from job import job, whole
from lcrp.context import open_tables
from lcrp.context.plots import draw_layers, draw_matrix, draw_scores
from lcrp.store import open_store

if __name__ == "__main__":
    with (
        job(snakemake),
        open_store(snakemake.input.store) as store,
        open_tables(snakemake.input.tables, store) as tables,
    ):
        with whole(snakemake.output.matrix) as part:
            draw_matrix(tables.pairs, part)
        with whole(snakemake.output.scores) as part:
            draw_scores(tables, part)
        with whole(snakemake.output.layers) as part:
            draw_layers(tables, part)
