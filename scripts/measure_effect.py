"""Measure what the context does to the model: interventions that the context tables propose."""

from tqdm import tqdm

from job import job, whole
from lcrp import Explainer
from lcrp.context import open_tables
from lcrp.datasets import open_dataset, read_index
from lcrp.effect import measure_effects, write_examples
from lcrp.files import write_table
from lcrp.models import load_model
from lcrp.store import open_store

if __name__ == "__main__":
    with job(snakemake):
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        dataset = open_dataset(snakemake.params.source, classes=model.classes)
        samples = [dataset[image] for image in read_index(snakemake.input.index)["id"]]
        explainer = Explainer(model, device=snakemake.params.machine["device"])
        with (
            open_store(snakemake.input.store) as store,
            open_tables(snakemake.input.tables, store) as tables,
        ):
            effects = measure_effects(
                explainer,
                samples,
                tables,
                snakemake.params.effect,
                progress=lambda steps: tqdm(steps, desc="Measuring effects"),
            )
        with whole(snakemake.output.examples) as part:
            write_examples(effects, samples, part)
        write_table(effects.table, snakemake.output.effects)
