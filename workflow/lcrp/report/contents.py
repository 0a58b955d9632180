"""What the pages of a report are written from, with its pictures and data beside."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lcrp.file_names import FileNames
from lcrp.report.class_facts import RELEVANCE_UNIT, SHARE_UNIT, class_facts, describe_layers
from lcrp.report.data_files import whole_numbers, write_data
from lcrp.report.figures import collect
from lcrp.report.inputs import Atlas, Quality, ReportInputs
from lcrp.report.interventions import collect_examples, picture_of
from lcrp.report.table_data import columns_of, meanings_of, write_by_layer, write_table

_ORDER = ("classes", "pairs", "effects", "instances", "concepts")


@dataclass(frozen=True)
class Names:
    """What layers and classes are called in the report's files.

    Attributes:
        layers: names of the store's layers, from the input to the output.
        of_layer: {layer: its file name}.
        of_class: file names by class index.
    """

    layers: list[str]
    of_layer: dict[str, str]
    of_class: list[str]

    @classmethod
    def of(cls, store) -> Names:
        """The names of a store."""
        layers = list(store.layers)
        classes = FileNames(store.classes)
        return cls(layers, dict(FileNames(layers)), [classes[name] for name in store.classes])


@dataclass(frozen=True)
class Contents:
    """What the pages are written from; the templates call it `report`.

    Attributes:
        folder: of the report.
        store: the concept store.
        inputs: what the report is built from.
        names: of layers and classes in its files.
        layer: the layer that is shown first.
        shown: explanations with a figure.
        problems: image, target and reason of those without.
        tables: {name: what a page must know to show the table}.
        meanings: {name of a table: {heading of a column: what it means}}.
        effect_examples: {"class\\nthing": pictures before and after}.
        verification, swaps: what a page must know of them, or None.
        class_facts: what is said of every class that has targets.
    """

    folder: Path
    store: object
    inputs: ReportInputs
    names: Names
    layer: str | None
    shown: list
    problems: list
    tables: dict
    meanings: dict
    effect_examples: dict
    verification: dict | None
    swaps: dict | None
    class_facts: list

    @property
    def title(self) -> str:
        """Heading of the first page."""
        return self.inputs.title

    @property
    def caption(self) -> str:
        """Paragraph of the first page."""
        return self.inputs.caption

    @property
    def layers(self) -> list[str]:
        """Names of the store's layers."""
        return self.names.layers

    @property
    def quality(self) -> Quality:
        """What the model achieves."""
        return self.inputs.quality

    @property
    def measured(self) -> list[str]:
        """What was measured of every class."""
        return self.inputs.quality.measured

    @property
    def run_times(self) -> list[dict]:
        """Seconds, jobs and memory per stage."""
        return self.inputs.run_times

    @property
    def tile(self) -> int:
        """Width of a tile in the strips of reference images, pixels."""
        return self.inputs.atlas.tile if self.inputs.atlas else 0

    def table_rows(self, name: str) -> pd.DataFrame | None:
        """The rows of a table, or None."""
        return self.inputs.rows(name)

    def layers_in_order(self) -> list[str]:
        """The layer that is shown first, then the others from the output to the input."""
        return sorted(reversed(self.layers), key=lambda layer: layer != self.layer)

    def classes_by_context(self) -> list[dict]:
        """Facts of the classes, those with most relevance outside the object first."""
        return sorted(self.class_facts, key=lambda f: (f["outside"] is None, -(f["outside"] or 0)))

    def classes_by_effect(self) -> list[dict]:
        """Facts of the classes whose context was intervened on, the largest effect first."""
        tested = [facts for facts in self.class_facts if facts["effect"] is not None]
        return sorted(tested, key=lambda facts: -facts["effect"]["value"])

    def examples_of(self, name: str) -> list[tuple[str, list]]:
        """[(thing, examples)] of a class; an empty thing means the whole background."""
        start = f"{name}\n"
        return [
            (key.removeprefix(start), examples)
            for key, examples in self.effect_examples.items()
            if key.startswith(start)
        ]

    def tables_in_order(self) -> list[tuple[str, dict]]:
        """(name, what a page must know) of the context tables, the shortest kinds first."""
        return sorted(
            self.tables.items(),
            key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else len(_ORDER),
        )

    def confirmed_pairs(self) -> list[dict]:
        """Rows of pairs.csv whose effect was confirmed, in the table's order."""
        table = self.table_rows("pairs")
        if table is None or "confirmed" not in table:
            return []
        return table[table["confirmed"].eq(True)].to_dict("records")

    @property
    def intervened(self) -> bool:
        """Whether effects were measured."""
        tables = (self.table_rows(name) for name in ("pairs", "classes"))
        return any(table is not None and "effect" in table for table in tables)


