"""Context scores by several attribution methods, as the paper compares them.

Dreyer et al., arXiv 2211.11426. L-CRP's scores are of heatmaps that are conditioned on a concept;
the others take a map of the concept's layer, at its own size or (guided GradCAM) enlarged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from lcrp.attribution import Explainer, Targets
from lcrp.attribution.maps import feature_maps, relevance_maps
from lcrp.object_masks import outside_share
from lcrp.verification.replay import Replayed, on_other_images

METHODS = (
    "L-CRP", "transported L-CRP", "latent LRP", "activation", "GradCAM", "SS-GradCAM",
    "guided GradCAM",
)  # fmt: skip


class Methods:
    """The methods for one model.

    Args:
        explainer: of the model, with the composite of L-CRP.
        device: where the gradients are computed.
    """

    def __init__(self, explainer: Explainer, device: str = "auto"):
        self.explainer = explainer
        self._gradient, self._guided = (
            Explainer(explainer.model, composite, device=device)
            for composite in ("Gradient", "GuidedBackprop")
        )

    def scores(
        self, replayed: Replayed, wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, np.ndarray]:
        """Context scores of concepts for one target.

        Args:
            replayed: the target and its object.
            wanted: {layer: concepts}.

        Returns:
            {layer: (concepts, METHODS)}; NaN where a map has no positive relevance.
        """
        mask = torch.from_numpy(replayed.object)
        layers = list(wanted)
        parts = {replayed.target.image: torch.stack([mask, ~mask])}
        landed = self.explainer.explain(replayed.targets, layers=layers, parts=parts).parts
        relevance = relevance_maps(self.explainer, replayed.targets, layers)
        features = feature_maps(self.explainer, replayed.image[None], layers)
        gradients = relevance_maps(self._gradient, _again(self._gradient, replayed), layers)
        targets = _again(self._guided, replayed)
        guided = self._guided.explain(targets, layers=[], heatmaps=True).heatmaps
        found = {}
        for layer in layers:
            concepts = list(wanted[layer])
            seen = features[layer][0, concepts].float().clamp(min=0).cpu()
            slope = gradients[layer][0, concepts].float().cpu()
            small = functional.interpolate(mask[None, None].float(), seen.shape[-2:])[0, 0] > 0.5
            cam = (seen * slope.mean(dim=(1, 2), keepdim=True)).clamp(min=0)
            resized = functional.interpolate(
                cam[None], mask.shape, mode="bilinear", align_corners=False
            )[0]
            inside, outside = landed[layer][0].double().numpy()[:, concepts]
            with np.errstate(divide="ignore", invalid="ignore"):
                transported = np.where(inside + outside > 0, outside / (inside + outside), np.nan)
            maps = self.explainer.conditional(replayed.target, layer, concepts)
            scores = {
                "L-CRP": outside_share(maps, mask),
                "transported L-CRP": transported,
                "latent LRP": outside_share(relevance[layer][0, concepts].cpu(), small),
                "activation": outside_share(seen, small),
                "GradCAM": outside_share(cam, small),
                "SS-GradCAM": outside_share(cam * slope.abs(), small),
                "guided GradCAM": outside_share(guided * resized, mask),
            }
            found[layer] = np.stack([scores[method] for method in METHODS], axis=1)
        return found


def _again(explainer, replayed):
    """The target for another explainer, each of its pixels weighing the same."""
    prediction = explainer.predict(replayed.image[None])
    (target,) = on_other_images(replayed.target, prediction)
    even = torch.full_like(target.value, 1 / len(target.value))
    return Targets(prediction, [replace(target, value=even)])
