"""What a store answers."""

import numpy as np
import pytest
import xarray as xr
import zarr

import lcrp
from lcrp.errors import InputError
from lcrp.store import merge_shards, open_store, read_shard, write_shard

LAYER = "model.8.cv3.conv"


@pytest.fixture
def store(tmp_path, make_records):
    write_shard(tmp_path / "s", make_records(20, gaps=True))
    merge_shards([tmp_path / "s"], tmp_path / "store.zarr.zip")
    with open_store(tmp_path / "store.zarr.zip") as store:
        yield store


def test_names(store):
    assert lcrp.open_store is open_store
    assert store.layers == ["model.0.conv", LAYER] and store.classes[1] == "car"
    layer = store.layer(LAYER)
    assert layer.channels == 9 and layer.shape == (2, 3)
    assert layer.relevance.shape == (len(store.targets), 9)
    assert store.attrs["top_k"] == 40 and "20 images" in repr(store)


def test_profile_and_normalised(store):
    rows = read_shard(store.path).layers[LAYER]
    good = int(np.flatnonzero(np.isfinite(rows.relevance).all(1))[2])
    profile = store.profile(good, LAYER)
    np.testing.assert_array_equal(profile["relevance"], rows.relevance[good])
    np.testing.assert_array_equal(profile["inside"], rows.inside[good])
    np.testing.assert_array_equal(profile["position"], rows.position[good])
    assert np.abs(profile["normalised"]).sum() == pytest.approx(1)
    everything = store.normalised(LAYER)
    np.testing.assert_array_equal(everything[good], profile["normalised"])
    np.testing.assert_array_equal(store.normalised(LAYER, [good, 0, good])[0], everything[good])
    np.testing.assert_array_equal(
        store.normalised(LAYER, slice(2, 5), slice(1, 3)), everything[2:5, 1:3]
    )
    assert store.normalised(LAYER, []).shape == (0, 9)


def test_top_concepts(store):
    share = store.normalised(LAYER)
    share = share[(store.targets["class"] == 2) & np.isfinite(share).all(1)]
    top = store.top_concepts(LAYER, "bicycle", k=4)
    assert top["concept"].tolist() == np.argsort(-share.mean(0))[:4].tolist()
    np.testing.assert_allclose(top["mean_relevance"], np.sort(share.mean(0))[::-1][:4])
    assert (top["targets"] == len(share)).all()
    assert len(store.top_concepts(LAYER)) == 9


def test_best(store):
    best = store.best(LAYER, 3, class_index="car", k=2)
    assert list(best.columns) == ["target", "image", "image_id", "class", "value", "position"]
    assert len(best) == 2 and (best["class"] == 1).all() and best["value"].is_monotonic_decreasing
    row = best.iloc[0]
    assert store.targets["image"][row["target"]] == row["image"]
    assert store.images["id"][row["image"]] == row["image_id"]
    active = store.best(LAYER, 3, by="activation")
    assert (active["target"] == -1).all() and (active["class"] == -1).all()
    assert len(active) == (store.images["status"] != "unreadable").sum()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.layer("model.8.cv3.con"), r"no layer .*nearest: 'model\.8\.cv3\.conv'"),
        (lambda s: s.best("nothing", 0), r"nearest: "),
        (lambda s: s.best(LAYER, 9), r"no concept 9 .*0 to 8"),
        (lambda s: s.best(LAYER, 0, by="size"), "'relevance' or 'activation'"),
        (lambda s: s.best(LAYER, 0, class_index="bycicle"), "nearest: 'bicycle'"),
        (lambda s: s.top_concepts(LAYER, 7), "no class 7; indices run from 0 to 3"),
        (lambda s: s.profile(1000, LAYER), "no target 1000"),
    ],
)
def test_unknown_names_get_the_nearest(store, ask, words):
    with pytest.raises(InputError, match=words) as raised:
        ask(store)
    assert str(store.path) in str(raised.value) or "by:" in str(raised.value)


def test_a_shard_has_no_best_samples(tmp_path, make_records):
    write_shard(tmp_path / "s", make_records(2))
    with open_store(tmp_path / "s") as shard, pytest.raises(InputError, match="merge the shards"):
        shard.best(LAYER, 0)


@pytest.mark.filterwarnings("error")
def test_xarray_opens_it_with_named_dimensions(store):
    file = zarr.storage.ZipStore(store.path, mode="r")
    layer = xr.open_zarr(file, group=f"layers/{LAYER}")
    assert layer["relevance"].dims == ("target", "channel")
    assert layer["activation"].dims == ("image", "channel")
    np.testing.assert_array_equal(layer["inside"], store.layer(LAYER).inside[...])
    ranks = xr.open_zarr(file, group=f"layers/{LAYER}/relmax_by_class")
    assert ranks["index"].dims == ("class", "rank", "channel")
    first = ranks["index"].sel({"class": 1}).isel(rank=0, channel=3).item()
    assert first == store.best(LAYER, 3, class_index=1)["target"][0]
    images = xr.open_zarr(file, group="images").to_dataframe()
    assert images["id"].tolist() == store.images["id"].tolist()
    tree = xr.open_datatree(file, engine="zarr")
    assert tree[f"layers/{LAYER}/relmax/value"].dims == ("rank", "channel")
    assert tree.attrs["classes"] == list(store.classes)
