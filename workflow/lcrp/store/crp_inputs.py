"""What an import from zennit-crp takes from an experiment: its folder, images and layers."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from lcrp.errors import InputError


def crp_folder(files: Iterable) -> Path:
    """The folder that holds the directories of zennit-crp, from paths of files in it.

    Raises:
        InputError: there are none of `RelMax_*`, or those of several models.
    """
    folders = {Path(file).parents[1] for file in files if Path(file).parent.name[:7] == "RelMax_"}
    if len(folders) != 1:
        raise InputError(
            f"analysis.precomputed.folder: {len(folders)} folders `RelMax_...` in it; "
            "give the folder of one model"
        )
    return folders.pop()


def crp_images(dataset, index: pd.DataFrame, order: str) -> pd.DataFrame:
    """All images of a dataset, in the order in which zennit-crp numbered them.

    Args:
        dataset: `lcrp.datasets.Dataset`.
        index: the table of its images, from which a limit may have left some out.
        order: "listed", as the dataset's own list or annotation file names them, or "files",
            sorted by file name.

    Returns:
        The columns id, file, height, width (pixels, 0 where unknown) and status.
    """
    file = dict(zip(dataset.ids, map(str, dataset.files), strict=True))
    ids = sorted(file, key=file.get) if order == "files" else dataset.listed
    known = index.set_index("id").reindex(ids)
    return pd.DataFrame(
        {
            "id": ids,
            "file": [file[name] for name in ids],
            "height": known["height"].fillna(0).astype(int).to_numpy(),
            "width": known["width"].fillna(0).astype(int).to_numpy(),
            "status": known["status"].fillna("ok").to_numpy(),
        }
    )


def check_layers(modules: Mapping[str, object], store) -> None:
    """Check that a network has the layers of a store, with as many channels.

    Args:
        modules: the modules of the network by name.
        store: `ConceptStore`.

    Raises:
        InputError: it names the first layer that the network does not have.
    """
    for layer in store.layers:
        channels = getattr(modules.get(layer), "out_channels", None)
        expected = store.layer(layer).channels
        if channels != expected:
            what = f"{channels} channels" if channels else "no such convolution"
            raise InputError(
                f"layer {layer}: the precomputed files have {expected} channels, the model has "
                f"{what}; give the files of this model"
            )
