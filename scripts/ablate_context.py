"""Switch off the context concepts of a class one by one, for images with and without a thing."""

from tqdm import tqdm

from job import job, whole
from lcrp import Explainer
from lcrp.context import open_tables
from lcrp.datasets import open_dataset, read_index
from lcrp.effect import ablate_context, draw_ablation
from lcrp.file_names import FileNames
from lcrp.files import write_table
from lcrp.layers import shown_layers
from lcrp.models import load_model
from lcrp.store import open_store

if __name__ == "__main__":
    with job(snakemake):
        params, chosen = snakemake.params, snakemake.params.chosen
        model = load_model(params.architecture, snakemake.input.weights)
        dataset = open_dataset(params.source, classes=model.classes)
        samples = [dataset[image] for image in read_index(snakemake.input.index)["id"]]
        label = FileNames(model.classes).name(snakemake.wildcards.label)
        thing = chosen.get("thing") or snakemake.wildcards.thing
        with (
            open_store(snakemake.input.store) as store,
            open_tables(snakemake.input.tables, store) as tables,
        ):
            (layer,) = shown_layers(chosen["layer"], store.layers, model.example_layer)
            table = ablate_context(
                Explainer(model, device=params.machine["device"]),
                samples,
                label,
                thing,
                layer,
                chosen["concepts"],
                tables,
                params.effect,
                progress=lambda steps: tqdm(steps, desc="Switching off concepts"),
            )
        write_table(table, snakemake.output.table)
        with whole(snakemake.output.figure) as part:
            draw_ablation(table, f"{label}, with and without {thing}: {layer}", part)
