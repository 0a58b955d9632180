"""Analyse one shard: the relevance of every concept for every target of its images."""

from importlib.metadata import version

from tqdm import tqdm

from job import job
from lcrp.analysis import analyse
from lcrp.attribution import Explainer
from lcrp.configuration import Analysis
from lcrp.datasets import images_of, open_dataset, read_plan
from lcrp.files import sha256
from lcrp.models import load_model
from lcrp.store import write_shard

if __name__ == "__main__":
    with job(snakemake):
        given, machine = snakemake.params.analysis, snakemake.params.machine
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        dataset = open_dataset(snakemake.params.source, classes=model.classes)
        explainer = Explainer(
            model,
            None if given["composite"] == "default" else given["composite"],
            device=machine["device"],
            precision=given["precision"],
        )
        records = analyse(
            explainer,
            dataset,
            images_of(read_plan(snakemake.input.plan), snakemake.wildcards.shard),
            Analysis.model_validate(given | {"batch_size": machine["batch_size"]}),
            attrs={
                "experiment": snakemake.wildcards.experiment,
                "weights_sha256": sha256(snakemake.input.weights),
                "dataset_fingerprint": dataset.fingerprint,
                "precision": given["precision"],
                "threshold": given["targets"]["threshold"],
                "versions": {name: version(name) for name in ("lcrp", "torch", "torchvision")},
            },
            progress=lambda batches: tqdm(batches, desc="Analysing images", unit="batch"),
        )
        # An image keeps its shard when others are added before it, but not its number.
        records.images = records.images.drop(columns="index", errors="ignore")
        write_shard(snakemake.output.shard, records)
