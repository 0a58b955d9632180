"""Draw the published example of a model: the same image, class and layer as in the paper."""

from composing import composer, layers_of
from job import job
from lcrp.render import Settings, save_figure

if __name__ == "__main__":
    with job(snakemake), composer(snakemake) as composer:
        example = snakemake.params.example
        settings = Settings(
            layers_of(composer, example["layer"]),
            example["concepts"],
            example["references"],
            threshold=composer.store.attrs["threshold"],
        )
        image = composer.numbered(example["sample"], example["order"])
        explanation = composer.compose(image, example["target"], settings)
        save_figure(explanation, snakemake.output.figure, snakemake.params.width)
