"""Does a context score say how sensitive a concept is to its background? Measured.

As in Dreyer et al., arXiv 2211.11426: the background of images is replaced in eight ways, and
the sensitivity of a concept to that is compared with its context score, by several attribution
methods. A good score equals the sensitivity.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from lcrp.attribution import Explainer
from lcrp.configuration import Verification
from lcrp.context.aggregation import target_notes
from lcrp.context.context_columns import NONE
from lcrp.datasets.sample import Dataset
from lcrp.errors import InputError
from lcrp.models import Model
from lcrp.object_masks import MET
from lcrp.store import ConceptStore
from lcrp.verification.backgrounds import replaced_backgrounds
from lcrp.verification.compared_methods import METHODS, Methods
from lcrp.verification.heatmap_scores import most_relevant
from lcrp.verification.published import reported
from lcrp.verification.replay import Replay, on_other_images

VERIFICATION_COLUMNS = {
    "layer": "name of the layer",
    "method": "what the context score was computed from",
    "classes": "number of classes",
    "concepts": "number of pairs of class and concept that have a score and a sensitivity",
    "rmse": "root of the mean squared difference of score and measured sensitivity",
    "correlation": "Pearson's, of score and measured sensitivity",
    "paper_rmse": "what the paper reports for this family of models and layer (another model size "
    "and other images, where these are not its own)",
    "paper_correlation": "the same",
}
POINT_COLUMNS = {
    "layer": "name of the layer",
    "class": "name of the explained class",
    "concept": "channel of the layer",
    "samples": "number of images",
    "relevance": "mean normalised relevance",
    "sensitivity": "measured sensitivity to the background",
    **{method: f"context score by {method}" for method in METHODS},
}


SEED = 0  # of the choice of samples and of their backgrounds


def choose_samples(store: ConceptStore, settings: Verification) -> dict[int, np.ndarray]:
    """{class index: rows of the store's targets} that are used, in the order of the rows.

    Raises:
        InputError: no class has enough samples, or a class is unknown.
    """
    notes = target_notes(store, store.layers[:1], MET)
    height, width = store.attrs["input_size"]
    # A store without targets has no such column.
    share = store.targets.get("object_share", pd.Series(np.full(len(notes), np.nan)))
    usable = (notes == NONE) & (share.to_numpy() * height * width >= settings.least_pixels)
    wanted = range(len(store.classes))
    if settings.classes != "all":
        wanted = [store.class_index(name) for name in settings.classes]
    of_class = store.targets["class"].to_numpy()
    samples = {index: np.flatnonzero(usable & (of_class == index)) for index in wanted}
    found = {i: rows for i, rows in samples.items() if len(rows) >= settings.least_samples}
    if not found:
        most = max(map(len, samples.values()), default=0)
        raise InputError(
            f"{store.path}: no class has {settings.least_samples} annotated samples of at least "
            f"{settings.least_pixels} pixels that the model finds, the most are {most}; "
            "lower verification.least_samples or verification.least_pixels, or add images"
        )
    each = min(settings.samples, max(settings.budget // len(found), settings.least_samples))
    random = np.random.default_rng(SEED)
    return {
        index: rows if len(rows) <= each else np.sort(random.choice(rows, each, replace=False))
        for index, rows in found.items()
    }


def relative_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """|before - after| / max(|before|, |after|), at most one; zero where both are zero."""
    largest = np.maximum(np.abs(before), np.abs(after))
    change = np.abs(before - after)
    return np.minimum(1, np.divide(change, largest, out=np.zeros_like(change), where=largest > 0))


def verify(
    model: Model,
    dataset: Dataset,
    store: ConceptStore,
    layers: str | Iterable[str],
    settings: Verification,
    device: str = "auto",
    batch_size: int = 4,
    progress: Callable[[list], Iterable] = iter,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How sensitive concepts are to the background, and the scores that should say so.

    Args:
        model: the store's.
        dataset: the images that the store was made of.
        store: merged concept store.
        layers: names or patterns, "default" or "all".
        settings: how it is made.
        device: where the model runs.
        batch_size: images that are predicted together.
        progress: wraps the list of samples, twice.

    Returns:
        The agreement per layer and method, columns as in `VERIFICATION_COLUMNS`; and what it
        was computed from, per layer, class and concept, as in `POINT_COLUMNS`.

    Raises:
        InputError: no class has enough samples, or a layer or class is unknown.
    """
    samples = choose_samples(store, settings)
    run = _Verification(model, dataset, store, layers, settings, device, batch_size)
    of_row = {int(row): index for index, rows in samples.items() for row in rows}
    for row in progress(sorted(of_row)):
        for replayed in run.replay.of([row]):
            run.measure(replayed, of_row[row])
    run.choose()
    for row in progress(run.rows_with_scores()):
        for replayed in run.replay.of([row]):
            run.score(replayed)
    points = run.points()
    return summary(points, model.architecture), points


class _Verification:
    def __init__(self, model, dataset, store, layers, settings, device, batch_size):
        self.settings, self.store, self.model = settings, store, model
        self.explainer = Explainer(model, settings.composite, device=device)
        self.methods = Methods(self.explainer, device)
        self.layers = self.explainer.select(layers)
        self.replay = Replay(self.explainer, dataset, store)
        self.batch_size = batch_size
        # {class: {row: {layer: normalised relevance (C,)}}}, and the same of the changes.
        self.relevance, self.change = defaultdict(dict), defaultdict(dict)
        self.wanted = defaultdict(lambda: defaultdict(list))
        self.scores = defaultdict(list)

    def measure(self, replayed, index):
        """Relevance of one sample, and how it changes with the background."""
        own = self._normalised(replayed.targets)
        variants = replaced_backgrounds(
            replayed.image, replayed.object, self.model.pixels, (SEED, replayed.row)
        )
        changes = {layer: [] for layer in self.layers}
        for start in range(0, len(variants), self.batch_size):
            some = self.explainer.predict(variants[start : start + self.batch_size])
            after = self._normalised(on_other_images(replayed.target, some))
            for layer in self.layers:
                changes[layer].append(relative_change(own[layer], after[layer]))
        self.relevance[index][replayed.row] = {layer: own[layer][0] for layer in self.layers}
        self.change[index][replayed.row] = {
            layer: np.concatenate(changes[layer]).mean(axis=0) for layer in self.layers
        }

    def _normalised(self, targets):
        found = self.explainer.explain(targets, layers=self.layers).relevance
        result = {}
        for layer, values in found.items():
            values = values.double().numpy()
            sums = np.abs(values).sum(axis=1, keepdims=True)
            result[layer] = values / np.where(sums > 0, sums, 1)
        return result

    def choose(self):
        """Concepts of every class and layer, and the best samples of each."""
        self.relevance = {
            index: rows
            for index, rows in self.relevance.items()
            if len(rows) >= self.settings.least_samples
        }
        for index, rows in self.relevance.items():
            numbers = list(rows)
            for layer in self.layers:
                values = np.stack([rows[row][layer] for row in numbers])
                for concept in most_relevant(values.mean(axis=0), self.settings.concepts):
                    order = np.argsort(-values[:, concept], kind="stable")
                    for place in order[: self.settings.references]:
                        if values[place, concept] > 0:
                            wanted = self.wanted[numbers[place]][layer]
                            wanted.append((index, concept))

    def rows_with_scores(self):
        """Rows of the samples that some concept has among its best."""
        return sorted(self.wanted)

    def score(self, replayed):
        """Scores of one sample by every method, for the concepts that it is one of the best of."""
        wanted = self.wanted[replayed.row]
        concepts = {layer: [concept for _, concept in keys] for layer, keys in wanted.items()}
        for layer, values in self.methods.scores(replayed, concepts).items():
            for (index, concept), row in zip(wanted[layer], values, strict=True):
                self.scores[layer, index, concept].append(row)

    def points(self):
        """One row per layer, class and concept."""
        rows = []
        for (layer, index, concept), values in sorted(
            self.scores.items(), key=lambda item: (self.layers.index(item[0][0]), *item[0][1:])
        ):
            numbers = list(self.relevance[index])
            before = np.array([self.relevance[index][n][layer][concept] for n in numbers])
            change = np.array([self.change[index][n][layer][concept] for n in numbers])
            weight = np.maximum(before, 0)
            sensitivity = (weight * change).sum() / weight.sum()
            values = np.array(values)
            known = np.isfinite(values)
            count = known.sum(axis=0)
            mean = np.divide(
                np.where(known, values, 0).sum(axis=0),
                count,
                out=np.full(len(METHODS), np.nan),
                where=count > 0,
            )
            name = self.store.classes[index]
            rows.append((layer, name, concept, len(numbers), before.mean(), sensitivity, *mean))
        return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


def summary(points: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """Agreement of every method's scores with the sensitivities, layer by layer.

    Columns as in `VERIFICATION_COLUMNS`; points as in `POINT_COLUMNS`.
    """
    rows = []
    for layer, table in points.groupby("layer", sort=False):
        for method in METHODS:
            known = table[np.isfinite(table[method]) & np.isfinite(table["sensitivity"])]
            score, truth = known[method].to_numpy(), known["sensitivity"].to_numpy()
            error = correlation = np.nan
            if len(known):
                error = np.sqrt(np.mean((score - truth) ** 2))
            if len(known) > 2 and score.std() > 0 and truth.std() > 0:
                correlation = np.corrcoef(score, truth)[0, 1]
            published = reported(architecture, layer, method) or (np.nan, np.nan)
            classes = known["class"].nunique()
            rows.append((layer, method, classes, len(known), error, correlation, *published))
    return pd.DataFrame(rows, columns=list(VERIFICATION_COLUMNS))
