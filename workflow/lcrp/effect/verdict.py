"""What the readings after an intervention are worth, and which effects are confirmed."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lcrp.configuration import Effect
from lcrp.effect.outcome import Outcome
from lcrp.effect.statistics import Contrast, contrast, holm

# Of the bootstrap and of the sign-flip test, and of the intervals.
DRAWS = 20000
CONFIDENCE = 0.95


def judged(
    outcome: Outcome, control: Outcome | None, detection: bool, settings: Effect
) -> dict[str, float]:
    """The numbers of a row of the table of effects.

    A detector is judged by the probability and by the detection rate, and the more telling of
    both decides.

    Args:
        outcome: complete, of the intervention.
        control: of the same objects under the control intervention, or None.
        detection: whether the model finds boxes.
        settings: of the statistics.
    """
    measures = ["probability", "said"] if detection else ["probability"]
    contrasts = [
        contrast(
            outcome.drop(measure),
            control.drop(measure) if control else None,
            draws=DRAWS,
            confidence=CONFIDENCE,
            seed=settings.seed,
        )
        for measure in measures
    ]
    best = _telling(contrasts, settings.floor)
    return {
        "images": len(outcome.subjects),
        "probability_before": outcome.before("probability").mean(),
        "probability_after": outcome.after("probability").mean(),
        "logit_change": -outcome.drop("logit").mean(),
        "detected_after": outcome.after("said").mean() if detection else np.nan,
        "effect": best.effect,
        "low": best.low,
        "high": best.high,
        "control": best.control,
        "difference": best.difference,
        "size": best.size,
        # The measure was chosen by its own values: that counts as so many tests.
        "p": min(1.0, best.p * len(measures)) if control else np.nan,
    }


def _telling(contrasts: Iterable[Contrast], floor: float) -> Contrast:
    """The contrast with the larger effect; of several above the floor, the least by chance."""
    large = [c for c in contrasts if min(c.effect, c.difference) >= floor]
    if large:
        return min(large, key=lambda entry: (entry.p, -entry.effect))
    return max(contrasts, key=lambda entry: entry.effect)


def confirmed(table: pd.DataFrame, floor: float, alpha: float) -> pd.DataFrame:
    """A table of effects with the columns `p_adjusted` and `confirmed`.

    Backgrounds and things are one family of tests, concepts another, each corrected by Holm's
    method. Which concepts the context flows through is a question about classes that need their
    context: concepts are confirmed only where the background of their class is.

    Args:
        table: one row per intervention.
        floor: least effect and difference that is confirmed.
        alpha: chance of any false confirmation in a family.
    """
    table = table.copy()
    concepts = table["kind"] == "concepts"
    table["p_adjusted"] = np.nan
    for family in (~concepts, concepts):
        table.loc[family, "p_adjusted"] = holm(table.loc[family, "p"].to_numpy(float))
    enough = table[["effect", "difference"]].min(axis=1, skipna=False) >= floor
    told = (table["p_adjusted"] <= alpha) & enough
    needy = set(table.loc[told & (table["intervention"] == "other-class"), "class"])
    idle = told & concepts & ~table["class"].isin(needy)
    table.loc[idle, "note"] += "; the class was not found to need its context"
    table["confirmed"] = told & ~idle
    return table
