"""Convert a checkpoint to safetensors and a manifest; nothing that it contains is executed."""

from job import job
from lcrp.models import convert

if __name__ == "__main__":
    with job(snakemake):
        model = snakemake.params.model
        convert(
            snakemake.input.checkpoint,
            snakemake.output.weights,
            model["architecture"],
            classes=model["classes"],
            options=model["options"],
        )
