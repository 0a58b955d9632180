"""How images are divided into shards: an analysed image never moves."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrp.datasets import plan_shards, read_plan
from lcrp.datasets.plan import images_of
from lcrp.errors import InputError

ids = st.lists(st.integers(0, 60).map(str), unique=True, min_size=1, max_size=40)
sizes = st.integers(1, 7)


def index(names):
    return pd.DataFrame({"id": list(names), "sha256": [f"sum of {name}" for name in names]})


def members(table):
    return {shard: set(rows["id"]) for shard, rows in table.groupby("shard")}


def test_images_are_divided_in_their_order():
    table = plan_shards(index("abcde"), None, 2)
    assert list(table["id"]) == list("abcde")
    assert list(table["shard"]) == [0, 0, 1, 1, 2]


def test_new_images_open_new_shards_wherever_they_are_in_the_order():
    earlier = plan_shards(index("abde"), None, 3)
    table = plan_shards(index("aXbYdeZ"), earlier, 3)
    assert members(table) == {0: set("abd"), 1: set("e"), 2: set("XYZ")}


def test_another_number_of_images_divides_anew():
    table = plan_shards(index("abcd"), plan_shards(index("abcd"), None, 2), 3)
    assert members(table) == {0: set("abc"), 1: set("d")}


@given(ids, sizes)
def test_every_image_is_in_one_shard_and_no_shard_is_too_large(names, size):
    table = plan_shards(index(names), None, size)
    assert sorted(table["id"]) == sorted(names)
    assert all(len(group) <= size for group in members(table).values())
    assert len(members(table)) == -(-len(names) // size)


@given(ids, ids, sizes)
def test_what_stays_keeps_its_shard(before, after, size):
    earlier = plan_shards(index(before), None, size)
    table = plan_shards(index(after), earlier, size)
    assert sorted(table["id"]) == sorted(after)
    old, new = members(earlier), members(table)
    for shard, group in old.items():
        assert new.get(shard, set()) == group & set(after)
    assert all(len(group) <= size for group in new.values())


@given(ids, sizes)
def test_the_same_images_give_the_same_table(names, size):
    table = plan_shards(index(names), None, size)
    again = plan_shards(index(names), table, size)
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize("order", ["abcd", "dcba"])
def test_rows_bring_the_facts_of_the_new_index(order):
    earlier = plan_shards(index("abcd"), None, 2)
    changed = index(order)
    changed.loc[changed["id"] == "b", "sha256"] = "another sum"
    table = plan_shards(changed, earlier, 2).set_index("id")
    assert table.loc["b", "sha256"] == "another sum"
    assert table.loc["a", "sha256"] == "sum of a"


def test_a_plan_is_read_back_and_extended(tmp_path):
    path = tmp_path / "plan.csv"
    assert read_plan(path) is None
    path.touch()
    assert read_plan(path) is None
    facts = {
        "file": "x.png",
        "height": 2,
        "width": 3,
        "classes": "",
        "annotation": "",
        "status": "",
    }
    first = plan_shards(index(["001", "002", "NA"]).assign(**facts), None, 2)
    first.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_plan(path), first, check_like=True)
    assert images_of(read_plan(path), "0") == ["001", "002"]
    assert images_of(read_plan(path), 1) == ["NA"]
    path.write_text("id,shard\n1,0\n")
    with pytest.raises(InputError, match="no column file"):
        read_plan(path)
