"""From a concept store to the context tables, layer by layer, in bounded memory."""

import os
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import pandas as pd

from lcrp.context.context_columns import (
    CONTEXT_COLUMNS,
    FEW,
    KINDS,
    MISSED,
    NO_RELEVANCE,
    NO_TARGET,
    NONE,
    NOT_FINITE,
    NOTES,
    UNANNOTATED,
    WHOLE,
)
from lcrp.context.instances import instance_table, lies_on
from lcrp.context.pairs import pair_table
from lcrp.context.scores import ClassRows, Settings, score_layer
from lcrp.context.whole import WholePredictions, add_shares, shares, with_medians
from lcrp.layers import select_layers
from lcrp.object_masks import MET, NOTHING, UNLABELLED
from lcrp.resampling import ImageBootstrap
from lcrp.store import ConceptStore
from lcrp.store.archive import ArchiveWriter

# An object that covers more of the input leaves no background that a score could speak of.
LARGEST_OBJECT = 0.999
CHUNK_NUMBERS = 2**15


def target_notes(
    store: ConceptStore, layers: Iterable[str], minimum_iou: float = MET
) -> np.ndarray:
    """Why targets have no context score.

    Args:
        store: merged, with `inside` recorded.
        layers: names of those that count.
        minimum_iou: of a prediction with its object; one that overlaps it less misses it.

    Returns:
        (T,) indices into `NOTES`, `NONE` where a target has a score.
    """
    targets = store.targets
    notes = np.full(len(targets), NONE, np.int8)
    annotated = np.zeros(len(targets), bool)
    for layer in layers:
        finite = np.isfinite(store.read(layer, "absolute_sum"))
        notes[~finite] = NOT_FINITE
        inside = store.read(layer, "inside", concepts=slice(0, 1))
        annotated |= np.isfinite(inside[:, 0])
    if "object_share" in targets:
        notes[targets["object_share"].to_numpy() >= LARGEST_OBJECT] = WHOLE
    if "iou" in targets:
        notes[targets["iou"].to_numpy() < minimum_iou] = MISSED
    notes[~annotated & (notes != NOT_FINITE)] = UNANNOTATED
    return notes


def class_rows(store: ConceptStore, notes: np.ndarray, minimum_targets: int) -> list[ClassRows]:
    """The rows of every class of the store, also of those without targets.

    Args:
        store: merged.
        notes: of `target_notes`.
        minimum_targets: a class with fewer scored targets gets no score.
    """
    of_class = store.targets["class"].to_numpy()
    images = store.targets["image"].to_numpy()
    classes = []
    for index in range(len(store.classes)):
        rows = np.flatnonzero(of_class == index)
        scored = rows[notes[rows] == NONE]
        starts = np.flatnonzero(np.diff(images[scored], prepend=-1))
        note = NONE
        if not rows.size:
            note = NO_TARGET
        elif not scored.size:
            note = int(np.bincount(notes[rows]).argmax())
        elif scored.size < minimum_targets:
            note = FEW
        classes.append(ClassRows(index, rows, scored, starts, note))
    return classes


