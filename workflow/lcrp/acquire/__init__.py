"""Public files: tables of what there is, verified downloads, safe unpacking."""

from lcrp.acquire.cityscapes import credentials
from lcrp.acquire.download_tables import Entry, entries_named, read_table
from lcrp.acquire.downloads import Patience, download
from lcrp.acquire.first_seen import FirstSeen
from lcrp.acquire.obtaining import acquire_checkpoint, acquire_dataset, obtain
from lcrp.acquire.unpacking import unpack

__all__ = [
    "Entry",
    "FirstSeen",
    "Patience",
    "acquire_checkpoint",
    "acquire_dataset",
    "credentials",
    "download",
    "entries_named",
    "obtain",
    "read_table",
    "unpack",
]
