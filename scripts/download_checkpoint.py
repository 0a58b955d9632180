"""Download a published checkpoint and verify it; one that the user has is linked."""

from pathlib import Path

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
            progress=True,
        )
        if found.resolve() != wanted.resolve():
            wanted.symlink_to(found.resolve())
