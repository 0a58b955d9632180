"""The report of an experiment: pages that open from disk, need no network and link everything."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

import lcrp
from lcrp.errors import InputError
from lcrp.render import file_name
from lcrp.render.figure import percent
from lcrp.report import table_data as table_files
from lcrp.report.data_files import whole_numbers, write_data
from lcrp.report.facts import key_figures, model_facts, run_times, status_counts
from lcrp.report.figures import class_slugs, collect
from lcrp.report.interventions import collect_examples, picture_of
from lcrp.report.libraries import copy_libraries
from lcrp.report.profiles import layer_profile
from lcrp.store import open_store

HERE = Path(__file__).parent
RELEVANCE_UNIT = 1e-6
SHARE_UNIT = 1e-3
LEADING = 6  # concepts of a class shown per layer


def build_report(
    destination,
    *,
    store,
    title,
    caption="",
    layer=None,
    quality=None,
    quality_classes=None,
    tables=None,
    gallery=None,
    atlas=None,
    effect_examples=None,
    verification=None,
    swaps=None,
    swap_examples=None,
    benchmarks=None,
    progress=iter,
):
    """Builds the report into a folder, which is replaced as a whole when all pages are written.

    destination: the folder; its first page is index.html. store: path of the merged concept
    store. title, caption: heading and paragraph of the first page. layer: the layer shown first
    (default: that of the figures, or the last of the store).

    All else may be absent, and the pages then say so or leave it out. quality: JSON with what the
    model achieves; quality_classes: the same per class, CSV with a column `class`. tables: {name:
    CSV path} of context tables: "classes", "concepts", "pairs", "effects", "instances", or others,
    which are shown as they are. gallery: folder with figures of `lcrp.render.draw_explanations`.
    atlas: folder of `lcrp.render.draw_atlas`. effect_examples: folder with pictures before and
    after an intervention, and index.csv. verification: folder with verification.csv and, where it
    was drawn, density.png. swaps: CSV of swapped contexts, swap_examples: folder with its
    pictures. benchmarks: {stage: list of Snakemake's benchmark files}.

    Returns the path of index.html. Raises InputError if a given file is missing or unreadable.
    """
    destination = Path(destination)
    draft = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with open_store(store) as opened:
            report = _Report(draft, opened, title, caption, layer)
            report.take_gallery(gallery, layer)
            report.take_atlas(atlas)
            report.take_tables(table_files.existing(tables))
            report.take_effect_examples(effect_examples)
            report.take_verification(verification)
            report.take_quality(quality, quality_classes)
            report.take_swaps(swaps, swap_examples)
            report.run_times = run_times(benchmarks)
            report.profile_layers(progress)
            report.write_pages()
        copy_libraries(draft / "lib")
        shutil.copytree(HERE / "static", draft / "assets")
        shutil.rmtree(destination, ignore_errors=True)
        draft.replace(destination)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return destination / "index.html"


class _Report:
    """What the pages are written from."""

    def __init__(self, folder, store, title, caption, layer):
        self.folder = folder
        self.store = store
        self.title = title
        self.caption = caption
        self.layers = list(store.layers)
        self.layer = layer if layer in self.layers else (self.layers[-1] if self.layers else None)
        self.layer_slugs = dict(zip(self.layers, class_slugs(self.layers), strict=True))
        self.slugs = class_slugs(store.classes)
        self.shown, self.problems = [], []
        self.strips, self.tile = {}, 0
        self.tables, self.table_rows, self.meanings = {}, {}, {}
        self.quality, self.class_quality, self.measured = {}, {}, []
        self.swaps, self.verification = None, None
        self.effect_examples = {}
        self.run_times = []
        self.class_facts = []

    def take_gallery(self, folder, wanted_layer):
        if folder is None:
            return
        self.shown, self.problems = collect(folder, self.folder)
        layers = [part["layer"] for shown in self.shown for part in shown.summary["concepts"]]
        if wanted_layer is None and layers and layers[0] in self.layers:
            self.layer = layers[0]

    def take_atlas(self, folder):
        if folder is None:
            return
        try:
            facts = json.loads(Path(folder, "atlas.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError(f"{folder}: holds no atlas of concepts; draw it again") from None
        self.strips, self.tile = facts["strips"], facts["tile"]
        for layer in self.strips:
            source = Path(folder, file_name(layer))
            if source.is_dir() and layer in self.layer_slugs:
                shutil.copytree(source, self.folder / "concepts" / self.layer_slugs[layer])

    def take_tables(self, paths):
        for name, path in paths.items():
            table = table_files.read_table(path)
            self.table_rows[name] = table
            about = _descriptions(name)
            self.meanings[name] = {
                column["heading"]: column["about"]
                for column in table_files.columns_of(table, about)
                if column["about"]
            }
            (self.folder / "tables").mkdir(exist_ok=True)
            shutil.copyfile(path, self.folder / "tables" / f"{name}.csv")
            if name == "concepts" and "layer" in table:
                self.tables[name] = table_files.write_by_layer(
                    self.folder, f"table-{name}", table, self.layer_slugs, about
                )
            else:
                self.tables[name] = table_files.write_table(
                    self.folder, f"table-{name}", table, about
                )

    def layers_in_order(self):
        """The layer that is shown first, then the others from the output to the input."""
        return sorted(reversed(self.layers), key=lambda layer: layer != self.layer)

    def classes_by_context(self):
        """Facts of the classes, those with most relevance outside the object first."""
        return sorted(self.class_facts, key=lambda f: (f["outside"] is None, -(f["outside"] or 0)))

    def examples_of(self, name):
        """[(thing, examples)] of a class; an empty thing means the whole background."""
        start = f"{name}\n"
        return [
            (key.removeprefix(start), examples)
            for key, examples in self.effect_examples.items()
            if key.startswith(start)
        ]

    def classes_by_effect(self):
        """Facts of the classes whose context was intervened on, the largest effect first."""
        tested = [facts for facts in self.class_facts if facts["effect"] is not None]
        return sorted(tested, key=lambda facts: -facts["effect"]["value"])

    def tables_in_order(self):
        """(name, what a page must know) of the context tables, the shortest kinds first."""
        order = ("classes", "pairs", "effects", "instances", "concepts")
        return sorted(
            self.tables.items(),
            key=lambda item: order.index(item[0]) if item[0] in order else len(order),
        )

    def take_quality(self, path, classes):
        if path is not None:
            try:
                self.quality = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                raise InputError(f"{path}: no JSON; measure the quality again") from None
        if classes is not None:
            table = table_files.read_table(classes)
            self.class_quality = {str(row["class"]): row for row in table.to_dict("records")}
            self.measured = [
                name for name in table.columns if name not in ("class", "class_index", "index")
            ]

    def take_effect_examples(self, folder):
        if folder is None:
            return
        self.effect_examples = collect_examples(folder, self._made("effect"))

    def take_verification(self, folder):
        if folder is None:
            return
        folder = Path(folder)
        table = table_files.read_table(folder / "verification.csv")
        for name in ("verification.csv", "points.csv"):
            if (folder / name).exists():
                shutil.copyfile(folder / name, self._made("tables") / name)
        plot = folder / "density.png"
        if plot.exists():
            shutil.copyfile(plot, self._made("verification") / plot.name)
        self.verification = {
            "columns": table_files.columns_of(table, _descriptions("verification")),
            "rows": table.to_dict("records"),
            "plot": picture_of(plot, "verification/density.png") if plot.exists() else None,
            "points": (folder / "points.csv").exists(),
        }

    def confirmed_pairs(self):
        """Rows of pairs.csv whose effect was confirmed, in the table's order."""
        table = self.table_rows.get("pairs")
        if table is None or not {"class", "thing", "confirmed"} <= set(table):
            return []
        return table[table["confirmed"].eq(True)].to_dict("records")

    @property
    def intervened(self):
        """Whether effects were measured."""
        return any("effect" in self.table_rows.get(name, ()) for name in ("pairs", "classes"))

    def take_swaps(self, path, examples):
        if path is None:
            return
        table = table_files.read_table(path)
        pictures = []
        if examples is not None:
            for picture in sorted(Path(examples).glob("*.png")):
                target = self.folder / "swaps" / picture.name
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(picture, target)
                pictures.append({"file": f"swaps/{picture.name}", "name": picture.stem})
        shutil.copyfile(path, self._made("tables") / "swaps.csv")
        self.table_rows["swaps"] = table
        self.swaps = {
            "columns": table_files.columns_of(table, _descriptions("swaps")),
            "rows": table.to_dict("records"),
            "pictures": pictures,
        }

    def _made(self, name):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def profile_layers(self, progress):
        """Writes one data file per layer and keeps what the class pages show."""
        leading = defaultdict(dict)
        by_layer = defaultdict(dict)
        scores = self._scores()
        for layer in progress(self.layers):
            profile = layer_profile(self.store, layer)
            self._take_scores(profile, scores.get(layer))
            strips = self.strips.get(layer, {})
            write_data(
                self.folder,
                f"layer-{self.layer_slugs[layer]}",
                {
                    "layer": layer,
                    "folder": f"concepts/{self.layer_slugs[layer]}",
                    "channels": profile.channels,
                    "classes": profile.classes.tolist(),
                    "targets": profile.targets.tolist(),
                    "relevance": whole_numbers(profile.relevance, RELEVANCE_UNIT),
                    "outside": whole_numbers(profile.outside, SHARE_UNIT),
                    "strips": strips,
                    "shown": self._shown_of(layer),
                },
            )
            for row, class_index in enumerate(profile.classes):
                leading[int(class_index)][layer] = [
                    {
                        "concept": concept,
                        "relevance": relevance,
                        "outside": None if np.isnan(outside) else outside,
                        "strip": self._strip(layer, strips, concept, int(class_index)),
                    }
                    for concept, relevance, outside in profile.leading(int(class_index), LEADING)
                ]
                outside = _weighted(profile.outside[row], profile.relevance[row])
                by_layer[int(class_index)][layer] = outside
        self.class_facts = [
            self._class_facts(int(index), leading[int(index)], by_layer[int(index)])
            for index in sorted(set(self.store.targets["class"].tolist()))
        ]

    def _scores(self):
        """{layer: rows of concepts.csv} if the table was given."""
        table = self.table_rows.get("concepts")
        if table is None or not {"class", "layer", "concept", "context_score"} <= set(table):
            return {}
        return dict(tuple(table.groupby("layer", sort=False)))

    def _take_scores(self, profile, rows):
        """Shows the scores of concepts.csv instead of those that the store alone gives.

        They say the same, and leave out what the table leaves out: classes with few targets.
        """
        if rows is None:
            return
        known = {str(self.store.classes[index]): row for row, index in enumerate(profile.classes)}
        place = rows["class"].map(known)
        rows, place = rows[place.notna()], place[place.notna()].astype(int)
        concepts = rows["concept"].to_numpy(np.int64)
        profile.outside[:-1] = np.nan
        profile.outside[place.to_numpy(), concepts] = rows["context_score"].to_numpy(float)

    def _class_scores(self, name):
        """{layer or "all": context score} of a class in classes.csv."""
        table = self.table_rows.get("classes")
        if table is None or not {"class", "layer", "context_score"} <= set(table):
            return {}
        rows = table[table["class"] == name]
        scores = zip(rows["layer"], rows["context_score"].astype(float), strict=True)
        return {layer: None if np.isnan(score) else score for layer, score in scores}

    def _effect(self, name):
        """The effect of a class's context in classes.csv; None where it was not tested."""
        table = self.table_rows.get("classes")
        if table is None or not {"class", "layer", "effect"} <= set(table):
            return None
        rows = table[(table["class"] == name) & (table["layer"] == "all")]
        if rows.empty or pd.isna(rows["effect"].iloc[0]):
            return None
        row = rows.iloc[0]
        return {
            "value": float(row["effect"]),
            "low": float(row.get("effect_low", np.nan)),
            "high": float(row.get("effect_high", np.nan)),
            "confirmed": row.get("confirmed") in (True, np.True_),
        }

    def _note(self, name):
        """Why classes.csv has no context score for a class; empty where it has one."""
        table = self.table_rows.get("classes")
        if table is None or not {"class", "layer", "note"} <= set(table):
            return ""
        rows = table[(table["class"] == name) & (table["layer"] == "all")]
        return "" if rows.empty or pd.isna(rows["note"].iloc[0]) else str(rows["note"].iloc[0])

    def _strip(self, layer, strips, concept, class_index):
        for name in (f"{concept}-{class_index}", str(concept)):
            if name in strips:
                return {
                    "file": f"concepts/{self.layer_slugs[layer]}/{name}.webp",
                    "tiles": len(strips[name]),
                    "width": self.tile * len(strips[name]),
                    "own": "-" in name,
                }
        return None

    def _shown_of(self, layer):
        """{concept: explanations that show it}, as numbers of `explanations` in the site data."""
        found = defaultdict(list)
        for number, shown in enumerate(self.shown):
            for part in shown.summary["concepts"]:
                if part["layer"] == layer:
                    found[part["concept"]].append(number)
        return found

    def _class_facts(self, index, leading, outside_by_layer):
        name = str(self.store.classes[index])
        there = self.store.targets[self.store.targets["class"] == index]
        scores = self._class_scores(name)
        outside_by_layer = {key: scores.get(key, own) for key, own in outside_by_layer.items()}
        known = [value for value in outside_by_layer.values() if value is not None]
        outside = scores.get("all", float(np.mean(known)) if known else None)
        return {
            "index": index,
            "name": name,
            "page": f"classes/{self.slugs[index]}.html",
            "targets": len(there),
            "images": int(there["image"].nunique()),
            "outside": outside,
            "effect": self._effect(name),
            "note": self._note(name),
            "outside_by_layer": outside_by_layer,
            "leading": leading,
            "quality": self.class_quality.get(name, {}),
            "shown": [shown for shown in self.shown if shown.class_index == index],
            "tables": self._rows_about(name),
        }

    def _rows_about(self, name):
        """Rows of the context tables that name a class, few enough to show on its page."""
        found = {}
        for key in ("classes", "pairs", "effects", "instances", "swaps"):
            table = self.table_rows.get(key)
            if table is not None and "class" in table:
                rows = table[table["class"] == name]
                if "context_share" in rows:
                    rows = rows.sort_values("context_share", ascending=False, kind="stable")
                rows = rows.head(50)
                if len(rows):
                    columns = table_files.columns_of(rows, _descriptions(key))
                    found[key] = {
                        "columns": [column for column in columns if column["name"] != "class"],
                        "rows": rows.to_dict("records"),
                    }
        return found

    def write_pages(self):
        """Writes every page and the data that all of them share."""
        self._write_site_data()
        self._write_targets()
        pages = _Pages(self)
        pages.write("index.html", "overview.html", page="overview", **self._overview())
        pages.write("classes.html", "classes.html", page="classes")
        for facts in self.class_facts:
            pages.write(facts["page"], "class.html", page="classes", facts=facts)
        pages.write("concepts.html", "concepts.html", page="concepts")
        pages.write("concept.html", "concept.html", page="concepts")
        pages.write("context.html", "context.html", page="context")
        pages.write("pair.html", "pair.html", page="context")
        pages.write("explanations.html", "explanations.html", page="explanations")
        for shown in self.shown:
            others = [
                other
                for other in self.shown
                if other is not shown
                and (other.image == shown.image or other.class_index == shown.class_index)
            ]
            pages.write(
                shown.page, "explanation.html", page="explanations", shown=shown, others=others
            )
        if self.swaps is not None:
            pages.write("swaps.html", "swaps.html", page="swaps")

    def _write_site_data(self):
        write_data(
            self.folder,
            "site",
            {
                "classes": [str(name) for name in self.store.classes],
                "classPages": {facts["index"]: facts["page"] for facts in self.class_facts},
                "layers": self.layers,
                "layerFiles": {name: f"layer-{slug}" for name, slug in self.layer_slugs.items()},
                "layer": self.layer,
                "tile": self.tile,
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
                    for shown in self.shown
                ],
                "tables": self.tables,
                "examples": self.effect_examples,
                "experiment": str(self.store.attrs.get("experiment", "")),
                "fileNames": [file_name(name) for name in self.store.classes],
            },
        )

    def _write_targets(self):
        """All targets, for the pages that list the images behind a number."""
        targets = self.store.targets
        share = np.full(len(targets), np.nan)
        table = self.table_rows.get("instances")
        if table is not None and {"target", "context_share"} <= set(table):
            share[table["target"].to_numpy(np.int64)] = table["context_share"].to_numpy(float)
        score = (
            targets["score"].to_numpy(float) if "score" in targets else np.full(len(share), np.nan)
        )
        pairs = self.store.pairs
        write_data(
            self.folder,
            "targets",
            {
                # Which other annotated things are in the images of which targets.
                "paired": pairs["target"].tolist(),
                "thing": pairs["thing"].tolist(),
                "images": [str(id) for id in self.store.images["id"]],
                "image": targets["image"].tolist(),
                "class": targets["class"].tolist(),
                "score": whole_numbers(score, SHARE_UNIT),
                "share": whole_numbers(share, SHARE_UNIT),
            },
        )

    def _overview(self):
        images = self.store.images
        skipped = images[images["status"] != "ok"]
        ordered = [f for f in self.classes_by_context() if f["outside"] is not None]
        return {
            "counts": status_counts(images),
            "skipped": skipped.to_dict("records"),
            "facts": model_facts(self.store),
            "quality": key_figures(self.quality),
            "most_context": ordered[:5],
            "leads": _varied(self.shown, 3),
            "swapped": self._swapped(),
        }

    def _swapped(self):
        """(class, share that follows the swapped context) of each class, most first."""
        table = self.table_rows.get("swaps")
        if table is None or not {"class", "follows"} <= set(table):
            return []
        if "swap" in table:
            table = table[table["swap"] == "context"]
        table = table[table["follows"].notna()].sort_values("follows", ascending=False)
        return list(zip(table["class"], table["follows"].astype(float), strict=True))


