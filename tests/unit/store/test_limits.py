"""Limits on how many images may fail."""

import pandas as pd
import pytest

from lcrp.errors import InputError
from lcrp.store import merge_shards, write_shard
from lcrp.store.limits import require_limits


def images(*status):
    return pd.DataFrame({"id": [f"image {i}" for i in range(len(status))], "status": status})


def test_without_limits_nothing_stops():
    table = images("unreadable", "no-target")
    for limits in (None, {}, {"unreadable": None, "no_target": None}):
        require_limits(table, limits, "x")


def test_a_share_up_to_the_limit_is_fine():
    table = images("ok", "unreadable", "no-target", "ok")
    require_limits(table, {"unreadable": 0.25, "no_target": 0.25}, "x")
    require_limits(images(), {"unreadable": 0.0}, "x")


@pytest.mark.parametrize("limit", ["unreadable", "no_target"])
def test_more_stops_and_names_them(limit):
    table = images("ok", *[limit.replace("_", "-")] * 4)
    with pytest.raises(InputError) as raised:
        require_limits(table, {limit: 0.5}, "store.zip")
    text = str(raised.value)
    assert text.startswith("store.zip: 4 of 5 images")
    assert "(image 1, image 2, image 3, ...)" in text
    assert f"analysis.limits.{limit}: 0.5" in text and "\n" not in text


def test_nothing_is_merged_beyond_the_limit(tmp_path, make_records):
    records = make_records(4)
    records.images["status"] = ["no-target", "ok", "ok", "ok"]
    write_shard(tmp_path / "s", records)
    with pytest.raises(InputError, match="1 of 4 images have nothing that is explained"):
        merge_shards([tmp_path / "s"], tmp_path / "m", limits={"no_target": 0.2})
    assert not (tmp_path / "m").exists()
    merge_shards([tmp_path / "s"], tmp_path / "m", limits={"no_target": 0.25})
