"""What a report is built from, read and checked before the first page is written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lcrp.errors import InputError
from lcrp.files import read_table
from lcrp.report.facts import run_times
from lcrp.report.table_data import existing

# Columns of the tables that the pages read by name; all others are shown as they are.
_READ = {
    "concepts": ("class", "layer", "concept", "context_score"),
    "classes": ("class", "layer", "context_score", "note"),
    "pairs": ("class", "thing"),
    "instances": ("target", "context_share"),
    "effects": ("class",),
    "swaps": ("class", "follows"),
}


@dataclass(frozen=True)
class Table:
    """A CSV table: its file and its rows."""

    path: Path
    rows: pd.DataFrame

    @classmethod
    def read(cls, path, name: str = "") -> Table:
        """Reads a table.

        Raises:
            InputError: it cannot be read, or lacks a column that the pages read.
        """
        rows = read_table(path, f"build the {name or 'same'} table again")
        absent = [column for column in _READ.get(name, ()) if column not in rows]
        if absent:
            raise InputError(f"{path}: has no column {absent[0]}; build the {name} table again")
        return cls(Path(path), rows)


@dataclass(frozen=True)
class Atlas:
    """Strips of reference images: the folder of `lcrp.render.draw_atlas` and what it lists."""

    folder: Path
    strips: dict = field(default_factory=dict)
    tile: int = 0

    @classmethod
    def read(cls, folder) -> Atlas:
        """Reads what an atlas lists."""
        try:
            facts = json.loads(Path(folder, "atlas.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError(f"{folder}: holds no atlas of concepts; draw it again") from None
        return cls(Path(folder), facts["strips"], facts["tile"])


@dataclass(frozen=True)
class Quality:
    """What the model achieves, over all and per class.

    Attributes:
        figures: {name: number}.
        by_class: {class name: row of the table}.
        measured: names of the columns that hold what was measured.
    """

    figures: dict = field(default_factory=dict)
    by_class: dict = field(default_factory=dict)
    measured: list = field(default_factory=list)

    @classmethod
    def read(cls, figures=None, classes=None) -> Quality:
        """Reads the JSON of all classes together and the CSV of each; either may be absent."""
        known, rows, measured = {}, {}, []
        if figures is not None:
            try:
                known = json.loads(Path(figures).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                raise InputError(f"{figures}: no JSON; measure the quality again") from None
        if classes is not None:
            table = read_table(classes, "measure the quality again")
            rows = {str(row["class"]): row for row in table.to_dict("records")}
            measured = [
                name for name in table.columns if name not in ("class", "class_index", "index")
            ]
        return cls(known, rows, measured)


@dataclass(frozen=True)
class ReportInputs:
    """What a report is built from; all but store and title may be absent.

    Attributes:
        store: path of the merged concept store.
        title: heading of the first page.
        caption: its paragraph.
        layer: the layer shown first; None for that of the figures, or the last of the store.
        quality: what the model achieves.
        tables: {"classes", "concepts", "pairs", "effects", "instances" or another name: table}.
        gallery: folder with figures of `lcrp.render.draw_explanations`.
        atlas: strips of reference images.
        effect_examples: folder with pictures before and after an intervention, and index.csv.
        verification: table of the verification; its folder may hold points.csv and density.png.
        swaps: table of swapped contexts.
        swap_examples: folder with its pictures.
        run_times: seconds, jobs and memory per stage.
    """

    store: Path
    title: str
    caption: str = ""
    layer: str | None = None
    quality: Quality = field(default_factory=Quality)
    tables: dict[str, Table] = field(default_factory=dict)
    gallery: Path | None = None
    atlas: Atlas | None = None
    effect_examples: Path | None = None
    verification: Table | None = None
    swaps: Table | None = None
    swap_examples: Path | None = None
    run_times: list[dict] = field(default_factory=list)

    @classmethod
    def read(
        cls,
        *,
        store: str | os.PathLike,
        title: str,
        caption: str = "",
        layer: str | None = None,
        quality: str | os.PathLike | None = None,
        quality_classes: str | os.PathLike | None = None,
        tables: dict | None = None,
        gallery: str | os.PathLike | None = None,
        atlas: str | os.PathLike | None = None,
        effect_examples: str | os.PathLike | None = None,
        verification: str | os.PathLike | None = None,
        swaps: str | os.PathLike | None = None,
        swap_examples: str | os.PathLike | None = None,
        benchmarks: dict | None = None,
    ) -> ReportInputs:
        """Reads the files of the attributes of the same name.

        Args:
            quality: JSON with what the model achieves.
            quality_classes: the same per class, a CSV with a column `class`.
            tables: {name: path of a CSV}; those of None are absent.
            verification: folder with verification.csv.
            benchmarks: {stage: list of Snakemake's benchmark files}.

        Raises:
            InputError: a given file is missing or unreadable, or lacks what pages need of it.
        """
        paths = existing(tables)
        return cls(
            store=Path(store),
            title=title,
            caption=caption,
            layer=layer,
            quality=Quality.read(quality, quality_classes),
            tables={name: Table.read(path, name) for name, path in paths.items()},
            gallery=None if gallery is None else Path(gallery),
            atlas=None if atlas is None else Atlas.read(atlas),
            effect_examples=None if effect_examples is None else Path(effect_examples),
            verification=_verification(verification),
            swaps=None if swaps is None else Table.read(swaps, "swaps"),
            swap_examples=None if swap_examples is None else Path(swap_examples),
            run_times=run_times(benchmarks),
        )

    def rows(self, name: str) -> pd.DataFrame | None:
        """The rows of a table, or None where it is absent."""
        table = self.swaps if name == "swaps" else self.tables.get(name)
        return None if table is None else table.rows


def _verification(folder):
    return None if folder is None else Table.read(Path(folder, "verification.csv"))
