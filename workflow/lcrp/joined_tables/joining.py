"""Effects of interventions beside the scores of classes and pairs."""

import os

import numpy as np
import pandas as pd

from lcrp.errors import InputError
from lcrp.files import read_table
from lcrp.joined_tables.joined_columns import FROM_EFFECTS, JOINED_COLUMNS

# Intervention that decides about the rows of a table, and what tells these apart. Others, as noise
# behind the object, are harsher and have no control: they say nothing about the context.
_KINDS = {"classes": ("other-class", ["class"]), "pairs": ("removed", ["class", "thing"])}


def read_effects(path: str | os.PathLike) -> pd.DataFrame:
    """Read effects.csv.

    Raises:
        InputError: it is not such a table.
    """
    table = read_table(path, "measure the effect again")
    for column in ("kind", "intervention", "class", "thing", "effect", "confirmed"):
        if column not in table:
            raise InputError(f"{path}: has no column {column}; measure the effect again")
    return table


def with_effects(
    table: pd.DataFrame, name: str, effects: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A table of scores with the columns of effects, ordered by effect.

    Pairs that were tested without a score, as with stuff, get a row. Of several tests of the same
    class (or class and thing) the one is named that was confirmed, of several such the one with
    the largest effect. Of classes the row `all` has the effect. Rows without an effect follow,
    pairs by their share.

    Args:
        table: columns as in `CONTEXT_COLUMNS`.
        name: "classes" or "pairs".
        effects: of effects.csv; without any the columns are empty.

    Returns:
        The table, columns as in `JOINED_COLUMNS`.
    """
    joined = table.copy()
    missing = [column for column in JOINED_COLUMNS[name] if column not in table]
    for column in missing:
        text = column in ("confirmed", "intervention")
        joined[column] = (
            np.array([""] * len(table), object) if text else np.full(len(table), np.nan)
        )
    if effects is not None and len(effects):
        intervention, keys = _KINDS[name]
        chosen = _telling(effects[effects["intervention"] == intervention].copy(), keys)
        if name == "pairs":
            joined = _with_unscored(joined, chosen)
        _fill(joined, chosen, keys, missing)
    return joined.iloc[_order(joined, name)][list(JOINED_COLUMNS[name])].reset_index(drop=True)


def _telling(chosen, keys):
    """Of several tests of the same the most telling one, by what it is about."""
    chosen["confirmed"] = chosen["confirmed"].astype(str).str.lower()
    chosen = chosen.sort_values(
        ["confirmed", "effect"], ascending=False, kind="stable", key=_ranked
    )
    return chosen.drop_duplicates(keys).set_index(keys)


def _fill(joined, chosen, keys, columns):
    for row in joined.index:
        key = tuple(joined.loc[row, keys]) if len(keys) > 1 else joined.loc[row, keys[0]]
        if key not in chosen.index or joined.loc[row].get("layer", "all") != "all":
            continue
        effect = chosen.loc[key]
        for column in columns:
            source = FROM_EFFECTS.get(column, column)
            if source in effect:
                joined.loc[row, column] = effect[source]
        notes = [joined.loc[row, "note"], effect.get("note", "")]
        joined.loc[row, "note"] = "; ".join(str(n) for n in notes if n and n == n)


def _order(joined, name):
    """Rows by effect; of classes all rows by that of the row `all`, pairs also by share."""
    if name == "classes":
        whole = joined[joined["layer"] == "all"].set_index("class")["effect"]
        keys = -joined["class"].map(whole[~whole.index.duplicated()])
        return np.argsort(keys.fillna(np.inf).to_numpy(float), kind="stable")
    by = [-joined[column].fillna(-np.inf).to_numpy(float) for column in ("share", "effect")]
    return np.lexsort(by)


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
