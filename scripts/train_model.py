"""Train the model of an experiment on its scenes, from a seed, for a fixed number of steps."""

from tqdm import tqdm

from job import job
from lcrp.datasets import open_dataset
from lcrp.training import train_model


def with_losses(steps, architecture):
    """A bar over the steps of a training that tells the loss."""
    bar = tqdm(steps, desc=f"Training {architecture}")
    for row in bar:
        if row["step"] % 20 == 0:
            bar.set_postfix_str(f"loss {row['loss']:.3f}")
        yield row


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
            reading=lambda samples: tqdm(samples, desc="Reading"),
            progress=lambda steps: with_losses(steps, given["architecture"]),
        )
