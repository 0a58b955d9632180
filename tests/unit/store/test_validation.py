"""validate finds what is wrong."""

import os

import numpy as np
import pytest

from lcrp.errors import InputError
from lcrp.store import merge_shards, validate, write_shard
from lcrp.store.archive import ArchiveReader, ArchiveWriter


@pytest.fixture
def merged(tmp_path, make_records):
    write_shard(tmp_path / "s", make_records(12, gaps=True))
    merge_shards([tmp_path / "s"], tmp_path / "m", top_k=5)
    return tmp_path / "m"


def rewrite(path, change):
    """Copy a store with one array changed."""
    with ArchiveReader(path) as old, ArchiveWriter(path.with_name("changed")) as new:
        for name, node in old.nodes.items():
            if node["node_type"] == "group":
                new.group(name, node["attributes"])
                continue
            values = change(name, old.read(name).copy())
            fill = node["fill_value"]
            fill = np.nan if fill == "NaN" else fill
            new.array(name, values, node["dimension_names"], fill=fill)
        new.group("", old.attributes())
    return path.with_name("changed")


def test_sound_files(tmp_path, merged):
    assert validate(tmp_path / "s")["images"] == 12
    assert validate(merged)["concepts"] == 14
    assert validate(rewrite(merged, lambda name, values: values))["layers"] == 2


def test_a_file_that_may_not_be_read(merged):
    merged.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match="may not be read; check its permissions") as caught:
            validate(merged)
    finally:
        os.seteuid(user)
    assert str(caught.value).startswith(str(merged))


def swap(values):
    values[[0, 1]] = values[[1, 0]]
    return values


def other(values):
    values[...] = values[::-1].copy()
    return values


@pytest.mark.parametrize(
    ("array", "change", "words"),
    [
        ("layers/model.0.conv/relmax/index", swap, "other values than were recorded"),
        ("layers/model.0.conv/relmax/index", lambda v: v + 1000, "a row that is not there"),
        ("layers/model.0.conv/activation", other, "actmax"),
        ("layers/model.0.conv/relevance", lambda v: v[:, :-1], "has shape"),
        ("targets/image", lambda v: v + 12, "an image that is not there"),
        ("targets/class", lambda v: v + 4, "a class that is not there"),
        ("images/id", lambda v: np.full_like(v, "a"), "occurs twice"),
    ],
)
def test_unsound_files(merged, array, change, words):
    changed = rewrite(merged, lambda name, values: change(values) if name == array else values)
    with pytest.raises(InputError, match=words):
        validate(changed)


def test_rankings_in_the_wrong_order(merged):
    def change(name, values):
        return swap(values) if name.startswith("layers/model.0.conv/relmax/") else values

    with pytest.raises(InputError, match="not sorted"):
        validate(rewrite(merged, change))


@pytest.mark.parametrize("ranking", ["relmax", "actmax", "relmax_by_class", "actmax_by_class"])
def test_rankings_that_miss_the_best(merged, ranking):
    def change(name, values):
        if not name.startswith(f"layers/model.0.conv/{ranking}/") or name.endswith("/class"):
            return values
        values = np.roll(values, -1, axis=-2)
        values[..., -1, :] = np.nan if name.endswith("value") else -1
        return values

    with pytest.raises(InputError, match=f"{ranking} does not list the best rows"):
        validate(rewrite(merged, change))
