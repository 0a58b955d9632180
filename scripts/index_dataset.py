"""Index the images of an experiment: one row each, with fingerprints of image and annotation."""

from tqdm import tqdm

from job import job
from lcrp.datasets import open_dataset, write_index

if __name__ == "__main__":
    with job(snakemake):
        write_index(
            open_dataset(snakemake.params.source),
            snakemake.output.index,
            limit=snakemake.params.limit,
            progress=lambda images: tqdm(images, desc="Indexing images"),
        )
