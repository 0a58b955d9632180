"""The table of instances: one row per target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lcrp.context.context_columns import KINDS, NO_RELEVANCE, NONE, NOTES, UNLABELLED_NAME
from lcrp.context.whole import OLD_STORE, WholePredictions
from lcrp.store import ConceptStore


def instance_table(
    store: ConceptStore,
    notes: np.ndarray,
    together: Any,
    best: Any,
    layers: Sequence[str],
    whole: WholePredictions,
) -> pd.DataFrame:
    """The rows of instances, but for `lies_on`.

    Args:
        store: the concept store.
        notes: of `target_notes`.
        together: sums over layers of each target.
        best: its leading concepts.
        layers: names of those that count.
        whole: its `WholePredictions`.
    """
    targets = store.targets
    count = len(targets)
    scored = notes == NONE
    share = np.where(scored, together.score(), np.nan)
    notes = np.where(scored & np.isnan(share), NO_RELEVANCE, notes)
    found = scored & (best.layer >= 0)
    kinds = np.where(together.signed, KINDS[1], KINDS[0])
    expected, unusual = whole.compared(scored)
    notes = np.array(NOTES, object)[notes]
    if whole.old:
        notes[notes == ""] = OLD_STORE

    def column(name, empty):
        return targets[name].to_numpy() if name in targets else np.full(count, empty)

    image = targets["image"].to_numpy()
    names = np.array([*store.classes, ""], object)
    return pd.DataFrame(
        {
            "target": np.arange(count),
            "image": store.images["id"].to_numpy(object)[image],
            "class": names[targets["class"].to_numpy()],
            "instance": column("instance", 0),
            "score": column("score", np.nan),
            "iou": column("iou", np.nan),
            "thing": column("thing", ""),
            "outside": np.where(scored, whole.outside, np.nan),
            "far": np.where(scored, whole.far, np.nan),
            "expected": expected,
            "unusual": unusual,
            "reaches_input": whole.reaches_input,
            "context_share": share,
            "leading_layer": np.where(found, np.array([*layers, ""], object)[best.layer], ""),
            "leading_concept": np.where(found, best.concept, -1),
            "leading_share": np.where(found, best.share, np.nan),
            "leading_passes": np.where(found, best.passes, np.nan),
            "kind": np.where(np.isnan(share), "", kinds),
            "note": notes,
        }
    )


def lies_on(
    store: ConceptStore, notes: np.ndarray, together: Any, on_thing: np.ndarray
) -> np.ndarray:
    """Per target the three things with most relevance outside its object: `dog (0.12), ...`."""
    shares = [[] for _ in notes]
    left = together.total - together.inside
    total = np.where(together.total > 0, together.total, np.nan)
    if len(store.pairs):
        pairs = zip(store.pairs["target"], store.pairs["thing"], on_thing, strict=True)
        for row, thing, on in pairs:
            shares[row].append((on / total[row], store.classes[thing]))
            left[row] -= on
        for row, rest in enumerate(left / total):
            shares[row].append((rest, UNLABELLED_NAME))
    named = []
    for note, found in zip(notes, shares, strict=True):
        found = sorted((f for f in found if f[0] >= 0.005), key=lambda f: (-f[0], f[1]))[:3]
        found = found if note == NONE else []
        named.append(", ".join(f"{name} ({share:.3f})" for share, name in found))
    return np.array([*named, ""], object)[:-1]
