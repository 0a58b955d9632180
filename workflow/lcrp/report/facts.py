"""What the first page says about the model, the images and the run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lcrp.errors import InputError

STATUS_MEANING = {
    "ok": "explained",
    "no-target": "nothing to explain: no prediction of the wanted classes",
    "unreadable": "the image file cannot be read",
    "wrong-size": "the image is of another size than its annotation says",
    "no-annotation": "no annotation; explained where something is predicted",
}

_FIGURES = {
    "mAP": "mAP",
    "mAP50": "mAP at IoU 0.5",
    "mIoU": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
}


def status_counts(images: pd.DataFrame) -> list[dict]:
    """How many images have which status, and what it means; the explained ones first."""
    counts = images["status"].value_counts()
    order = sorted(counts.index, key=lambda status: (status != "ok", -counts[status], status))
    return [
        {"status": status, "count": int(counts[status]), "meaning": STATUS_MEANING.get(status, "")}
        for status in order
    ]


def model_facts(store) -> list[tuple[str, str]]:
    """Names and values of what identifies the run."""
    attrs = store.attrs
    words = [
        ("Architecture", attrs.get("architecture")),
        ("Task", attrs.get("task")),
        ("Input size", " x ".join(str(v) for v in attrs.get("input_size") or ())),
        ("Rules of the propagation", attrs.get("composite")),
        ("Targets", _targets(attrs)),
        ("Explained", _EXPLAINED.get(attrs.get("explained"))),
        ("Weights (sha256)", attrs.get("weights_sha256")),
        ("Dataset (fingerprint)", attrs.get("dataset_fingerprint")),
        ("References kept per concept", attrs.get("top_k")),
        ("Schema of the store", attrs.get("schema")),
    ]
    facts = [(name, str(value)) for name, value in words if value not in (None, "")]
    versions = attrs.get("versions") or {}
    if versions:
        facts.append(("Versions", ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))))
    return facts


_EXPLAINED = {
    "objectness": "the objectness of a box; with a single class, this model trains no class output"
}


def _targets(attrs):
    mode, source = attrs.get("target_mode"), attrs.get("target_source")
    return ", ".join(f"{value}" for value in (source, mode and f"one per {mode}") if value)


def key_figures(quality: dict) -> list[dict]:
    """The numbers of a quality file: heading and value, the best known first."""
    found = []
    for name, value in quality.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            heading = _FIGURES.get(name, name.replace("_", " "))
            found.append(
                {"name": name, "heading": heading, "value": value, "known": name in _FIGURES}
            )
    return sorted(found, key=lambda figure: not figure["known"])


def run_times(benchmarks: dict | None) -> list[dict]:
    """Seconds, jobs and peak memory per stage, from Snakemake's benchmark files; longest first."""
    stages = []
    for stage, paths in (benchmarks or {}).items():
        parts = []
        for path in paths:
            try:
                parts.append(pd.read_csv(Path(path), sep="\t", na_values=["-", "NA"]))
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: no benchmark file ({error}); run the stage") from None
        parts = [part for part in parts if "s" in part and len(part)]
        if not parts:
            continue
        table = pd.concat(parts, ignore_index=True)
        memory = table["max_rss"].max() if "max_rss" in table else None
        stages.append(
            {
                "stage": stage.replace("_", " "),
                "seconds": float(table["s"].sum()),
                "jobs": len(table),
                "memory": None if memory is None or pd.isna(memory) else float(memory),
            }
        )
    return sorted(stages, key=lambda stage: -stage["seconds"])
