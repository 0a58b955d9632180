"""Context bias: which share of the relevance of every concept lies outside the object.

`aggregate` makes the tables from a merged concept store, in one Zarr file, and `open_tables` reads
it. `CONTEXT_COLUMNS` says what every column means. Needs the store alone: no model, no torch.
"""

from lcrp.context.aggregation import aggregate
from lcrp.context.context_columns import CONTEXT_COLUMNS
from lcrp.context.tables import ContextTables, open_tables

__all__ = ["CONTEXT_COLUMNS", "ContextTables", "aggregate", "open_tables"]
