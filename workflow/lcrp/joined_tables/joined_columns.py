"""The columns of the joined tables, in order, each with its meaning."""

from lcrp.context.context_columns import CONTEXT_COLUMNS
from lcrp.effect.effect_columns import EFFECT_COLUMNS

# The columns that come from interventions, and what each is called in the table of effects.
FROM_EFFECTS = {
    "effect": "effect",
    "effect_low": "low",
    "effect_high": "high",
    "control": "control",
    "difference": "difference",
    "p_adjusted": "p_adjusted",
    "confirmed": "confirmed",
}
_EFFECT = {name: EFFECT_COLUMNS[source] for name, source in FROM_EFFECTS.items()}
_EFFECT["effect"] += "; empty where it was not tested"
_PAIRS = dict(CONTEXT_COLUMNS["pairs"])
_NOTE = {"note": _PAIRS.pop("note")}

JOINED_COLUMNS = CONTEXT_COLUMNS | {
    "classes": {
        **CONTEXT_COLUMNS["classes"],
        **_EFFECT,
        "intervention": "what the effect is that of: how the background was replaced",
    },
    "pairs": {**_PAIRS, **_EFFECT, **_NOTE},
}
