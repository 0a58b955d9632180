"""Concept explanations and context bias of segmentation and detection models (L-CRP)."""

from importlib import import_module
from typing import Any

from lcrp.errors import InputError

__version__ = "0.1.0"
__all__ = ["Explainer", "InputError", "__version__", "load_model", "open_store"]

_HOMES = {
    "load_model": "lcrp.models",
    "Explainer": "lcrp.attribution",
    "open_store": "lcrp.store",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that scripts which only move files need not load torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lcrp' has no attribute {name!r}")
