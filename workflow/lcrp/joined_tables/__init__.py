"""The tables that people read: scores of the context beside the effects of interventions.

`write_csv` writes concepts.csv, classes.csv, pairs.csv and instances.csv from the context tables
of a store and the table of effects; `context_tables` gives data frames at once. `JOINED_COLUMNS`
says what every column means.
"""

from lcrp.joined_tables.joined_columns import JOINED_COLUMNS
from lcrp.joined_tables.joining import read_effects, with_effects
from lcrp.joined_tables.writing import context_tables, write_csv

__all__ = ["JOINED_COLUMNS", "context_tables", "read_effects", "with_effects", "write_csv"]
