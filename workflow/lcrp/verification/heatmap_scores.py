"""Context scores by conditional heatmaps, as Dreyer et al., arXiv 2211.11426, define them.

C = sum R+ (1 - mask) / sum R+ over the input, where R+ is the positive part of the heatmap that is
conditioned on a concept; averaged over the concept's best targets of a class. One backward pass per
target and concept: for some concepts, where the transported scores are for all.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch

from lcrp.attribution import Explainer
from lcrp.context.aggregation import target_notes
from lcrp.context.context_columns import NONE
from lcrp.datasets.sample import Dataset
from lcrp.layers import select_layers
from lcrp.object_masks import outside_share
from lcrp.store import ConceptStore
from lcrp.verification.replay import Replay

log = logging.getLogger(__name__)
HEATMAP_COLUMNS = {
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


def most_relevant(share: np.ndarray, count: int) -> list[int]:
    """The concepts with the largest positive mean share (C,), best first."""
    order = np.argsort(-share, kind="stable")[:count]
    return [int(c) for c in order if share[c] > 0]


def heatmap_scores(
    explainer: Explainer,
    dataset: Dataset,
    store: ConceptStore,
    layers: str | Iterable[str] = "all",
    classes: str | Iterable[str] = "all",
    concepts: int = 50,
    references: int = 15,
    progress: Callable[[list], Iterable] = iter,
) -> pd.DataFrame:
    """Scores of the most relevant concepts of every class by conditional heatmaps.

    Args:
        explainer: of the store's model, with the composite that is asked for; the best targets
            are the store's.
        dataset: the images that the store was made of.
        store: merged concept store.
        layers: those scored, names or patterns; "default" stands for those of the architecture's
            own choice that the store holds (all, if it holds none).
        classes: those scored, names or "all".
        concepts: how many per class and layer.
        references: the score is the mean over at most so many best targets.
        progress: wraps the list of images.

    Returns:
        One row per class, layer and concept; columns as in `HEATMAP_COLUMNS`.

    Raises:
        InputError: a layer or class is unknown.
    """
    own = [name for name in explainer.model.default_layers if name in store.layers]
    layers = select_layers(layers, store.layers, own or store.layers, where=store.path)
    chosen = range(len(store.classes))
    if classes != "all":
        chosen = [store.class_index(name) for name in classes]
    concepts_of, wanted = [], defaultdict(list)
    usable = target_notes(store, layers) == NONE
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
            for rank, concept in enumerate(most_relevant(share, concepts), start=1):
                targets = [t for t in best[:, concept] if t >= 0 and usable[t]][:references]
                for target in targets:
                    wanted[int(target)].append((layer, len(concepts_of), concept))
                concepts_of.append((store.classes[index], layer, concept, rank, share[concept]))
    scores = _Scores(explainer)
    of_image = store.targets["image"].to_numpy()
    replay = Replay(explainer, dataset, store)
    for image in progress(sorted({int(of_image[target]) for target in wanted})):
        for replayed in replay.of([target for target in wanted if of_image[target] == image]):
            scores.add(replayed, wanted[replayed.row])
    rows = [(*facts, *scores.of(row)) for row, facts in enumerate(concepts_of)]
    return pd.DataFrame(rows, columns=list(HEATMAP_COLUMNS))


class _Scores:
    """Scores of concepts, by their rows in the table, target by target."""

    def __init__(self, explainer):
        self.explainer = explainer
        self.by_heatmap, self.transported, self.signed = defaultdict(list), defaultdict(list), set()

    def add(self, replayed, wanted):
        """Score a target: wanted are (layer, row of the table, concept) that it is one of."""
        mask = torch.from_numpy(replayed.object)
        parts = {replayed.target.image: torch.stack([mask, ~mask])}
        layers = list(dict.fromkeys(layer for layer, *_ in wanted))
        landed = self.explainer.explain(replayed.targets, layers=layers, parts=parts).parts
        for layer in layers:
            own = [(row, concept) for name, row, concept in wanted if name == layer]
            maps = self.explainer.conditional(replayed.target, layer, [c for _, c in own])
            inside, outside = landed[layer][0].double().numpy()
            for (row, concept), heatmap, score in zip(
                own, maps, outside_share(maps, mask), strict=True
            ):
                whole = inside[concept] + outside[concept]
                if np.isfinite(score) and whole > 0:
                    self.by_heatmap[row].append(score)
                    self.transported[row].append(outside[concept] / whole)
                if float(heatmap.min()) < -1e-6 * float(heatmap.abs().max()):
                    self.signed.add(row)

    def of(self, row):
        """What the table says of a row: targets, both scores, their difference, kind, note."""
        count = len(self.by_heatmap[row])
        if not count:
            return 0, np.nan, np.nan, np.nan, "", "no scored target with positive relevance"
        score, other = np.mean(self.by_heatmap[row]), np.mean(self.transported[row])
        kind = "signed share" if row in self.signed else "exact"
        return count, score, other, other - score, kind, ""
