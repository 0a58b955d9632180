"""The templates of the report, filled and written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

import lcrp
from lcrp.file_names import FileNames
from lcrp.render.text import percent
from lcrp.report.facts import key_figures, model_facts, status_counts

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(report) -> None:
    """Writes every page of a report.

    Args:
        report: `lcrp.report.contents.Contents`.
    """
    pages = _Pages(report)
    pages.write("index.html", "overview.html", page="overview", **_overview(report))
    pages.write("classes.html", "classes.html", page="classes")
    for facts in report.class_facts:
        pages.write(facts["page"], "class.html", page="classes", facts=facts)
    pages.write("concepts.html", "concepts.html", page="concepts")
    pages.write("concept.html", "concept.html", page="concepts")
    pages.write("context.html", "context.html", page="context")
    pages.write("pair.html", "pair.html", page="context")
    pages.write("explanations.html", "explanations.html", page="explanations")
    for shown in report.shown:
        others = [
            other
            for other in report.shown
            if other is not shown
            and (other.image == shown.image or other.class_index == shown.class_index)
        ]
        pages.write(shown.page, "explanation.html", page="explanations", shown=shown, others=others)
    if report.swaps is not None:
        pages.write("swaps.html", "swaps.html", page="swaps")


class _Pages:
    """Templates, filled and written."""

    def __init__(self, report):
        self.report = report
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters["percent"] = percent
        self.environment.filters["cell"] = _cell
        self.environment.filters["file_name"] = FileNames(report.store.classes).__getitem__
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


def _overview(report):
    images = report.store.images
    skipped = images[images["status"] != "ok"]
    ordered = [f for f in report.classes_by_context() if f["outside"] is not None]
    return {
        "counts": status_counts(images),
        "skipped": skipped.to_dict("records"),
        "facts": model_facts(report.store),
        "quality": key_figures(report.quality.figures),
        "most_context": ordered[:5],
        "leads": _varied(report.shown, 3),
        "swapped": _swapped(report.table_rows("swaps")),
    }


def _swapped(table):
    """(class, share that follows the swapped context) of each class, most first."""
    if table is None:
        return []
    if "swap" in table:
        table = table[table["swap"] == "context"]
    table = table[table["follows"].notna()].sort_values("follows", ascending=False)
    return list(zip(table["class"], table["follows"].astype(float), strict=True))


def _varied(shown, count):
    """A few explanations of different classes, the surest first."""
    chosen, classes = [], set()
    for item in sorted(shown, key=lambda s: -(s.summary["score"] or 0)):
        if item.class_index not in classes and len(chosen) < count:
            chosen.append(item)
            classes.add(item.class_index)
    return chosen


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
