"""Import the reference samples that zennit-crp has found: a concept store without analysis."""

from pathlib import Path

import pandas as pd

from analyse_shard import fingerprint
from job import job, whole
from lcrp.datasets import open_dataset, read_index
from lcrp.errors import InputError
from lcrp.models import load_model
from lcrp.store import import_crp, open_store


def in_order(dataset, index, order):
    """All images of a dataset in the order in which zennit-crp numbered them.

    index: their table, where a limit may have left some out. order: "listed", as the dataset's
    own list or annotation file names them, or "files", sorted by file name.
    Returns a data frame with the columns id, file, height, width (0 where unknown) and status.
    """
    file = dict(zip(dataset.ids, map(str, dataset.files), strict=True))
    ids = sorted(file, key=file.get) if order == "files" else dataset.listed
    known = index.set_index("id").reindex(ids)
    return pd.DataFrame({
        "id": ids,
        "file": [file[name] for name in ids],
        "height": known["height"].fillna(0).astype(int).to_numpy(),
        "width": known["width"].fillna(0).astype(int).to_numpy(),
        "status": known["status"].fillna("ok").to_numpy(),
    })  # fmt: skip


def outermost(files):
    """The folder that holds the directories of zennit-crp."""
    folders = {Path(file).parents[1] for file in files if Path(file).parent.name[:7] == "RelMax_"}
    if len(folders) != 1:
        raise InputError(
            f"analysis.precomputed.folder: {len(folders)} folders `RelMax_...` in it; "
            "give the folder of one model"
        )
    return folders.pop()


def check_layers(model, store):
    """Raise InputError unless the model has the store's layers, with as many channels."""
    modules = dict(model.network.named_modules())
    for layer in store.layers:
        channels = getattr(modules.get(layer), "out_channels", None)
        expected = store.layer(layer).channels
        if channels != expected:
            what = f"{channels} channels" if channels else "no such convolution"
            raise InputError(
                f"layer {layer}: the precomputed files have {expected} channels, the model has "
                f"{what}; give the files of this model"
            )


if __name__ == "__main__":
    with job(snakemake), whole(snakemake.output.store) as part:
        given = snakemake.params.analysis
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        dataset = open_dataset(snakemake.params.source, classes=model.classes)
        index = read_index(snakemake.input.index)
        composite = given["composite"]
        import_crp(
            outermost(snakemake.input.files),
            part,
            in_order(dataset, index, given["precomputed"]["order"]),
            model.classes,
            attrs={
                "experiment": snakemake.wildcards.experiment,
                "architecture": model.architecture,
                "task": model.task,
                "composite": model.composite if composite == "default" else composite,
                "target_mode": "class",
                "input_size": list(model.input_size),
                "threshold": given["targets"]["threshold"],
                "weights_sha256": fingerprint(snakemake.input.weights),
                "dataset_fingerprint": dataset.fingerprint,
            },
        )
        with open_store(part) as store:
            check_layers(model, store)
