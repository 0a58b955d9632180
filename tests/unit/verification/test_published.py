"""What the paper reports of the verification."""

import numpy as np
import pytest

from lcrp.verification.published import LAYERS, VALUES, reported


def test_published_values_are_those_of_the_average():
    """Averaged over models and layers the paper reports 0.175 and 0.69 for L-CRP."""
    assert set(LAYERS) == set(VALUES)
    for method, error, correlation in (
        ("L-CRP", 0.175, 0.69), ("latent LRP", 0.199, 0.67), ("guided GradCAM", 0.244, 0.43),
        ("SS-GradCAM", 0.246, 0.40), ("GradCAM", 0.252, 0.25), ("activation", 0.405, 0.65),
    ):  # fmt: skip
        pairs = [reported(f, layer, method) for f, layers in LAYERS.items() for layer in layers]
        assert np.mean(pairs, axis=0) == pytest.approx([error, correlation], abs=0.006)
    assert reported("yolov5n", "model.10.conv", "L-CRP") == (0.0229**0.5, 0.829)
    assert reported("ssd", "model.10.conv", "L-CRP") is None