def aggregate(
    store: ConceptStore,
    destination: str | os.PathLike,
    layers: str | Iterable[str] = "all",
    **settings: object,
) -> None:
    """Aggregate the context tables of a store into one Zarr file, which `open_tables` reads.

    Goes layer by layer and by a chunk of concepts at a time: memory does not grow with the number
    of layers or concepts.

    Args:
        store: merged, with `inside` recorded.
        destination: the file to make, by custom `context.zarr.zip`.
        layers: names or patterns; "all" and "default" both mean all of the store.
        settings: fields of `Settings`.

    Raises:
        InputError: a layer is unknown, or has no relevance inside objects.
    """
    settings = Settings(**settings)
    layers = select_layers(layers, store.layers, store.layers, where=store.path)
    for layer in layers:
        for name in ("relevance", "inside"):
            store.read(layer, name, slice(0, 0))
    notes = target_notes(store, layers, settings.minimum_iou)
    classes = class_rows(store, notes, settings.minimum_targets)
    present = [rows for rows in classes if rows.rows.size]
    bootstrap = ImageBootstrap(
        {rows.index: rows.images for rows in present}, settings.draws, settings.seed
    )
    targets = len(store.targets)
    together = _Sums(np.zeros(targets), np.zeros(targets), np.zeros(targets, bool))
    on_thing = np.zeros(len(store.pairs))
    best, whole = _Leading(targets), WholePredictions(store)
    class_tables = []
    with ArchiveWriter(destination) as archive:
        archive.group("", _attributes(store, layers, settings))
        for number, layer in enumerate(layers):
            scores = score_layer(store, layer, present, settings, bootstrap)
            _write_layer(archive, layer, scores, present)
            together.add(scores)
            on_thing += scores.on_thing
            passes = np.full(targets, np.nan)
            if store.holds(layer, "landed"):
                passes = shares(scores.total, whole.landed)
            best.update(scores, number, passes)
            own = _Sums(scores.total, scores.inside, scores.signed)
            table = _class_table(store, classes, own, settings, bootstrap)
            table["layer"] = layer
            table = with_medians(table, classes, passes=passes)
            table["leading_concepts"] = _leading_names(scores, present, classes, settings.leading)
            class_tables.append(table)
        table = _class_table(store, classes, together, settings, bootstrap)
        table["layer"] = "all"
        table = with_medians(table, classes, whole.reaches_input)
        add_shares(table, classes, whole, settings, bootstrap)
        table["leading_concepts"] = ""
        _write_columns(archive, "classes", _by_class(store, [table, *class_tables]), "row")
        seen, on_thing = _seen(store, whole, together, on_thing)
        pairs = pair_table(
            store, classes, seen, on_thing, settings, bootstrap,
            lambda chosen: _explain(chosen, settings),
        )  # fmt: skip
        _write_columns(archive, "pairs", pairs, "pair")
        instances = instance_table(store, notes, together, best, layers, whole)
        instances["lies_on"] = lies_on(store, notes, seen, on_thing)
        _write_columns(archive, "instances", instances, "target")


def _seen(store, whole, together, on_thing):
    """Sums of whole predictions, and what lies on things; of the layers where none are recorded."""
    if not whole.recorded or "landed" not in store.pairs:
        return together, on_thing
    counted = np.isfinite(whole.inside) & np.isfinite(whole.landed)
    sums = (np.where(counted, values, 0.0) for values in (whole.landed, whole.inside))
    return _Sums(*sums, together.signed), store.pairs["landed"].to_numpy()


def _by_class(store, tables):
    """The tables of all layers below each other, the rows of a class together."""
    table = pd.concat(tables, ignore_index=True)
    order = pd.Categorical(table["class"], list(dict.fromkeys(store.classes)), ordered=True)
    return table.iloc[np.argsort(order.codes, kind="stable")]


class _Sums:
    """Positive relevance of one or more layers, per target, and the part inside the object."""

    def __init__(self, total, inside, signed):
        self.total, self.inside, self.signed = total, inside, signed

    def add(self, scores):
        self.total += scores.total
        self.inside += scores.inside
        self.signed |= scores.signed

    def score(self):
        with np.errstate(invalid="ignore"):
            score = 1 - self.inside / self.total
        return np.where(self.signed, score, np.clip(score, 0, 1))


class _Leading:
    """Per target the concept, of all layers, with most normalised relevance outside."""

    def __init__(self, targets):
        self.share = np.full(targets, -np.inf, np.float32)
        self.layer = np.full(targets, -1)
        self.concept = np.full(targets, -1)
        self.passes = np.full(targets, np.nan)

    def update(self, scores, number, passes):
        better = scores.leading_share > self.share
        self.share[better] = scores.leading_share[better]
        self.layer[better] = number
        self.concept[better] = scores.leading_concept[better]
        self.passes[better] = passes[better]


def _attributes(store, layers, settings):
    return {
        "kind": "context",
        "classes": list(store.classes),
        "layers": layers,
        "settings": asdict(settings),
        "notes": list(NOTES),
        "score_compares_inside_with": (
            "landed" if layers and store.holds(layers[0], "landed") else "relevance"
        ),
    }


