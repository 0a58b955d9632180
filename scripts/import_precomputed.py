"""Import the reference samples that zennit-crp has found: a concept store without analysis."""

from job import job, whole
from lcrp.datasets import open_dataset, read_index
from lcrp.files import sha256
from lcrp.models import load_model
from lcrp.store import import_crp, open_store
from lcrp.store.crp_inputs import check_layers, crp_folder, crp_images

if __name__ == "__main__":
    with job(snakemake), whole(snakemake.output.store) as part:
        given = snakemake.params.analysis
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        dataset = open_dataset(snakemake.params.source, classes=model.classes)
        index = read_index(snakemake.input.index)
        composite = given["composite"]
        import_crp(
            crp_folder(snakemake.input.files),
            part,
            crp_images(dataset, index, given["precomputed"]["order"]),
            model.classes,
            attrs={
                "experiment": snakemake.wildcards.experiment,
                "architecture": model.architecture,
                "task": model.task,
                "composite": model.composite if composite == "default" else composite,
                "target_mode": "class",
                "input_size": list(model.input_size),
                "threshold": given["targets"]["threshold"],
                "weights_sha256": sha256(snakemake.input.weights),
                "dataset_fingerprint": dataset.fingerprint,
            },
        )
        with open_store(part) as store:
            check_layers(dict(model.network.named_modules()), store)
