"""Reference data and the harness that drives zennit-crp."""

import importlib.util

import numpy as np
import pytest
import torch

from lcrp.models import load_model


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden_case(shared):
    """The arrays of a golden case by name."""
    return lambda name: np.load(shared / "golden" / "cases" / f"{name}.npz")


@pytest.fixture(scope="session")
def golden_model(shared):
    """The model of a golden case: deterministic weights, or real ones."""
    specification = importlib.util.spec_from_file_location(
        "golden_weights", shared / "golden" / "weights.py"
    )
    weights = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(weights)

    def model(name, size):
        size = [int(side) for side in size]
        if "-coco-" in name:
            architecture = name.partition("-")[0]
            file = shared / "real" / f"{architecture}-coco.pt"
            return load_model(architecture, file, input_size=size)
        state = {key: torch.from_numpy(value) for key, value in weights.state(name).items()}
        return load_model(name, state, input_size=size)

    return model