class _Pages:
    """Templates, filled and written."""

    def __init__(self, report):
        self.report = report
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters["percent"] = percent
        self.environment.filters["cell"] = _cell
        self.environment.filters["file_name"] = file_name
        self.environment.globals.update(
            report=report,
            version=lcrp.__version__,
            class_names=list(report.store.classes),
            class_pages={facts["name"]: facts["page"] for facts in report.class_facts},
            image_pages=_pages_of_images(report.shown),
            class_counts=Counter(s.class_index for s in report.shown),
        )

    def write(self, path, template, **values):
        """Writes one page; `root` leads from it back to the report's folder."""
        path = Path(path)
        target = self.report.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * (len(path.parts) - 1)
        text = self.environment.get_template(template).render(root=root, **values)
        target.write_text(text, encoding="utf-8")


def _cell(value):
    """A cell of a table that is written into a page."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)) or value is pd.NA:
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.3g}"
    return str(value)


def _pages_of_images(shown):
    """{(image, class name) or image: page of its first explanation}."""
    found = {}
    for item in shown:
        found.setdefault((item.image, item.summary["class_name"]), item.page)
        found.setdefault(item.image, item.page)
    return found


def _varied(shown, count):
    """A few explanations of different classes, the surest first."""
    chosen, classes = [], set()
    for item in sorted(shown, key=lambda s: -(s.summary["score"] or 0)):
        if item.class_index not in classes and len(chosen) < count:
            chosen.append(item)
            classes.add(item.class_index)
    return chosen


def _weighted(outside, relevance):
    """Mean share outside over concepts, weighted by their positive relevance; None if unknown."""
    weights = np.where(np.isfinite(outside), np.clip(relevance, 0, None), 0)
    if weights.sum() <= 0:
        return None
    return float((np.nan_to_num(outside) * weights).sum() / weights.sum())


def _descriptions(name):
    """What the columns of a context table mean, where the library says so."""
    if name == "effects":
        from lcrp.effect import EFFECT_COLUMNS

        return EFFECT_COLUMNS
    from lcrp.joined_tables import JOINED_COLUMNS

    return JOINED_COLUMNS.get(name, {})
