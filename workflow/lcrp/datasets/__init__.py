"""Images and their annotations, read from any known format into the same samples."""

from lcrp.datasets.images import read_image
from lcrp.datasets.index import read_index, write_index
from lcrp.datasets.official import OFFICIAL, official_spec
from lcrp.datasets.opening import open_dataset
from lcrp.datasets.plan import images_of, plan_shards, read_plan
from lcrp.datasets.sample import Dataset, Sample, Thing

__all__ = [
    "OFFICIAL",
    "Dataset",
    "Sample",
    "Thing",
    "images_of",
    "official_spec",
    "open_dataset",
    "plan_shards",
    "read_image",
    "read_index",
    "read_plan",
    "write_index",
]
