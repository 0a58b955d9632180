"""The joined tables as data frames and as files."""

import subprocess
import sys

import pandas as pd
import pytest

from lcrp.context import aggregate, open_tables
from lcrp.effect import EFFECT_COLUMNS
from lcrp.errors import InputError
from lcrp.joined_tables import JOINED_COLUMNS, context_tables, write_csv


def test_columns_are_the_documented_ones(random_store):
    for name, table in context_tables(random_store).items():
        assert list(table.columns) == list(JOINED_COLUMNS[name])


def test_the_file_and_the_csv_say_the_same(tmp_path, random_store):
    aggregate(random_store, tmp_path / "context.zarr.zip")
    paths = {name: tmp_path / f"{name}.csv" for name in JOINED_COLUMNS}
    with open_tables(tmp_path / "context.zarr.zip", random_store) as tables:
        write_csv(tables, **paths)
        one = tables.concepts("car", ["b"])
        assert len(one) == 70 and (one["layer"] == "b").all()
        with pytest.raises(InputError, match="no layer 'c'"):
            tables.concepts("car", ["c"])
    frames = context_tables(random_store)
    for name, path in paths.items():
        text = {c: "" for c in frames[name] if frames[name][c].dtype.kind not in "iufb"}
        read = pd.read_csv(path, dtype=dict.fromkeys(text, str)).fillna(text)
        expected = frames[name].reset_index(drop=True).rename_axis(None)
        pd.testing.assert_frame_equal(read, expected, check_dtype=False, rtol=1e-5)
    assert not [f for f in tmp_path.iterdir() if f.suffix == ".part"]


def test_columns_of_effects_mean_what_they_mean_there():
    for name in ("classes", "pairs"):
        assert JOINED_COLUMNS[name]["effect"].startswith(EFFECT_COLUMNS["effect"])
        assert JOINED_COLUMNS[name]["effect_high"] == EFFECT_COLUMNS["high"]
    assert list(JOINED_COLUMNS["pairs"])[-1] == "note"


@pytest.mark.parametrize(
    ("package", "absent"),
    [("context", ["torch", "lcrp.effect", "lcrp.attribution"]), ("joined_tables", ["torch"])],
)
def test_tables_are_read_without_the_engine(package, absent):
    lines = f"import sys, lcrp.{package}; print([n for n in {absent} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
