"""Draw one split of the scenes: images, masks, and COCO annotations.

A scene depends on the seed, its split and its number alone, so that asking for more of them
leaves the others as they are.
"""

from tqdm import tqdm

from job import job
from lcrp.scenes import write_split

if __name__ == "__main__":
    with job(snakemake):
        split = snakemake.wildcards.split
        write_split(
            snakemake.params.scenes,
            split,
            snakemake.output.folder,
            workers=snakemake.threads,
            progress=lambda scenes: tqdm(scenes, desc=f"Drawing {split} scenes"),
        )
