"""Concept stores: what was recorded of every target, concept and layer, in one Zarr file.

`write_shard` and `read_shard` for the rows of one job, `merge_shards` for the store of an
experiment, `open_store` to read it, `validate` to check a file. The format is described in
docs/store.md. `import_crp` and `export_crp` exchange reference samples with zennit-crp.
"""

from lcrp.store.concept_store import ConceptStore, open_store
from lcrp.store.crp_export import export_crp
from lcrp.store.crp_import import import_crp
from lcrp.store.merging import merge_shards
from lcrp.store.records import LayerRecords, ShardRecords
from lcrp.store.shards import read_shard, write_shard
from lcrp.store.validation import validate

__all__ = [
    "ConceptStore",
    "LayerRecords",
    "ShardRecords",
    "export_crp",
    "import_crp",
    "merge_shards",
    "open_store",
    "read_shard",
    "validate",
    "write_shard",
]
