"""Download the archives of a public dataset, verify them, and unpack what is used of them."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from job import job
from lcrp.acquire import FirstSeen, acquire_dataset

if __name__ == "__main__":
    with job(snakemake):
        folder = Path(snakemake.output.folder)
        # Snakemake makes the folder's parents, and on some systems the folder itself.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        acquire_dataset(
            snakemake.input.table,
            snakemake.wildcards.dataset,
            folder,
            snakemake.params.archives,
            snakemake.params.present,
            FirstSeen(snakemake.params.first_seen),
            meter=partial(tqdm, unit="B", unit_scale=True),
        )
