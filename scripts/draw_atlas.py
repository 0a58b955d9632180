"""Draw the reference images of the concepts that the report lists."""

from tqdm import tqdm

from composing import composer, layers_of
from job import job
from lcrp.render import draw_atlas

if __name__ == "__main__":
    with job(snakemake), composer(snakemake) as composer:
        draw_atlas(
            composer.references,
            snakemake.output.atlas,
            layers=layers_of(composer, snakemake.params.layer),
            kept=snakemake.params.kept,
            progress=lambda parts: tqdm(parts, desc="Drawing concepts", unit="part"),
        )
