"""Concept stores: what was recorded of every target, concept and layer, in one Zarr file.

`write_shard` and `read_shard` for the rows of one job, `merge_shards` for the store of an
experiment, `open_store` to read it, `validate` to check a file. The format is described in
docs/store.md.
"""

from lcrp.store.merging import merge_shards
from lcrp.store.reading import ConceptStore, open_store
from lcrp.store.records import LayerRecords, ShardRecords
from lcrp.store.shards import read_shard, write_shard
from lcrp.store.validation import validate

__all__ = [
    "ConceptStore",
    "LayerRecords",
    "ShardRecords",
    "merge_shards",
    "open_store",
    "read_shard",
    "validate",
    "write_shard",
]
