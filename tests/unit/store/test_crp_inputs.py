"""What an import from zennit-crp takes from an experiment."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from lcrp.errors import InputError
from lcrp.store import open_store, write_shard
from lcrp.store.crp_inputs import check_layers, crp_folder, crp_images

# The annotation file lists 2 first; the samples are in the order of their ids.
DATASET = SimpleNamespace(
    ids=("1", "2", "3"),
    files=(Path("c.png"), Path("b.png"), Path("a.png")),
    listed=("2", "1", "3"),
)
INDEX = pd.DataFrame(
    {"id": ["3", "1"], "height": [30, 10], "width": [31, 11], "status": ["unreadable", "ok"]}
)


@pytest.mark.parametrize(("order", "ids"), [("listed", ["2", "1", "3"]), ("files", list("321"))])
def test_images_in_the_order_of_their_numbers(order, ids):
    images = crp_images(DATASET, INDEX, order)
    assert images["id"].tolist() == ids
    images = images.set_index("id")
    assert images.loc["1"].tolist() == ["c.png", 10, 11, "ok"]
    assert images.loc["3"].tolist() == ["a.png", 30, 31, "unreadable"]
    # An image that a limit left out is listed, since zennit-crp counted it.
    assert images.loc["2"].tolist() == ["b.png", 0, 0, "ok"]


def test_the_folder_of_one_model():
    files = [f"glocal/mine/{kind}_sum_normed/a_data.npy" for kind in ("RelMax", "RelStats")]
    assert crp_folder(files) == Path("glocal/mine")
    with pytest.raises(
        InputError, match=r"2 folders `RelMax_\.\.\.` in it; give the folder of one"
    ):
        crp_folder([*files, "glocal/other/RelMax_sum_normed/a_data.npy"])
    with pytest.raises(InputError, match="0 folders"):
        crp_folder(["glocal/other/a_data.npy"])


def test_layers_of_another_model(tmp_path, make_records):
    write_shard(tmp_path / "a.zarr.zip", make_records(3, layers={"conv": (8, (4, 4))}))
    with open_store(tmp_path / "a.zarr.zip") as store:
        check_layers({"conv": SimpleNamespace(out_channels=8), "relu": object()}, store)
        with pytest.raises(InputError, match="have 8 channels, the model has 6 channels; give"):
            check_layers({"conv": SimpleNamespace(out_channels=6)}, store)
        with pytest.raises(InputError, match=r"layer conv: .* no such convolution"):
            check_layers({"conv": object()}, store)
