"""Put the objects of the held-out scenes on swapped contexts, and see what the model says.

Per class: how often the prediction follows the context, and how often it stays with the object.
"""

import json

from tqdm import tqdm

from job import job, whole
from lcrp.datasets import open_dataset
from lcrp.files import write_table
from lcrp.models import load_model
from lcrp.swaps import choose_examples, draw_examples, swap_following

if __name__ == "__main__":
    with job(snakemake):
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        test, swapped = (
            open_dataset(source, classes=model.classes) for source in snakemake.params.sources
        )
        with open(snakemake.input.truth) as file:
            truth = json.load(file)
        table, objects = swap_following(
            model,
            test,
            swapped,
            truth,
            batch_size=snakemake.params.machine["batch_size"],
            progress=lambda samples: tqdm(samples, desc="Predicting", unit="image"),
        )
        with whole(snakemake.output.examples) as part:
            draw_examples(choose_examples(objects), test, swapped, part)
        write_table(objects, snakemake.output.objects)
        write_table(table, snakemake.output.swaps)
