"""The settings as a table for people, in config/README.md: made from their types."""

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lcrp.configuration.dataset import FORMATS, TableDataset
from lcrp.configuration.experiment import Experiment

BEGIN, END = "<!-- settings: made by `make schemas` -->", "<!-- end of settings -->"


def settings_table() -> str:
    """One row per entry of an experiment file, in Markdown: entry, default, meaning."""
    rows = ["| entry | default | meaning |", "|---|---|---|"]
    for name, field in Experiment.model_fields.items():
        if name == "dataset":
            rows += _dataset_rows()
        else:
            rows += _rows(name, field)
    return "\n".join(rows)


def write_table(path: str | Path) -> Path:
    """Put the table between its marks in a Markdown file; gives the path."""
    path = Path(path)
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n\n{settings_table()}\n\n{END}{after}"
    path.write_text(text, encoding="utf-8")
    return path


def _dataset_rows():
    """The entries that formats share, once; those of one format with its name."""
    found = {}
    for kind, entry in {"table": TableDataset, **FORMATS}.items():
        for name, field in entry.model_fields.items():
            found.setdefault((name, field.description), []).append((kind, field))
    formats = ", ".join(f"`{kind}`" for kind in FORMATS)
    yield f"| `dataset.format` | | One of {formats}; `dataset.name` stands instead of it. |"
    for (name, _), uses in found.items():
        if name == "format":
            continue
        kinds = [kind for kind, _ in uses if kind != "table"]
        only = "" if len(uses) > 3 or not kinds else f" Format {' and '.join(kinds)}."
        yield from _rows(f"dataset.{name}", uses[0][1], only)


def _rows(name: str, field: FieldInfo, more: str = ""):
    nested = _entry_of(field.annotation)
    listed = get_origin(_plain(field.annotation)) is list
    if nested is None or field.description or listed:
        default = _default(field)
        text = f"{field.description or ''}{_choices(field.annotation)}{more}"
        yield f"| `{name}` | {default} | {' '.join(text.split())} |"
    if nested is not None and not listed:
        for inner, own in nested.model_fields.items():
            yield from _rows(f"{name}.{inner}", own)


def _default(field):
    if field.default_factory is not None or field.is_required() or field.default is None:
        return ""
    value = field.default
    return "" if value is PydanticUndefined or value == "" else f"`{_written(value)}`"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _choices(annotation) -> str:
    annotation = _plain(annotation)
    if get_origin(annotation) is not Literal or len(get_args(annotation)) < 2:
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in get_args(annotation))}."


def _entry_of(annotation):
    """The type of entry behind an annotation, in lists and beside None too."""
    annotation = _plain(annotation)
    for part in get_args(annotation) if get_origin(annotation) is list else (annotation,):
        part = _plain(part)
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _plain(annotation):
    """An annotation without its marks and without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return _plain(parts[0]) if len(parts) == 1 else annotation
    return annotation
