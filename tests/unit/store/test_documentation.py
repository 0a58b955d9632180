"""docs/store.md: its example runs, and it names what the format has."""

import re

import pytest

from lcrp.store import merge_shards, write_shard
from lcrp.store.format import IDENTITY, IMAGE_COLUMNS, RANKINGS, RECORDED, TARGET_COLUMNS


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/store.md").read_text(encoding="utf-8")


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("error")
def test_the_example_runs(page, tmp_path, monkeypatch, make_records, capsys):
    monkeypatch.chdir(tmp_path)
    write_shard("0.zarr.zip", make_records(8))
    path = "results/demo-segmentation/concepts.zarr.zip"
    merge_shards(["0.zarr.zip"], path)
    names = {}
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"docs/store.md, example {number}", "exec"), names)
    assert "scene 0" in capsys.readouterr().out
    assert names["profile"].abs().sum() == pytest.approx(1)
    assert names["best"]["value"].is_monotonic_decreasing
    best = names["best_of_class"]
    assert best["value"].is_monotonic_decreasing and best["class"].nunique() == 1
    assert (tmp_path / "imported.zarr.zip").exists()


def test_the_first_part_needs_no_lcrp(page):
    first = page[: page.index("## Reading it with lcrp")]
    assert len(blocks(first)) == 4
    assert not any("lcrp" in block for block in blocks(first))


def test_everything_is_named(page):
    names = [*IMAGE_COLUMNS, *TARGET_COLUMNS, *RECORDED, *RANKINGS, *IDENTITY]
    missing = [n for n in names if not re.search(rf"`{n}/?`", page)]
    assert not missing
