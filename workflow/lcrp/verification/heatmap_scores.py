"""Context scores by conditional heatmaps, as Dreyer et al., arXiv 2211.11426, define them.

C = sum R+ (1 - mask) / sum R+ over the input, where R+ is the positive part of the heatmap that is
conditioned on a concept; averaged over the concept's best targets of a class. One backward pass per
target and concept: for some concepts, where the transported scores are for all.
"""

import logging
from collections import defaultdict

import numpy as np
import pandas as pd
import torch

from lcrp.context.aggregation import choose_layers, target_notes
from lcrp.context.context_columns import NONE
from lcrp.verification.replay import Subjects

log = logging.getLogger(__name__)
COLUMNS = {
    "class": "name of the explained class",
    "layer": "name of the layer",
    "concept": "channel of the layer",
    "rank": "place of the concept among those of layer and class, by share; from 1",
    "share": "mean normalised relevance",
    "targets": "number of best targets that the scores are means of",
    "context_score": "mean score by conditional heatmaps, clamped at zero",
    "transported": "mean score of the same targets by transported masks (signed share)",
    "difference": "transported minus context_score",
    "kind": "exact: no heatmap has negative relevance, so that both are the same by definition",
    "note": "why a value is empty",
}


def outside_share(maps, mask):
    """Share of positive relevance that lies outside a mask: (n, H, W) and (H, W) to (n,).

    NaN where there is no positive relevance.
    """
    positive = torch.as_tensor(maps).double().clamp(min=0).flatten(1)
    outside = positive @ (~torch.as_tensor(mask, dtype=torch.bool)).double().flatten()
    total = positive.sum(dim=1)
    return torch.where(total > 0, outside / total, torch.nan).numpy()


def leading_concepts(share, count):
    """Concepts with the largest positive mean share (C,), best first."""
    order = np.argsort(-share, kind="stable")[:count]
    return [int(c) for c in order if share[c] > 0]


def heatmap_scores(
    explainer,
    dataset,
    store,
    layers="all",
    classes="all",
    concepts=50,
    references=15,
    progress=iter,
):
    """Scores of the leading concepts of every class by conditional heatmaps: a data frame.

    explainer: of the store's model, with the composite that is asked for; the best targets are the
    store's. layers, classes: those scored. concepts: how many per class. references: of how many
    best targets the score is the mean. progress: wraps the list of images. Columns: COLUMNS.
    """
    layers = choose_layers(store, layers)
    chosen = range(len(store.classes))
    if classes != "all":
        chosen = [store.class_index(name) for name in classes]
    usable = target_notes(store, layers) == NONE
    rows, wanted = [], defaultdict(list)
    for index in chosen:
        of_class = np.flatnonzero((store.targets["class"] == index).to_numpy())
        if not of_class.size:
            if classes != "all":
                log.warning("no target of %s was analysed: it has no scores", store.classes[index])
            continue
        for layer in layers:
            share = store.normalised(layer, of_class)
            share = share[np.isfinite(share).all(axis=1)]
            share = share.mean(axis=0) if len(share) else np.zeros(share.shape[1])
            best = store.best_rows(layer, index)
            for rank, concept in enumerate(leading_concepts(share, concepts), start=1):
                targets = [t for t in best[:, concept] if t >= 0 and usable[t]][:references]
                for target in targets:
                    wanted[int(target)].append((layer, len(rows), concept))
                rows.append((store.classes[index], layer, concept, rank, share[concept]))
    images = sorted({int(store.targets["image"].iloc[t]) for t in wanted})
    found, transported, signed = defaultdict(list), defaultdict(list), set()
    subjects = Subjects(explainer, dataset, store)
    of_image = store.targets["image"].to_numpy()
    for image in progress(images):
        for subject in subjects.of([t for t in wanted if of_image[t] == image]):
            mask = torch.from_numpy(subject.object)
            parts = {subject.target.image: torch.stack([mask, ~mask])}
            names = list(dict.fromkeys(layer for layer, *_ in wanted[subject.row]))
            landed = explainer.explain(subject.targets, layers=names, parts=parts).parts
            for layer in names:
                own = [(row, c) for name, row, c in wanted[subject.row] if name == layer]
                maps = explainer.conditional(subject.target, layer, [c for _, c in own])
                inside, outside = landed[layer][0].double().numpy()
                for (row, concept), heatmap, score in zip(
                    own, maps, outside_share(maps, mask), strict=True
                ):
                    whole = inside[concept] + outside[concept]
                    if np.isfinite(score) and whole > 0:
                        found[row].append(score)
                        transported[row].append(outside[concept] / whole)
                    if float(heatmap.min()) < -1e-6 * float(heatmap.abs().max()):
                        signed.add(row)
    table = []
    for row, values in enumerate(rows):
        count = len(found[row])
        score, other = (np.mean(v[row]) if count else np.nan for v in (found, transported))
        kind = "" if not count else "signed share" if row in signed else "exact"
        note = "" if count else "no scored target with positive relevance"
        table.append((*values, count, score, other, other - score, kind, note))
    return pd.DataFrame(table, columns=list(COLUMNS))
