"""Score the context of concepts by conditional heatmaps, as the paper defines it."""

from tqdm import tqdm

from job import job
from lcrp.attribution import Explainer
from lcrp.datasets import open_dataset
from lcrp.files import write_table
from lcrp.models import load_model
from lcrp.store import open_store
from lcrp.verification import heatmap_scores

if __name__ == "__main__":
    with job(snakemake), open_store(snakemake.input.store) as store:
        given = dict(snakemake.params.scores)
        composite = given.pop("composite")
        model = load_model(store.attrs["architecture"], snakemake.input.weights)
        explainer = Explainer(
            model,
            store.attrs["composite"] if composite == "default" else composite,
            device=snakemake.params.machine["device"],
        )
        table = heatmap_scores(
            explainer,
            open_dataset(snakemake.params.source, classes=model.classes),
            store,
            **given,
            progress=lambda images: tqdm(images, desc="Scoring images", unit="image"),
        )
        write_table(table, snakemake.output.scores)