def gather(folder: Path, store, inputs: ReportInputs, progress=iter) -> Contents:
    """Copies pictures and writes data into the report's folder; returns what pages need.

    Args:
        folder: of the report; it exists.
        store: the opened concept store.
        inputs: what the report is built from.
        progress: wraps the list of layers that are described.
    """
    names = Names.of(store)
    shown, problems = ([], []) if inputs.gallery is None else collect(inputs.gallery, folder)
    if inputs.atlas is not None:
        _copy_strips(inputs.atlas, folder, names)
    tables, meanings = _write_tables(inputs.tables, folder, names)
    examples = {}
    if inputs.effect_examples is not None:
        examples = collect_examples(inputs.effect_examples, _made(folder / "effect"))
    verification = _copy_verification(inputs.verification, folder)
    swaps = _copy_swaps(inputs, folder)
    by_layer = describe_layers(folder, store, inputs, names, shown, progress)
    classes = sorted(set(store.targets["class"].tolist()))
    return Contents(
        folder=folder,
        store=store,
        inputs=inputs,
        names=names,
        layer=_first_layer(inputs, names.layers, shown),
        shown=shown,
        problems=problems,
        tables=tables,
        meanings=meanings,
        effect_examples=examples,
        verification=verification,
        swaps=swaps,
        class_facts=[
            class_facts(index, by_layer[index], store, inputs, names, shown) for index in classes
        ],
    )


def write_site_data(report: Contents) -> None:
    """Writes the data that all pages share."""
    names = report.names
    write_data(
        report.folder,
        "site",
        {
            "classes": [str(name) for name in report.store.classes],
            "classPages": {facts["index"]: facts["page"] for facts in report.class_facts},
            "layers": names.layers,
            "layerFiles": {name: f"layer-{slug}" for name, slug in names.of_layer.items()},
            "layer": report.layer,
            "tile": report.tile,
            "relevanceUnit": RELEVANCE_UNIT,
            "shareUnit": SHARE_UNIT,
            "explanations": [
                {
                    "image": shown.image,
                    "target": shown.target,
                    "class": shown.class_index,
                    "page": shown.page,
                    "thumbnail": shown.thumbnail,
                    "size": shown.thumbnail_size,
                }
                for shown in report.shown
            ],
            "tables": report.tables,
            "examples": report.effect_examples,
            "experiment": str(report.store.attrs.get("experiment", "")),
            "fileNames": report.names.of_class,
        },
    )


def write_targets(report: Contents) -> None:
    """Writes all targets, for the pages that list the images behind a number."""
    targets, pairs = report.store.targets, report.store.pairs
    share = np.full(len(targets), np.nan)
    table = report.table_rows("instances")
    if table is not None:
        # Of the whole prediction, where the store says it.
        whole = "outside" in table and table["outside"].notna().any()
        values = table["outside" if whole else "context_share"].to_numpy(float)
        share[table["target"].to_numpy(np.int64)] = values
    score = targets["score"].to_numpy(float) if "score" in targets else np.full_like(share, np.nan)
    write_data(
        report.folder,
        "targets",
        {
            # Which other annotated things are in the images of which targets.
            "paired": pairs["target"].tolist(),
            "thing": pairs["thing"].tolist(),
            "images": [str(id) for id in report.store.images["id"]],
            "image": targets["image"].tolist(),
            "class": targets["class"].tolist(),
            "score": whole_numbers(score, SHARE_UNIT),
            "share": whole_numbers(share, SHARE_UNIT),
        },
    )


def _first_layer(inputs, layers, shown):
    """The layer asked for, else that of the figures, else the last one."""
    of_figures = [part["layer"] for each in shown for part in each.summary["concepts"]][:1]
    for layer in [inputs.layer] if inputs.layer is not None else of_figures:
        if layer in layers:
            return layer
    return layers[-1] if layers else None


def _copy_strips(atlas: Atlas, folder, names):
    for layer in atlas.strips:
        source = atlas.folder / names.of_layer.get(layer, "")
        if layer in names.of_layer and source.is_dir():
            shutil.copytree(source, folder / "concepts" / names.of_layer[layer])


def _write_tables(tables, folder, names):
    written, meanings = {}, {}
    for name, table in tables.items():
        about = meanings_of(name)
        meanings[name] = {
            column["heading"]: column["about"]
            for column in columns_of(table.rows, about)
            if column["about"]
        }
        shutil.copyfile(table.path, _made(folder / "tables") / f"{name}.csv")
        if name == "concepts":
            written[name] = write_by_layer(
                folder, f"table-{name}", table.rows, names.of_layer, about
            )
        else:
            written[name] = write_table(folder, f"table-{name}", table.rows, about)
    return written, meanings


def _copy_verification(table, folder):
    if table is None:
        return None
    source = table.path.parent
    points, plot = source / "points.csv", source / "density.png"
    for path in (table.path, points):
        if path.exists():
            shutil.copyfile(path, _made(folder / "tables") / path.name)
    if plot.exists():
        shutil.copyfile(plot, _made(folder / "verification") / plot.name)
    return {
        "columns": columns_of(table.rows, meanings_of("verification")),
        "rows": table.rows.to_dict("records"),
        "plot": picture_of(plot, "verification/density.png") if plot.exists() else None,
        "points": points.exists(),
    }


def _copy_swaps(inputs, folder):
    if inputs.swaps is None:
        return None
    pictures = []
    if inputs.swap_examples is not None:
        for picture in sorted(inputs.swap_examples.glob("*.png")):
            shutil.copyfile(picture, _made(folder / "swaps") / picture.name)
            pictures.append({"file": f"swaps/{picture.name}", "name": picture.stem})
    shutil.copyfile(inputs.swaps.path, _made(folder / "tables") / "swaps.csv")
    return {
        "columns": columns_of(inputs.swaps.rows, meanings_of("swaps")),
        "rows": inputs.swaps.rows.to_dict("records"),
        "pictures": pictures,
    }


def _made(folder):
    folder.mkdir(exist_ok=True)
    return folder
