"""Effects of interventions beside the scores of classes and pairs."""

import numpy as np
import pandas as pd

from lcrp.context.context_columns import COLUMNS
from lcrp.errors import InputError

# Intervention that decides about the rows of a table, and what tells these apart. Others, as noise
# behind the object, are harsher and have no control: they say nothing about the context.
_KINDS = {"classes": ("other-class", ["class"]), "pairs": ("removed", ["class", "thing"])}
_NAMED = {"effect_low": "low", "effect_high": "high"}


def read_effects(path):
    """effects.csv as a data frame; InputError where it is none."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); measure the effect again") from error
    for column in ("kind", "intervention", "class", "thing", "effect", "confirmed"):
        if column not in table:
            raise InputError(f"{path}: has no column {column}; measure the effect again")
    return table


def with_effects(table, name, effects=None):
    """A table of scores with the columns of effects, ordered by effect.

    name: "classes" or "pairs". effects: data frame of effects.csv, None without any: then the
    columns are empty. Pairs that were tested without a score, as with stuff, get a row. Of several
    tests of the same class (or class and thing) the one is named that was confirmed, of several
    such the one with the largest effect. Of classes the row `all` has the effect. Rows without an
    effect follow, pairs by their share.
    """
    intervention, keys = _KINDS[name]
    columns = [c for c in COLUMNS[name] if c not in table]
    joined = table.copy()
    for column in columns:
        text = column in ("confirmed", "intervention")
        joined[column] = (
            np.array([""] * len(table), object) if text else np.full(len(table), np.nan)
        )
    if effects is not None and len(effects):
        chosen = effects[effects["intervention"] == intervention].copy()
        chosen["confirmed"] = chosen["confirmed"].astype(str).str.lower()
        order = ["confirmed", "effect"]
        chosen = chosen.sort_values(order, ascending=False, kind="stable", key=_ranked)
        chosen = chosen.drop_duplicates(keys).set_index(keys)
        if name == "pairs":
            joined = _with_unscored(joined, chosen)
        for row in joined.index:
            key = tuple(joined.loc[row, keys]) if len(keys) > 1 else joined.loc[row, keys[0]]
            if key not in chosen.index or joined.loc[row].get("layer", "all") != "all":
                continue
            effect = chosen.loc[key]
            for column in columns:
                source = _NAMED.get(column, column)
                if source in effect:
                    joined.loc[row, column] = effect[source]
            notes = [joined.loc[row, "note"], effect.get("note", "")]
            joined.loc[row, "note"] = "; ".join(str(n) for n in notes if n and n == n)
    if name == "classes":
        whole = joined[joined["layer"] == "all"].set_index("class")["effect"]
        keys = -joined["class"].map(whole[~whole.index.duplicated()])
        order = np.argsort(keys.fillna(np.inf).to_numpy(float), kind="stable")
    else:
        by = [-joined[column].fillna(-np.inf).to_numpy(float) for column in ("share", "effect")]
        order = np.lexsort(by)
    return joined.iloc[order][list(COLUMNS[name])].reset_index(drop=True)


def _with_unscored(pairs, chosen):
    """Pairs with a row also for those that were tested but have no score: what is no class."""
    scored = set(zip(pairs["class"], pairs["thing"], strict=True))
    rows = [
        {"class": name, "thing": thing, "images": effect.get("images", 0), "note": ""}
        for (name, thing), effect in chosen.iterrows()
        if (name, thing) not in scored
    ]
    if not rows:
        return pairs
    more = pd.DataFrame(rows).reindex(columns=pairs.columns)
    for column in ("confirmed", "intervention"):
        if column in more:
            more[column] = ""
    return pd.concat([pairs, more], ignore_index=True)


def _ranked(column):
    return column == "true" if column.name == "confirmed" else column.fillna(-np.inf)
