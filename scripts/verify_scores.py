"""Verify context scores: are concepts as sensitive to the background as their scores say?"""

from tqdm import tqdm

from job import job, whole
from lcrp.configuration import Verification
from lcrp.datasets import open_dataset
from lcrp.files import write_table
from lcrp.models import load_model
from lcrp.store import open_store
from lcrp.verification import draw_density, verify

if __name__ == "__main__":
    with job(snakemake), open_store(snakemake.input.store) as store:
        given, machine = dict(snakemake.params.verification), snakemake.params.machine
        layers = given.pop("layers")
        model = load_model(store.attrs["architecture"], snakemake.input.weights)
        verification, points = verify(
            model,
            open_dataset(snakemake.params.source, classes=model.classes),
            store,
            layers,
            Verification(**given),
            device=machine["device"],
            batch_size=machine["batch_size"],
            progress=lambda samples: tqdm(samples, desc="Verifying", unit="sample"),
        )
        for table, path in ((verification, "verification"), (points, "points")):
            write_table(table, snakemake.output[path])
        with whole(snakemake.output.density) as part:
            draw_density(points, verification, part)
