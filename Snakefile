"""L-CRP: concept explanations and context bias of segmentation and detection models.

config/config.yaml names the experiments; README.md says how to run them.
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/downloads.smk"
include: "rules/datasets.smk"
include: "rules/checkpoints.smk"
include: "rules/quality.smk"
include: "rules/glocal.smk"
include: "rules/explanations.smk"
include: "rules/context.smk"
include: "rules/effect.smk"
include: "rules/tables.smk"
include: "rules/verification.smk"
include: "rules/swaps.smk"
include: "rules/report.smk"


wildcard_constraints:
    experiment=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    split="train|test|swapped",
    shard=r"\d+",
    dataset="[^/]+",
    checkpoint="[^/]+",
    image="[^/]+",
    label="[^/]+",
    thing="[^/]+",


rule all:
    default_target: True
    input:
        lambda wildcards: sum(map(outcome, CONFIGURATION.experiments), []),


STEPS = {step.name for step in workflow.rules}
for line in misnamed_files(taken=STEPS):
    print(line, file=sys.stderr)


# Each experiment by its name alone, whether config/config.yaml lists it or not.
for name in set(experiment_names()) - STEPS:

    rule:
        name:
            name
        input:
            lambda wildcards, name=name: outcome(name),
