"""Attribution: one forward pass, every target at once, every layer, masks that travel forward.

`Explainer` is the way in. It traces a network into a `graph`, gives every node an operation
(`operations`, by the rules of a composite) and calls the two together a `program`. The program is
run once per batch of images (`forward`), relevance walks down from the targets' `seeds` (`walk`),
and masks travel up (`transport`) to meet it (`landing`). What travels are messages (`rows`).
"""

from lcrp.attribution.composites import composite_names
from lcrp.attribution.explainer import Explainer
from lcrp.attribution.memory import keep_freed_memory
from lcrp.attribution.operations import Operation, register_operation
from lcrp.attribution.result import Result
from lcrp.attribution.targets import Prediction, Target, Targets

__all__ = [
    "Explainer",
    "Operation",
    "Prediction",
    "Result",
    "Target",
    "Targets",
    "composite_names",
    "keep_freed_memory",
    "register_operation",
]
