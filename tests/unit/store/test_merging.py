"""Merging: the same rows give the same store, however they were split and ordered."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcrp.errors import InputError
from lcrp.store import (
    layout,
    merge_shards,
    merging,
    open_store,
    read_shard,
    records,
    validate,
    write_shard,
)
from lcrp.store.row_order import natural_key

IMAGES = 9


@st.composite
def partitions(draw):
    """The images 0..IMAGES-1, shuffled and cut into shards, some of them empty."""
    order = draw(st.permutations(range(IMAGES)))
    cuts = sorted(draw(st.lists(st.integers(0, IMAGES), max_size=5)))
    borders = [0, *cuts, IMAGES]
    return [order[a:b] for a, b in pairwise(borders)]


def write_all(folder, pieces):
    paths = []
    for number, piece in enumerate(pieces):
        paths.append(folder / f"{number}.zarr.zip")
        write_shard(paths[-1], piece)
    return paths


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=partitions(), seed=st.integers(0, 3), rows=st.sampled_from([1, 4, 1024]))
def test_any_split_gives_the_same_bytes(
    tmp_path_factory, make_records, split_records, parts, seed, rows
):
    folder = tmp_path_factory.mktemp("split")
    whole = make_records(IMAGES, seed, ties=seed % 2 == 0, gaps=seed > 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "CHUNK_ROWS", rows)
        patch.setattr(merging, "MEMORY", 1)
        write_shard(folder / "whole.zarr.zip", whole)
        merge_shards([folder / "whole.zarr.zip"], folder / "one.zarr.zip", top_k=4)
        merge_shards(
            write_all(folder, split_records(whole, parts)), folder / "many.zarr.zip", top_k=4
        )
    assert (folder / "one.zarr.zip").read_bytes() == (folder / "many.zarr.zip").read_bytes()
    validate(folder / "many.zarr.zip")


def test_associative(tmp_path, make_records, split_records):
    whole = make_records(IMAGES, gaps=True)
    a, b, c = write_all(tmp_path, split_records(whole, [[0, 5, 6], [1, 2, 8], [3, 4, 7]]))
    merge_shards([a, b, c], tmp_path / "abc")
    merge_shards([a, b], tmp_path / "ab")
    merge_shards([tmp_path / "ab", c], tmp_path / "ab-c")
    merge_shards([b, c], tmp_path / "bc")
    merge_shards([tmp_path / "bc", a], tmp_path / "bc-a")
    assert (tmp_path / "abc").read_bytes() == (tmp_path / "ab-c").read_bytes()
    assert (tmp_path / "abc").read_bytes() == (tmp_path / "bc-a").read_bytes()


def test_rows_keep_what_belongs_to_them(tmp_path, make_records, split_records):
    whole = make_records(IMAGES, gaps=True)
    merge_shards(
        write_all(tmp_path, split_records(whole, [[7, 2], [8, 0, 1, 3], [6, 5, 4]])), tmp_path / "m"
    )
    write_shard(tmp_path / "w", whole)
    expected, merged = read_shard(tmp_path / "w"), read_shard(tmp_path / "m")
    assert merged.images.equals(expected.images) and merged.targets.equals(expected.targets)
    assert merged.pairs.equals(expected.pairs) and len(merged.pairs)
    for name, layer in expected.layers.items():
        for array, values in layer.arrays().items():
            np.testing.assert_array_equal(getattr(merged.layers[name], array), values)


def test_order_without_index_is_by_natural_id(tmp_path, make_records, split_records):
    whole = make_records(12)
    whole.images = whole.images.drop(columns="index")
    parts = [[10, 2], [11, 1, 0, 3], [4, 5, 9, 8, 7, 6]]
    merge_shards(write_all(tmp_path, split_records(whole, parts)), tmp_path / "m")
    with open_store(tmp_path / "m") as store:
        assert store.images["id"].tolist() == [f"scene {i}" for i in range(12)]
    assert sorted(["b10", "b9", "b09", "a", "10", "9"], key=natural_key) == [
        "9", "10", "a", "b09", "b9", "b10",
    ]  # fmt: skip


def test_order_given_by_the_dataset(tmp_path, make_records, split_records):
    whole = make_records(6)
    parts = write_all(tmp_path, split_records(whole, [[0, 1, 2], [3, 4, 5]]))
    order = [f"scene {i}" for i in (9, 5, 3, 0, 1, 8, 2, 4)]
    merge_shards(parts, tmp_path / "m", order=order)
    with open_store(tmp_path / "m") as store:
        assert store.images["id"].tolist() == [f"scene {i}" for i in (5, 3, 0, 1, 2, 4)]
        assert store.images["index"].tolist() == [1, 2, 3, 4, 6, 7]
    with pytest.raises(InputError, match=r"0\.zarr\.zip: image 'scene 1' is not in the dataset"):
        merge_shards(parts, tmp_path / "m", order=["scene 0"])


def reference(values, rows, k):
    """The k best of one channel by plain sorting."""
    numbers = [(-values[r], r) for r in rows if not np.isnan(values[r])]
    return [row for _, row in sorted(numbers)][:k]


@pytest.mark.parametrize("ties", [False, True])
def test_rankings_are_exact_on_the_stored_values(tmp_path, make_records, ties):
    write_shard(tmp_path / "s", make_records(30, seed=5, ties=ties, gaps=True))
    merge_shards([tmp_path / "s"], tmp_path / "m", top_k=7)
    with open_store(tmp_path / "m") as store:
        classes, images = store.targets["class"].to_numpy(), store.targets["image"].to_numpy()
        for layer in store.layers:
            relevance = store.layer(layer).relevance[...].astype(float)
            sums = np.abs(relevance).sum(1, keepdims=True)
            share = relevance / np.where(sums == 0, 1, sums)
            activation = store.layer(layer).activation[...].astype(float)
            for concept in range(relevance.shape[1]):
                best = store.best(layer, concept)
                assert best["target"].tolist() == reference(share[:, concept], range(len(share)), 7)
                where = store.layer(layer).position[...][best["target"], concept]
                assert best["position"].tolist() == where.tolist()
                np.testing.assert_allclose(best["value"], share[best["target"], concept], 1e-6)
                best = store.best(layer, concept, by="activation")
                rows = range(len(activation))
                assert best["image"].tolist() == reference(activation[:, concept], rows, 7)
                for index in range(4):
                    rows = np.flatnonzero(classes == index)
                    best = store.best(layer, concept, class_index=index)
                    assert best["target"].tolist() == reference(share[:, concept], rows, 7)
                    where = store.layer(layer).position[...][best["target"], concept]
                    assert best["position"].tolist() == where.tolist()
                    np.testing.assert_allclose(best["value"], share[best["target"], concept])
                    rows = sorted(set(images[rows]))
                    best = store.best(layer, concept, by="activation", class_index=index)
                    assert best["image"].tolist() == reference(activation[:, concept], rows, 7)


def test_only_classes_that_occur_have_rankings(tmp_path, make_records):
    records = make_records(6)
    records.targets["class"] = [1, 3] * (len(records.targets) // 2) + [3] * (
        len(records.targets) % 2
    )
    write_shard(tmp_path / "s", records)
    merge_shards([tmp_path / "s"], tmp_path / "m")
    with open_store(tmp_path / "m") as store:
        group = store.layer("model.0.conv").group
        assert group["relmax_by_class/class"][:].tolist() == [1, 3]
        assert store.best("model.0.conv", 0, class_index="boat").empty


def test_nothing_at_all(tmp_path, make_records, split_records):
    write_shard(tmp_path / "s", split_records(make_records(2), [[]])[0])
    merge_shards([tmp_path / "s"] * 1, tmp_path / "m")
    with open_store(tmp_path / "m") as store:
        assert store.best("model.0.conv", 0).empty and store.images.empty
        assert store.top_concepts("model.0.conv")["mean_relevance"].isna().all()
    assert validate(tmp_path / "m")["numbers"] == 0


def change(records, what):
    if what == "model":
        records.attrs["weights_sha256"] = "f" * 64
    elif what == "dataset":
        records.attrs["dataset_fingerprint"] = "f" * 64
    elif what == "classes":
        records.attrs["classes"] = ["boat", "car", "bicycle", "horse"]
    elif what == "composite":
        records.attrs["composite"] = "EpsilonFlat"
    elif what == "layers":
        del records.layers["model.0.conv"]
    elif what == "order":
        records.layers = dict(reversed(records.layers.items()))
    elif what == "arrays":
        records.layers["model.0.conv"].inside = None
    elif what == "shape":
        records.layers["model.0.conv"].shape = (3, 4)
    elif what == "columns":
        records.targets["more"] = 1
    return records


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("model", "another model"),
        ("dataset", "another dataset"),
        ("classes", "another class list"),
        ("composite", "another composite"),
        ("layers", "other layers .*model.0.conv"),
        ("order", "another order"),
        ("arrays", "layer model.0.conv has"),
        ("shape", "feature maps of layer model.0.conv"),
        ("columns", r"other columns in targets .*\(more\)"),
        (None, "is also in"),
    ],
)
def test_what_does_not_belong_together_names_both(
    tmp_path, make_records, split_records, what, words
):
    one, two = split_records(make_records(6), [[0, 1, 2], [2 if what is None else 3, 4, 5]])
    paths = write_all(tmp_path, [one, change(two, what)])
    with pytest.raises(InputError, match=words) as raised:
        merge_shards(paths, tmp_path / "m")
    text = str(raised.value)
    assert all(str(path) in text for path in paths) and "\n" not in text
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("old", [0, 1])
def test_another_schema_version_names_both(tmp_path, make_records, split_records, monkeypatch, old):
    one, two = split_records(make_records(4), [[0, 1], [2, 3]])
    paths = write_all(tmp_path, [one, two])
    with monkeypatch.context() as patch:
        patch.setattr(records, "SCHEMA", 0)
        pieces = (one, two)
        write_shard(paths[old], pieces[old])
    with pytest.raises(InputError, match="another schema version") as raised:
        merge_shards(paths, tmp_path / "m")
    text = str(raised.value)
    assert text.startswith(str(paths[old])) and str(paths[1 - old]) in text
    assert "(0, not 2)" in text and not (tmp_path / "m").exists()


def test_other_attributes_and_versions(tmp_path, make_records, split_records):
    one, two = split_records(make_records(4), [[0, 1], [2, 3]])
    one.attrs |= {"seconds": 1, "threshold": 0.25, "versions": {"torch": "2.15", "zarr": "3"}}
    two.attrs |= {"seconds": 2, "threshold": 0.25, "versions": {"torch": "2.14"}}
    merge_shards(write_all(tmp_path, [one, two]), tmp_path / "m")
    with open_store(tmp_path / "m") as store:
        assert "seconds" not in store.attrs and store.attrs["threshold"] == 0.25
        assert store.attrs["versions"] == {"torch": "2.14, 2.15", "zarr": "3"}


def test_order_of_columns_does_not_matter(tmp_path, make_records, split_records):
    one, two = split_records(make_records(4), [[0, 1], [2, 3]])
    two.targets = two.targets.assign(more=1)[["more", *two.targets.columns[::-1]]]
    one.targets = one.targets.assign(more=1)
    paths = write_all(tmp_path, [one, two])
    merge_shards(paths, tmp_path / "ab")
    merge_shards(paths[::-1], tmp_path / "ba")
    assert (tmp_path / "ab").read_bytes() == (tmp_path / "ba").read_bytes()


def test_truncated_shard_is_named(tmp_path, make_records, split_records):
    paths = write_all(tmp_path, split_records(make_records(4), [[0, 1], [2, 3]]))
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"1\.zarr\.zip: truncated.*delete it"):
        merge_shards(paths, tmp_path / "m")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["0.zarr.zip", "1.zarr.zip"]


def test_memory_does_not_grow_with_the_number_of_shards(
    tmp_path, make_records, split_records, monkeypatch
):
    monkeypatch.setattr(layout, "CHUNK_ROWS", 16)
    monkeypatch.setattr(layout, "CHUNK_NUMBERS", 2**10)
    monkeypatch.setattr(merging, "MEMORY", 2**18)
    whole = make_records(96, layers={f"layer {i}": (2000, (2, 2)) for i in range(2)})
    arrays = sum(a.nbytes for r in whole.layers.values() for a in r.arrays().values())
    paths = write_all(tmp_path, split_records(whole, np.split(np.arange(96), 24)))
    peaks = []
    for count in (6, 24):
        tracemalloc.start()
        merge_shards(paths[:count], tmp_path / "m", top_k=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.3 * arrays * 18 / 24


def test_bad_calls(tmp_path, make_records):
    with pytest.raises(InputError, match="no shards"):
        merge_shards([], tmp_path / "m")
    write_shard(tmp_path / "s", make_records(1))
    with pytest.raises(InputError, match="top_k"):
        merge_shards([tmp_path / "s"], tmp_path / "m", top_k=0)
