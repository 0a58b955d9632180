"""Export the reference samples of a store as directories that zennit-crp reads."""

from job import job, whole
from lcrp.store import export_crp, open_store

if __name__ == "__main__":
    with (
        job(snakemake),
        open_store(snakemake.input.store) as store,
        whole(snakemake.output.folder) as part,
    ):
        export_crp(store, part)
