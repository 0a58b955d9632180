"""Writing and reading shards."""

import numpy as np
import pandas as pd
import pytest

from lcrp.errors import InputError
from lcrp.store import (
    LayerRecords,
    ShardRecords,
    merge_shards,
    open_store,
    read_shard,
    validate,
    write_shard,
)
from lcrp.store.format import RECORDED
from lcrp.store.rounding import relative_error, round_mantissa
from lcrp.store.shards import absolute_sums


def test_everything_comes_back(tmp_path, make_records):
    given = make_records(10, gaps=True)
    write_shard(tmp_path / "0.zarr.zip", given)
    back = read_shard(tmp_path / "0.zarr.zip")
    assert back.attrs == given.attrs | {"schema": 2, "input_size": [96, 128]}
    pd.testing.assert_frame_equal(
        back.images.rename_axis(None), given.images, check_dtype=False, check_column_type=False
    )
    pd.testing.assert_frame_equal(
        back.targets.rename_axis(None), given.targets, check_dtype=False, check_column_type=False
    )
    assert list(back.layers) == list(given.layers)
    for name, layer in given.layers.items():
        assert back.layers[name].shape == layer.shape
        for array, values in layer.arrays().items():
            stored = getattr(back.layers[name], array)
            assert stored.dtype == values.dtype
            error = relative_error(RECORDED[array].bits)
            np.testing.assert_allclose(stored, values, rtol=error, atol=0)


def test_the_same_records_are_the_same_bytes(tmp_path, make_records):
    for name in "ab":
        write_shard(tmp_path / name, make_records(4))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_images_and_no_targets(tmp_path, make_records, split_records):
    whole = make_records(3)
    empty, *_ = split_records(whole, [[]])
    write_shard(tmp_path / "empty", empty)
    assert validate(tmp_path / "empty") == {
        "images": 0,
        "targets": 0,
        "pairs": 0,
        "layers": 2,
        "concepts": 14,
        "numbers": 0,
    }
    nothing = ShardRecords(
        whole.attrs,
        pd.DataFrame({"id": ["a"], "status": ["no-target"]}),
        pd.DataFrame(),
        {"conv": LayerRecords(np.empty((0, 3)), activation=np.ones((1, 3)))},
    )
    write_shard(tmp_path / "nothing", nothing)
    back = read_shard(tmp_path / "nothing")
    assert len(back.targets) == 0 and back.images["status"].tolist() == ["no-target"]
    assert back.layers["conv"].relevance.shape == (0, 3) and back.layers["conv"].inside is None


def test_columns_of_ones_own_are_kept(tmp_path, make_records):
    given = make_records(2)
    given.images["daylight"] = [True, False]
    given.images["note"] = ["x", None]
    write_shard(tmp_path / "s", given)
    images = read_shard(tmp_path / "s").images
    assert images["daylight"].dtype == bool and images["note"].tolist() == ["x", ""]


def test_absolute_sum_of_a_row_does_not_depend_on_other_rows():
    relevance = np.random.default_rng(0).normal(size=(50, 9001)).astype(np.float32)
    sums = absolute_sums(round_mantissa(relevance))
    for row in (0, 7, 49):
        assert absolute_sums(round_mantissa(relevance[row : row + 1]))[0] == sums[row]
    np.testing.assert_allclose(sums, np.abs(relevance).sum(1), rtol=1e-3)


def broken(records, what):
    layer = records.layers["model.0.conv"]
    if what == "shape":
        layer.inside = layer.inside[:, 1:]
    elif what == "rows":
        layer.activation = layer.activation[1:]
    elif what == "image":
        records.targets.loc[0, "image"] = 99
    elif what == "class":
        records.targets.loc[0, "class"] = 4
    elif what == "id":
        records.images.loc[1, "id"] = records.images.loc[0, "id"]
    elif what == "column":
        records.images = records.images.drop(columns="status")
    elif what == "type":
        records.targets["score"] = "high"
    elif what == "layer":
        records.layers["a/b"] = layer
    elif what == "schema":
        records.attrs["schema"] = 0
    elif what == "nothing":
        records.layers["model.0.conv"] = LayerRecords()
    return records


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("shape", "inside has shape"),
        ("rows", "activation has shape"),
        ("image", "image 99 is not a row"),
        ("class", "class 4, but only 4 classes"),
        ("id", "'scene 0' occurs twice"),
        ("column", "no column 'status'"),
        ("type", "'score' does not hold float64"),
        ("layer", "'a/b'"),
        ("schema", "version 0"),
        ("nothing", "nothing recorded"),
    ],
)
def test_contradictions_are_refused(tmp_path, make_records, what, words):
    with pytest.raises(InputError, match=words) as raised:
        write_shard(tmp_path / "s.zarr.zip", broken(make_records(3), what))
    assert "s.zarr.zip" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_store_of_version_1_is_read(tmp_path, make_records, monkeypatch):
    monkeypatch.setattr("lcrp.store.records.SCHEMA", 1)
    write_shard(tmp_path / "0.zarr.zip", make_records(3))
    merge_shards([tmp_path / "0.zarr.zip"], tmp_path / "store.zarr.zip")
    with open_store(tmp_path / "store.zarr.zip") as store:
        assert store.attrs["schema"] == 1
        assert "landed" not in store.targets
