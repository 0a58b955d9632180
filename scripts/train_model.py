"""Train the model of an experiment on its scenes, from a seed, for a fixed number of steps."""

from job import job
from lcrp.datasets import open_dataset
from lcrp.training import train_model

if __name__ == "__main__":
    with job(snakemake):
        given = snakemake.params.model
        train_model(
            given["architecture"],
            open_dataset(snakemake.params.source),
            snakemake.output.weights,
            options=given["options"],
            training=given["training"],
            threads=snakemake.threads,
            progress=True,
        )
