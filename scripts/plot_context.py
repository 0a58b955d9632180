"""Plot the context tables: class x thing, score against relevance, scores by layer."""

from job import job
from lcrp.context import open_tables
from lcrp.context.plots import draw_layers, draw_matrix, draw_scores
from lcrp.store import open_store

if __name__ == "__main__":
    with (
        job(snakemake),
        open_store(snakemake.input.store) as store,
        open_tables(snakemake.input.tables, store) as tables,
    ):
        draw_matrix(tables.pairs, snakemake.output.matrix)
        draw_scores(tables, snakemake.output.scores)
        draw_layers(tables, snakemake.output.layers)
