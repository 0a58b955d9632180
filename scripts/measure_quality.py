"""Measure what the model achieves on the indexed images: mAP by pycocotools, or mIoU."""

import json

from tqdm import tqdm

from job import job, whole
from lcrp.datasets import open_dataset, read_index
from lcrp.files import write_table
from lcrp.models import load_model
from lcrp.quality import measure_quality

if __name__ == "__main__":
    with job(snakemake):
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        dataset = open_dataset(snakemake.params.source, classes=model.classes)
        quality = measure_quality(
            model,
            [dataset[image] for image in read_index(snakemake.input.index)["id"]],
            batch_size=snakemake.params.machine["batch_size"],
            progress=lambda samples: tqdm(samples, desc="Predicting", unit="image"),
        )
        with whole(snakemake.output.quality) as part:
            part.write_text(json.dumps(quality.summary, indent=2) + "\n")
        write_table(quality.classes, snakemake.output.classes)