_ARRAYS = {
    "relevance": "mean relevance",
    "share": CONTEXT_COLUMNS["concepts"]["share"],
    "context_score": CONTEXT_COLUMNS["concepts"]["context_score"],
    "context_low": CONTEXT_COLUMNS["concepts"]["context_low"],
    "context_high": CONTEXT_COLUMNS["concepts"]["context_high"],
    "context_score_relmax": CONTEXT_COLUMNS["concepts"]["context_score_relmax"],
    "relmax_targets": CONTEXT_COLUMNS["concepts"]["relmax_targets"],
    "exact": "whether the score is exact; else it is the signed share",
    "note": "why a value is empty: index into the attribute notes",
    "outside": "share of the class's outside relevance in the layer",
}


_THINGS = {
    "thing": (
        f"things with most outside relevance: class index, {UNLABELLED} unlabelled, {NOTHING} none"
    ),
    "thing_share": "their shares of the outside relevance of the concept",
}


def _write_layer(archive, layer, scores, present):
    group = f"layers/{layer}"
    archive.group(group)
    archive.array(f"{group}/class", np.array([c.index for c in present], np.int32), ("class",))
    for name, meaning in _ARRAYS.items():
        values = getattr(scores, name)
        fill = np.nan if values.dtype.kind == "f" else 0
        archive.array(
            f"{group}/{name}",
            values,
            ("class", "channel"),
            (max(1, min(len(values), CHUNK_NUMBERS // values.shape[1])), values.shape[1]),
            fill,
            {"description": meaning},
        )
    for name, meaning in _THINGS.items():
        values = getattr(scores, name)
        fill = np.nan if values.dtype.kind == "f" else NOTHING
        chunks = (1, *values.shape[1:])
        dimensions = ("class", "rank", "channel")
        archive.array(f"{group}/{name}", values, dimensions, chunks, fill, {"description": meaning})
    own = _Sums(scores.total, scores.inside, scores.signed)
    archive.array(
        f"{group}/context_share",
        own.score().astype(np.float32),
        ("target",),
        fill=np.nan,
        attributes={"description": "share of the target's relevance that lies outside the object"},
    )


def _class_table(store, classes, sums, settings, bootstrap):
    rows = []
    for chosen in classes:
        row = {
            "class": store.classes[chosen.index],
            "targets": len(chosen.rows),
            "scored": len(chosen.scored),
            "images": chosen.images,
            "context_score": np.nan,
            "context_low": np.nan,
            "context_high": np.nan,
            "kind": "",
            "note": _explain(chosen, settings),
        }
        rows.append(row)
        if chosen.note != NONE:
            continue
        inside, total = chosen.per_image(sums.inside), chosen.per_image(sums.total)
        if not total.sum() > 0:
            row["note"] = NOTES[NO_RELEVANCE]
            continue
        exact = not sums.signed[chosen.scored].any()
        low, high = bootstrap.interval(
            chosen.index, inside[:, None], total[:, None], settings.confidence
        )
        ends = np.array([1 - inside.sum() / total.sum(), low[0], high[0]])
        ends = np.clip(ends, 0, 1) if exact else ends
        row["context_score"], row["context_low"], row["context_high"] = ends
        row["kind"] = KINDS[0 if exact else 1]
    return pd.DataFrame(rows)


def _explain(chosen, settings):
    if chosen.note == FEW:
        return f"{len(chosen.scored)} scored targets, the minimum is {settings.minimum_targets}"
    return NOTES[chosen.note]


def _leading_names(scores, present, classes, number):
    """Per class the concepts with most relevance outside: `277 (0.12), 212 (0.08)`."""
    names = dict.fromkeys((c.index for c in classes), "")
    for row, chosen in enumerate(present):
        outside = np.nan_to_num(scores.outside[row])
        best = [c for c in np.argsort(-outside, kind="stable")[:number] if outside[c] > 0]
        names[chosen.index] = ", ".join(f"{c} ({outside[c]:.3f})" for c in best)
    return list(names.values())


def _write_columns(archive, name, table, dimension):
    archive.group(name)
    for column in CONTEXT_COLUMNS[name]:
        values = table[column].to_numpy()
        if values.dtype.kind not in "iufb":
            values = values.astype(object)
        archive.array(
            f"{name}/{column}",
            values,
            (dimension,),
            attributes={"description": CONTEXT_COLUMNS[name][column]},
        )
