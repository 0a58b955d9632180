"""Estimators of context dependence side by side, where the truth is known.

Each gives every class of a model one number, which should be high where the class needs its
context. On scenes it is known which do, and that none does where twins are merged.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from lcrp.attribution import Explainer
from lcrp.attribution.maps import relevance_maps
from lcrp.attribution.targets import Targets
from lcrp.configuration import Effect, parse_entries
from lcrp.effect.measuring import measure_effects
from lcrp.effect.recognised_objects import Pictures, annotated_objects
from lcrp.object_masks import outside_share
from lcrp.verification import relative_change, replaced_backgrounds

COMPOSITES = {
    "z+": "EpsilonPlusFlat",
    "gamma": "EpsilonGammaFlat",
    "epsilon": "EpsilonFlat",
}


def compare_estimators(model, samples, *, images=12, settings=None, seed=0, progress=iter):
    """What each estimator says about each class of a model.

    Args:
        model: `lcrp.models.Model`.
        samples: list of annotated samples, all objects with masks.
        images: images per class that the attribution scores are averaged over.
        settings: of `measure_effects`.
        seed: of the choice of images.
        progress: wraps the classes.

    Returns:
        DataFrame, one row per class: `class`, and a column per estimator; NaN where a class
        has no target.
    """
    samples = list(samples)
    pictures = Pictures(model, samples)
    explainers = {
        name: Explainer(model, composite, "cpu") for name, composite in COMPOSITES.items()
    }
    objects = annotated_objects(samples)
    rows = []
    for index in progress(sorted(objects)):
        random = np.random.default_rng([seed, index])
        numbers = random.permutation(sorted(objects[index]))[:images]
        scores = [
            _scores(explainers, pictures[int(n)], objects[index][int(n)], index, random)
            for n in numbers
        ]
        scores = pd.DataFrame([score for score in scores if score])
        rows.append({"class": model.classes[index], **scores.mean().to_dict()})
    table = pd.DataFrame(rows)
    given = parse_entries(Effect, settings, "effect")
    effects = measure_effects(explainers["z+"], samples, None, given).table
    effects = effects[effects["intervention"] == "other-class"].set_index("class")
    table["effect"] = effects["difference"].reindex(table["class"]).to_numpy()
    table["confirmed"] = effects["confirmed"].reindex(table["class"]).to_numpy()
    return table


def _scores(explainers, picture, things, index, random):
    """Attribution scores of one image and class; None where the model does not predict it."""
    mask = torch.from_numpy(np.any([picture.mask(thing)[0] for thing in things], axis=0))
    tensor = explainers["z+"].model.pixels.apply(picture.pixels)
    found = {}
    for name, explainer in explainers.items():
        targets = explainer.predict(tensor[None]).targets([[index]])
        if not len(targets):
            return None
        own = explainer.explain(targets, layers=[], heatmaps=True).heatmaps[0]
        found[f"C, {name}"] = outside_share(own, mask)
        everything = _agnostic(targets)
        if name == "z+":
            rest = explainer.explain(everything, layers=[], heatmaps=True).heatmaps[0]
            found["C minus class-agnostic C, z+"] = found["C, z+"] - outside_share(rest, mask)
        contrast = explainer.explain(_contrastive(targets), layers=[], heatmaps=True).heatmaps[0]
        found[f"contrastive C, {name}"] = outside_share(contrast, mask)
    explainer = explainers["z+"]
    targets = explainer.predict(tensor[None]).targets([[index]])
    found["latent C, z+"] = _latent(explainer, targets[0], mask)
    found["sensitivity"] = _sensitivity(explainer, tensor, mask, index, random)
    return found


def _logits_at(target):
    """(flat indices, stride) of the logits of class 0 where a target starts."""
    prediction = target.prediction
    raw = prediction.outputs[target.output][target.image]
    classes = len(prediction.model.classes)
    if prediction.model.task == "segmentation":
        stride = raw[0].numel()
    else:
        stride = raw.shape[-2] * raw.shape[-1]  # a plane of the map per class
    return target.index - target.class_index * stride, stride, classes, raw.flatten()


def _agnostic(targets):
    """Targets that start with the same relevance in every class's logit."""
    made = []
    for target in targets:
        base, stride, classes, _ = _logits_at(target)
        index = torch.cat([base + c * stride for c in range(classes)])
        value = target.value.repeat(classes) / classes
        made.append(replace(target, index=index, value=value))
    return Targets(targets.prediction, made)


def _contrastive(targets):
    """Targets of the class's logit minus that of the runner-up."""
    made = []
    for target in targets:
        base, stride, classes, raw = _logits_at(target)
        logits = torch.stack([raw[base + c * stride].float().mean() for c in range(classes)])
        logits[target.class_index] = -torch.inf
        names = target.prediction.model.classes
        if names[0] == "background":
            logits[0] = -torch.inf
        other = int(logits.argmax())
        index = torch.cat([target.index, base + other * stride])
        made.append(replace(target, index=index, value=torch.cat([target.value, -target.value])))
    return Targets(targets.prediction, made)


def _latent(explainer, target, mask):
    """Share of a layer's positive relevance at positions outside the mask, over the layers."""
    shares = []
    for layer in explainer.select("default"):
        relevance = relevance_maps(explainer, [target], [layer])[layer]
        heat = relevance[0].float().clamp(min=0).sum(0).cpu()
        rows, columns = (
            ((torch.arange(side) + 0.5) * full / side).long()
            for side, full in zip(heat.shape, mask.shape, strict=True)
        )
        shares.append(outside_share(heat, mask[rows][:, columns]))
    return float(np.nanmean(shares))


def _sensitivity(explainer, tensor, mask, index, random):
    """The paper's background sensitivity, over the concepts of the default layers."""
    layers = explainer.select("default")
    model = explainer.model
    changed = replaced_backgrounds(tensor, mask, model.pixels, random.integers(2**31, size=2))
    prediction = explainer.predict(torch.cat([tensor[None], changed]))
    targets = prediction.targets([index])
    result = explainer.explain(targets, layers=layers)
    images = [target.image for target in targets]
    values, weights = [], []
    for layer in layers:
        relevance = result.relevance[layer].numpy()
        relevance = relevance / np.abs(relevance).sum(axis=1, keepdims=True)
        by_image = dict(zip(images, relevance, strict=True))
        first = by_image[0]
        # A class that is not predicted any more has lost all of its relevance.
        rest = np.stack([by_image.get(n + 1, np.zeros_like(first)) for n in range(len(changed))])
        values.append(relative_change(first, rest).mean(axis=0))
        weights.append(np.maximum(first, 0))
    return float(np.average(np.concatenate(values), weights=np.concatenate(weights)))


def ranking(scores, positive):
    """Area under the ROC curve: how often a positive class has the larger score; NaN without any.

    Args:
        scores: (n,) numbers, NaN ones are left out.
        positive: (n,) bool.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    known = np.isfinite(scores)
    high, low = scores[known & positive], scores[known & ~positive]
    if not len(high) or not len(low):
        return np.nan
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in high for b in low]))
