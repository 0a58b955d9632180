"""Reference weights and cases, found beside the repository."""

import importlib.util

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden_weights(shared):
    """The module that makes deterministic weights from the key tables."""
    path = shared / "golden" / "weights.py"
    specification = importlib.util.spec_from_file_location("golden_weights", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def golden_state(golden_weights):
    """State dict of an architecture, values as tensors."""

    def state(name):
        return {key: torch.from_numpy(v) for key, v in golden_weights.state(name).items()}

    return state


@pytest.fixture
def golden_case(shared):
    """The arrays of a case by name."""

    def case(name):
        return np.load(shared / "golden" / "cases" / f"{name}.npz")

    return case
