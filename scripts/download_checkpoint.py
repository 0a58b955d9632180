"""Download a published checkpoint and verify it; one that the user has is linked."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from job import job
from lcrp.acquire import FirstSeen, acquire_checkpoint

if __name__ == "__main__":
    with job(snakemake):
        wanted = Path(snakemake.output.checkpoint)
        found = acquire_checkpoint(
            snakemake.input.table,
            snakemake.wildcards.checkpoint,
            wanted.parent,
            snakemake.params.present,
            FirstSeen(snakemake.params.first_seen),
            meter=partial(tqdm, unit="B", unit_scale=True),
        )
        if found.resolve() != wanted.resolve():
            wanted.symlink_to(found.resolve())
