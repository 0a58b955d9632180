"""Attribution: one forward pass, every target at once, every layer, masks that travel forward."""

from lcrp.attribution import normalisation  # noqa: F401  (registers the operation)
from lcrp.attribution.composites import composite_names
from lcrp.attribution.explainer import Explainer, Result
from lcrp.attribution.operations import Operation, register_operation
from lcrp.attribution.targets import Prediction, Target, Targets

__all__ = [
    "Explainer",
    "Operation",
    "Prediction",
    "Result",
    "Target",
    "Targets",
    "composite_names",
    "register_operation",
]
