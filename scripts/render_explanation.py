"""Draw one explanation: why the model sees this class, box or instance in this image."""

from composing import composer, figure_settings
from job import job
from lcrp.render import save_figure

if __name__ == "__main__":
    with job(snakemake), composer(snakemake) as composer:
        settings, width = figure_settings(snakemake, composer)
        wanted = snakemake.wildcards
        explanation = composer.compose(wanted.image, wanted.label, settings)
        save_figure(explanation, snakemake.output.figure, width)
