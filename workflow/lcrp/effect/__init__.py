"""The effect of the context on a model, by intervention: what attribution proposes is decided here.

`measure_effects` replaces backgrounds, paints things over and switches concepts off, each beside
a control, and says what the model's answers do. `COLUMNS` says what the table holds.
"""

from lcrp.effect.ablation import ablate_context, draw_ablation
from lcrp.effect.before_after import write_examples
from lcrp.effect.effect_columns import COLUMNS, EXAMPLE_COLUMNS
from lcrp.effect.measuring import Effects, measure_effects
from lcrp.effect.settings import EffectSettings

__all__ = [
    "COLUMNS",
    "EXAMPLE_COLUMNS",
    "EffectSettings",
    "Effects",
    "ablate_context",
    "draw_ablation",
    "measure_effects",
    "write_examples",
]
