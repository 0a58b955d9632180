"""Context bias: which share of the relevance of every concept lies outside the object.

`aggregate` makes the tables from a merged concept store, in one Zarr file; `open_tables` reads
it, `write_csv` writes concepts.csv, classes.csv, pairs.csv and instances.csv from it, with the
effects of interventions beside the scores; `context_tables` gives data frames at once. `COLUMNS`
says what every column means.
"""

from lcrp.context.aggregation import aggregate
from lcrp.context.context_columns import COLUMNS
from lcrp.context.joined_effects import read_effects
from lcrp.context.tables import ContextTables, context_tables, open_tables, write_csv

__all__ = [
    "COLUMNS",
    "ContextTables",
    "aggregate",
    "context_tables",
    "open_tables",
    "read_effects",
    "write_csv",
]
