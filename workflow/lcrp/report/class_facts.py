"""What the pages say of every class: its leading concepts, context, effect and quality."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd

from lcrp.report.data_files import whole_numbers, write_data
from lcrp.report.profiles import LayerProfile, layer_profile
from lcrp.report.table_data import columns_of, meanings_of

RELEVANCE_UNIT = 1e-6
SHARE_UNIT = 1e-3
LEADING = 6  # concepts of a class shown per layer
ROWS = 50  # of each table, shown on the page of a class


def describe_layers(folder, store, inputs, names, shown, progress=iter) -> dict[int, dict]:
    """Writes one data file per layer, and gathers what class pages show of the layers.

    Args:
        folder: of the report.
        store: the concept store.
        inputs: `ReportInputs`.
        names: `Names` of layers and classes in the report.
        shown: the explanations in the report.
        progress: wraps the list of layers.

    Returns:
        {class index: {"leading": {layer: concepts}, "outside": {layer: share or None}}}.
    """
    found = defaultdict(lambda: {"leading": {}, "outside": {}})
    scores = _scores(inputs.rows("concepts"))
    for layer in progress(names.layers):
        profile = layer_profile(store, layer)
        _take_scores(profile, store.classes, scores.get(layer))
        strips = inputs.atlas.strips.get(layer, {}) if inputs.atlas else {}
        slug = names.of_layer[layer]
        write_data(
            folder,
            f"layer-{slug}",
            {
                "layer": layer,
                "folder": f"concepts/{slug}",
                "channels": profile.channels,
                "classes": profile.classes.tolist(),
                "targets": profile.targets.tolist(),
                "relevance": whole_numbers(profile.relevance, RELEVANCE_UNIT),
                "outside": whole_numbers(profile.outside, SHARE_UNIT),
                "strips": strips,
                "shown": _shown_of(layer, shown),
            },
        )
        for row, index in enumerate(profile.classes):
            found[int(index)]["leading"][layer] = [
                {
                    "concept": concept,
                    "relevance": relevance,
                    "outside": None if np.isnan(outside) else outside,
                    "strip": _strip(slug, strips, inputs.atlas, concept, int(index)),
                }
                for concept, relevance, outside in profile.leading(int(index), LEADING)
            ]
            outside = _weighted(profile.outside[row], profile.relevance[row])
            found[int(index)]["outside"][layer] = outside
    return found


def class_facts(index: int, by_layer: dict, store, inputs, names, shown) -> dict:
    """What the pages say of one class.

    Args:
        index: of the class.
        by_layer: what `describe_layers` says of it.
        store, inputs, names, shown: as there.
    """
    name = str(store.classes[index])
    there = store.targets[store.targets["class"] == index]
    scores = _class_scores(inputs.rows("classes"), name)
    outside_by_layer = {key: scores.get(key, own) for key, own in by_layer["outside"].items()}
    known = [value for value in outside_by_layer.values() if value is not None]
    return {
        "index": index,
        "name": name,
        "page": f"classes/{names.of_class[index]}.html",
        "targets": len(there),
        "images": int(there["image"].nunique()),
        "outside": scores.get("all", float(np.mean(known)) if known else None),
        "effect": _effect(_of_all_layers(inputs.rows("classes"), name)),
        "note": _note(_of_all_layers(inputs.rows("classes"), name)),
        "outside_by_layer": outside_by_layer,
        "leading": by_layer["leading"],
        "quality": inputs.quality.by_class.get(name, {}),
        "shown": [each for each in shown if each.class_index == index],
        "tables": _rows_about(inputs, name),
    }


def _scores(concepts):
    """{layer: rows of concepts.csv}; none without the table."""
    return {} if concepts is None else dict(tuple(concepts.groupby("layer", sort=False)))


def _take_scores(profile: LayerProfile, classes, rows):
    """Shows the scores of concepts.csv instead of those that the store alone gives.

    They say the same, and leave out what the table leaves out: classes with few targets.
    """
    if rows is None:
        return
    known = {str(classes[index]): row for row, index in enumerate(profile.classes)}
    place = rows["class"].map(known)
    rows, place = rows[place.notna()], place[place.notna()].astype(int)
    concepts = rows["concept"].to_numpy(np.int64)
    profile.outside[:-1] = np.nan
    profile.outside[place.to_numpy(), concepts] = rows["context_score"].to_numpy(float)


def _class_scores(classes, name):
    """{layer or "all": context score} of a class in classes.csv."""
    if classes is None:
        return {}
    rows = classes[classes["class"] == name]
    scores = zip(rows["layer"], rows["context_score"].astype(float), strict=True)
    return {layer: None if np.isnan(score) else score for layer, score in scores}


def _of_all_layers(classes, name):
    """The row of classes.csv that speaks of all layers of a class, or None."""
    if classes is None:
        return None
    rows = classes[(classes["class"] == name) & (classes["layer"] == "all")]
    return None if rows.empty else rows.iloc[0]


def _effect(row):
    """The effect of a class's context; None where it was not tested."""
    if row is None or pd.isna(row.get("effect")):
        return None
    return {
        "value": float(row["effect"]),
        "low": float(row.get("effect_low", np.nan)),
        "high": float(row.get("effect_high", np.nan)),
        "confirmed": row.get("confirmed") in (True, np.True_),
    }


def _note(row):
    """Why a class has no context score; empty where it has one."""
    return "" if row is None or pd.isna(row["note"]) else str(row["note"])


def _strip(slug, strips, atlas, concept, class_index):
    for name in (f"{concept}-{class_index}", str(concept)):
        if name in strips:
            return {
                "file": f"concepts/{slug}/{name}.webp",
                "tiles": len(strips[name]),
                "width": atlas.tile * len(strips[name]),
                "own": "-" in name,
            }
    return None


def _shown_of(layer, shown):
    """{concept: explanations that show it}, as numbers of `explanations` in the site data."""
    found = defaultdict(list)
    for number, each in enumerate(shown):
        for part in each.summary["concepts"]:
            if part["layer"] == layer:
                found[part["concept"]].append(number)
    return found


def _rows_about(inputs, name):
    """Rows of the tables that name a class, few enough to show on its page."""
    found = {}
    for key in ("classes", "pairs", "effects", "instances", "swaps"):
        table = inputs.rows(key)
        if table is None or "class" not in table:
            continue
        rows = table[table["class"] == name]
        by = [column for column in ("unusual", "outside", "context_share") if column in rows]
        if key == "instances" and by:
            rows = rows.sort_values(by, ascending=False, kind="stable")
        rows = rows.head(ROWS)
        if len(rows):
            columns = columns_of(rows, meanings_of(key))
            found[key] = {
                "columns": [column for column in columns if column["name"] != "class"],
                "rows": rows.to_dict("records"),
            }
    return found


def _weighted(outside, relevance):
    """Mean share outside over concepts, weighted by their positive relevance; None if unknown."""
    weights = np.where(np.isfinite(outside), np.clip(relevance, 0, None), 0)
    if weights.sum() <= 0:
        return None
    return float((np.nan_to_num(outside) * weights).sum() / weights.sum())
