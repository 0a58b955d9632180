"""Write down what is known of the drawn scenes: which class depends on which context."""

from job import job
from lcrp.scenes import write_truth

if __name__ == "__main__":
    with job(snakemake):
        write_truth(snakemake.params.scenes, snakemake.output.truth)
