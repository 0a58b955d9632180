"""Note how the figures of an experiment are drawn: layer, concepts, references, width."""

import json

from job import job, whole

if __name__ == "__main__":
    with job(snakemake), whole(snakemake.output.settings) as part:
        part.write_text(json.dumps(snakemake.params.explanations, indent=2) + "\n")
