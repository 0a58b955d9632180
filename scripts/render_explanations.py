"""Draw the explanations that the report shows, and list them in a table.

The figures lie beside the table, under the names by which any other one can be asked for.
"""

from pathlib import Path

from tqdm import tqdm

from composing import composer, figure_settings
from job import job, whole
from lcrp.render import chosen_targets, draw_explanations, most_context_dependent

if __name__ == "__main__":
    with job(snakemake), composer(snakemake) as composer:
        settings, width = figure_settings(snakemake, composer)
        wanted = chosen_targets(composer.store, snakemake.params.images)
        wanted += most_context_dependent(
            composer.store, settings.layers[0], snakemake.params.most_context, without=wanted
        )
        wanted += [
            (name, target)
            for name in composer.pictures
            for target in composer.predicted(name, settings.threshold) or [""]
        ]
        gallery = draw_explanations(
            composer,
            wanted,
            Path(snakemake.output.gallery).parent,
            settings,
            width,
            progress=lambda pairs: tqdm(pairs, desc="Drawing explanations", unit="figure"),
        )
        with whole(snakemake.output.gallery) as part:
            gallery.to_csv(part, index=False)
