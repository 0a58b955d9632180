"""Data of the report as scripts.

Pages opened from disk may not fetch files, but they may include scripts: each data file assigns
one compact value.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np


def write_data(folder, name: str, value) -> str:
    """Writes `<folder>/data/<name>.js`, which sets `lcrp.data[name]`; returns its path."""
    path = Path(folder, "data", f"{name}.js")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # U+2028 and U+2029 end a line in scripts of older browsers.
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    path.write_text(
        f"(window.lcrp=window.lcrp||{{}},lcrp.data=lcrp.data||{{}})[{json.dumps(name)}]={text};\n",
        encoding="utf-8",
    )
    return path.relative_to(folder).as_posix()


def whole_numbers(values, unit: float) -> list:
    """Numbers in units of `unit`, rounded, None for NaN; nested as the array is."""
    values = np.asarray(values, dtype=np.float64)
    scaled = np.rint(values / unit)
    if values.ndim > 1:
        return [whole_numbers(row, unit) for row in values]
    return [None if math.isnan(v) else int(v) for v in scaled]


def plain(value):
    """A cell of a table as JSON has it: NaN and missing as None, five significant digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    value = float(value)
    return float(f"{value:.5g}") if math.isfinite(value) else None
