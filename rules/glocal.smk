"""The glocal analysis: every concept of every target, in shards, merged into one store."""


rule analyse_shard:
    input:
        # The plan changes when images are added; this shard's part of it is compared below.
        plan=ancient(rules.plan_shards.output.plan),
        weights=weights,
    output:
        shard="results/{experiment}/shards/{shard}.zarr.zip",
    log:
        "logs/analyse_shard/{experiment}/{shard}.log",
    benchmark:
        "benchmarks/results/analyse_shard/{experiment}/{shard}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=4000,
    params:
        rows=lambda wildcards: planned_shards(wildcards)[wildcards.shard],
        source=dataset_source,
        architecture=architecture,
        analysis=settings(
            "analysis", "images_per_shard", "top_k", "batch_size", "device"
        ),
        machine=machine,
    message:
        "Analysing shard {wildcards.shard} of {wildcards.experiment}"
    script:
        "../scripts/analyse_shard.py"


rule merge_shards:
    input:
        shards=shards,
    output:
        store="results/{experiment}/concepts.zarr.zip",
    log:
        "logs/merge_shards/{experiment}.log",
    benchmark:
        "benchmarks/results/merge_shards/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=4000,
    params:
        top_k=lambda wildcards: experiment(wildcards).analysis.top_k,
    message:
        "Merging the shards of {wildcards.experiment}"
    script:
        "../scripts/merge_shards.py"
