"""The effect of the context on a model, by intervention: what attribution proposes is decided here.

`measure_effects` replaces backgrounds, paints things over and switches concepts off, each beside
a control, and says what the model's answers do. `EFFECT_COLUMNS` says what the table holds.
"""

from importlib import import_module

from lcrp.effect.effect_columns import EFFECT_COLUMNS, EXAMPLE_COLUMNS

__all__ = [
    "EFFECT_COLUMNS",
    "EXAMPLE_COLUMNS",
    "Effects",
    "ablate_context",
    "draw_ablation",
    "measure_effects",
    "write_examples",
]

_HOMES = {
    "Effects": "lcrp.effect.measuring",
    "ablate_context": "lcrp.effect.ablation",
    "draw_ablation": "lcrp.effect.ablation",
    "measure_effects": "lcrp.effect.measuring",
    "write_examples": "lcrp.effect.before_after",
}


def __getattr__(name):
    # Imported on first use, so that what the columns mean can be read without torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lcrp.effect' has no attribute {name!r}")
