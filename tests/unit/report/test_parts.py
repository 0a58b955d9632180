import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lcrp.errors import InputError
from lcrp.report.data_files import plain, whole_numbers, write_data
from lcrp.report.facts import key_figures, model_facts, run_times, status_counts
from lcrp.report.figures import collect
from lcrp.report.libraries import classic_script, copy_libraries
from lcrp.report.table_data import columns_of, rows_of, write_by_layer


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index("]=") + 2 : text.rindex(";")])


def test_data_file_is_one_assignment(tmp_path):
    value = {"text": "</script> \u2028 é", "numbers": [1, None]}
    path = tmp_path / write_data(tmp_path, "layer-a.b", value)
    assert path.read_text(encoding="utf-8").count("\u2028") == 0
    assert data_of(path) == value


def test_nan_cannot_slip_into_a_data_file(tmp_path):
    with pytest.raises(ValueError):
        write_data(tmp_path, "x", [float("nan")])


def test_whole_numbers():
    assert whole_numbers([0.12345, np.nan, 1], 1e-3) == [123, None, 1000]
    assert whole_numbers(np.array([[0.5], [np.nan]]), 0.1) == [[5], [None]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float32(0.1), 0.1), (np.nan, None), (np.inf, None), (np.int64(3), 3), (True, True),
     ("a", "a"), (None, None), (123456.78, 123460.0)],
)  # fmt: skip
def test_cells_are_plain(value, expected):
    assert plain(value) == expected


def test_pairs_name_things_and_effects_are_shares():
    table = pd.DataFrame(
        {"class": ["a", "a"], "thing": ["b", "c"], "effect": [0.5, None], "lift": [2.0, 1.0],
         "confirmed": [True, None], "p_adjusted": [0.1, None]}
    )  # fmt: skip
    kinds = {column["name"]: column["kind"] for column in columns_of(table)}
    assert kinds == {
        "class": "class", "thing": "thing", "effect": "share", "lift": "number",
        "confirmed": "flag", "p_adjusted": "number",
    }  # fmt: skip


def test_columns_say_how_they_are_shown():
    table = pd.DataFrame(
        {"class": ["a"], "leading_layer": ["l"], "leading_concept": [3], "context_score": [0.5],
         "iou": [0.5], "targets": [2], "confirmed": [True], "note": ["x"], "references": ["1 2"]}
    )  # fmt: skip
    columns = {column["name"]: column for column in columns_of(table, {"iou": "overlap"})}
    kinds = {name: column["kind"] for name, column in columns.items()}
    assert kinds == {
        "class": "class", "leading_layer": "layer", "leading_concept": "concept",
        "context_score": "share", "iou": "number", "targets": "whole", "confirmed": "flag",
        "note": "text", "references": "text",
    }  # fmt: skip
    assert columns["leading_concept"]["layer"] == "leading_layer"
    assert columns["iou"]["about"] == "overlap"
    assert columns["references"]["aside"] and not columns["note"]["aside"]
    assert rows_of(table)[0][2] == 3


def test_large_table_is_split_by_layer(tmp_path):
    table = pd.DataFrame({"layer": ["b", "a", "b"], "concept": [1, 2, 3]})
    known = write_by_layer(tmp_path, "concepts", table, {"a": "a", "b": "B-2"})
    assert known["files"] == {"b": "concepts-B-2", "a": "concepts-a"} and known["rows"] == 3
    assert data_of(tmp_path / "data" / "concepts-B-2.js")["rows"] == [["b", 1], ["b", 3]]


def test_module_becomes_a_script():
    script = classic_script("var a=1,b=2;\nexport{a as Table,b as jQuery};\n/* end */")
    assert "window.jQuery=window.$=b;" in script and "export" not in script
    with pytest.raises(InputError, match="another form"):
        classic_script("var a=1;")


def test_libraries_come_with_their_licences(tmp_path):
    copy_libraries(tmp_path)
    licences = (tmp_path / "LICENSES.txt").read_text()
    for word in ("MIT License", "itables", "plotly", "DataTables", "jQuery", "SpryMedia"):
        assert word in licences
    assert (tmp_path / "plotly.js").stat().st_size > 1e6


def test_figures_that_cannot_be_read_become_tiles(tmp_path):
    (tmp_path / "figures" / "a").mkdir(parents=True)
    (tmp_path / "figures" / "a" / "car.png").write_bytes(b"cut off")
    Image.new("RGB", (9, 9)).save(tmp_path / "figures" / "a" / "bus.png")
    shown, problems = collect(tmp_path / "figures", tmp_path / "report")
    assert shown == []
    assert {(p["image"], p["target"]) for p in problems} == {("a", "car"), ("a", "bus")}
    assert all("png" in p["problem"] for p in problems)


def test_status_counts_put_the_explained_first():
    images = pd.DataFrame({"status": ["no-target", "no-target", "ok", "odd"]})
    counts = status_counts(images)
    assert [(c["status"], c["count"]) for c in counts] == [("ok", 1), ("no-target", 2), ("odd", 1)]


def test_key_figures_name_the_known_ones_first():
    figures = key_figures({"images": 3, "mAP50": 0.5, "classes": [1], "measured": True})
    assert [f["heading"] for f in figures] == ["mAP at IoU 0.5", "images"]


def test_run_times_sum_over_jobs(tmp_path):
    (tmp_path / "a.tsv").write_text("s\th:m:s\tmax_rss\n1.5\t0:00:01\t-\n")
    (tmp_path / "b.tsv").write_text("s\th:m:s\tmax_rss\n2.5\t0:00:02\t20.5\n")
    (stage,) = run_times({"merge_shards": [tmp_path / "a.tsv", tmp_path / "b.tsv"], "none": []})
    assert stage == {"stage": "merge shards", "seconds": 4.0, "jobs": 2, "memory": 20.5}


def test_facts_say_what_is_explained_where_it_is_no_class_logit():
    attrs = {"architecture": "yolov5n", "task": "detection"}
    assert "Explained" not in dict(model_facts(SimpleNamespace(attrs=attrs)))
    facts = dict(model_facts(SimpleNamespace(attrs=attrs | {"explained": "objectness"})))
    assert facts["Explained"].startswith("the objectness of a box")
