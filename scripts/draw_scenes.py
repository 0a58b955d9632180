"""Draw one split of the scenes: images, masks, and COCO annotations.

A scene depends on the seed, its split and its number alone, so that asking for more of them
leaves the others as they are.
"""

from job import job
from lcrp.scenes import write_split

if __name__ == "__main__":
    with job(snakemake):
        write_split(
            snakemake.params.scenes,
            snakemake.wildcards.split,
            snakemake.output.folder,
            workers=snakemake.threads,
            progress=True,
        )
