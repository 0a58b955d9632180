"""Scores that are compared with the truth."""

import numpy as np
import pytest
import torch
from estimator_scores import _agnostic, _contrastive, _latent, _sensitivity, ranking

import lcrp
from lcrp.models import build_model

CLASSES = ("background", "boat", "car")


def test_ranking_by_hand():
    assert ranking([0.9, 0.4, 0.5, 0.1], [True, True, False, False]) == 0.75
    assert ranking([1, 1], [True, False]) == 0.5
    assert ranking([np.nan, 2, 1], [True, True, False]) == 1
    assert np.isnan(ranking([1, 2], [True, True]))


@pytest.fixture(scope="module")
def explained():
    """A UNet without training, and its prediction of an image."""
    torch.manual_seed(1)
    options = {"encoder": "narrow", "encoder_channels": [4, 6, 8, 8], "input_size": [64, 64]}
    model = build_model("unet", CLASSES, **options)
    explainer = lcrp.Explainer(model, device="cpu")
    tensor = torch.randn(3, 64, 64)
    prediction = explainer.predict(tensor[None])
    present = prediction.decoded[0].labels.unique().tolist()
    return explainer, tensor, prediction.targets([[present[-1]]])


def test_class_agnostic_relevance_starts_alike_in_every_class(explained):
    explainer, _, targets = explained
    (own,), (everyone,) = targets, _agnostic(targets)
    assert float(everyone.value.sum()) == pytest.approx(1, abs=1e-5)
    pixels = 64 * 64
    shares = torch.zeros(len(CLASSES), pixels)
    shares.view(-1)[everyone.index] = everyone.value
    for share in shares:
        assert torch.allclose(share[own.index % pixels] * len(CLASSES), own.value)
    assert explainer.explain(_agnostic(targets), layers=[], heatmaps=True).heatmaps.abs().sum() > 0


def test_contrast_is_the_difference_of_two_classes(explained):
    _, _, targets = explained
    (contrast,) = _contrastive(targets)
    assert float(contrast.value.sum()) == pytest.approx(0, abs=1e-6)
    classes = set((contrast.index // (64 * 64)).tolist())
    # The background is no class to be told from.
    assert len(classes - {targets[0].class_index}) == 1 and 0 not in classes


def test_nothing_outside_an_object_that_covers_everything(explained):
    explainer, tensor, targets = explained
    everything = torch.ones(64, 64, dtype=torch.bool)
    assert _latent(explainer, targets[0], everything) == 0
    assert _latent(explainer, targets[0], ~everything) == 1
    random = np.random.default_rng(0)
    index = targets[0].class_index
    assert _sensitivity(explainer, tensor, everything, index, random) == pytest.approx(0, abs=1e-4)
    assert _sensitivity(explainer, tensor, ~everything, index, random) > 0.1
