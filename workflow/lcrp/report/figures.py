"""The explanations that a report shows: figures on disk, with what they say about themselves."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from lcrp.errors import InputError
from lcrp.file_names import FileNames
from lcrp.render import read_summary

THUMBNAIL = 300  # pixels, height limit of a panel


@dataclass
class Shown:
    """One explanation in the report; paths are relative to the report's folder."""

    image: str
    target: str
    page: str
    figure: str
    thumbnail: str
    thumbnail_size: tuple[int, int]
    size: tuple[int, int]
    summary: dict

    @property
    def class_index(self) -> int:
        """Index of the explained class."""
        return int(self.summary["class"])

    @property
    def outside_first(self) -> float:
        """Share outside the object for sorting, unknown ones last."""
        outside = self.summary["outside"]
        return -1.0 if outside is None else outside


def collect(folder, destination) -> tuple[list[Shown], list[dict]]:
    """Copies the figures of a folder into a report.

    folder: holds `<image>/<target>.png` and optionally `gallery.csv`, which names the ones that
    belong to the report (default: all). Returns what can be shown, and for each figure that
    could not be drawn its image, target and problem.
    """
    folder, destination = Path(folder), Path(destination)
    shown, problems = [], []
    taken = set()
    listed = list(_listed(folder))
    images = FileNames(list(dict.fromkeys(image for image, _, _ in listed)))
    for image, target, problem in listed:
        path = folder / image / f"{target}.png"
        try:
            if problem:
                raise InputError(problem)
            summary = read_summary(path)
        except (InputError, OSError) as error:
            problems.append({"image": image, "target": target, "problem": str(error)})
            continue
        # Targets are named by files already.
        name = _unused(f"{images[image]}-{target}", taken)
        figure = Path("figures", images[image], f"{target}.png")
        thumbnail = Path("thumbnails", f"{name}.webp")
        for part in (figure, thumbnail):
            (destination / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, destination / figure)
        with Image.open(path) as picture:
            small = _thumbnail(picture.convert("RGB"), summary.get("panels", {}))
            size = picture.size
        small.save(destination / thumbnail, quality=82)
        shown.append(
            Shown(
                image=image,
                target=target,
                page=f"explanations/{name}.html",
                figure=figure.as_posix(),
                thumbnail=thumbnail.as_posix(),
                thumbnail_size=small.size,
                size=size,
                summary=summary,
            )
        )
    return shown, problems


def _listed(folder):
    table = folder / "gallery.csv"
    if table.exists():
        rows = pd.read_csv(table, dtype=str, keep_default_na=False)
        for row in rows.to_dict("records"):
            yield row["image"], row["target"], row.get("problem", "")
        return
    for path in sorted(folder.glob("*/*.png")):
        yield path.parent.name, path.stem, ""


def _thumbnail(figure, panels):
    """Input and heatmap beside each other; the whole figure where they are not marked."""
    parts = []
    for name in ("input", "heatmap"):
        if name in panels:
            x, y, w, h = panels[name]
            box = (x, y, x + w, y + h)
            edges = [round(v * figure.size[n % 2]) for n, v in enumerate(box)]
            parts.append(figure.crop(edges))
    parts = parts or [figure]
    for part in parts:
        part.thumbnail((THUMBNAIL * 2, THUMBNAIL), Image.Resampling.LANCZOS)
    gap = 4
    whole = Image.new(
        "RGB",
        (sum(p.width for p in parts) + gap * (len(parts) - 1), max(p.height for p in parts)),
        "white",
    )
    x = 0
    for part in parts:
        whole.paste(part, (x, 0))
        x += part.width + gap
    return whole


def _unused(name, taken):
    """The name, made different from the ones taken on any file system."""
    stem, number = name, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return name
