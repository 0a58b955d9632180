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
        mem_mb=growing(4000),
    params:
        rows=lambda wildcards: planned_shards(wildcards)[wildcards.shard],
        source=dataset_source,
        architecture=architecture,
        analysis=settings("analysis", "shards"),
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
        mem_mb=growing(4000),
    params:
        top_k=lambda wildcards: experiment(wildcards).analysis.top_k,
        limits=limits,
    message:
        "Merging the shards of {wildcards.experiment}"
    script:
        "../scripts/merge_shards.py"


rule import_precomputed:
    input:
        index=rules.index_dataset.output.index,
        weights=weights,
        files=precomputed_files,
    output:
        store="results/{experiment}/imported.zarr.zip",
    log:
        "logs/import_precomputed/{experiment}.log",
    benchmark:
        "benchmarks/results/import_precomputed/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        source=dataset_source,
        architecture=architecture,
        analysis=settings("analysis", "import"),
    message:
        "Importing the precomputed reference samples of {wildcards.experiment}"
    script:
        "../scripts/import_precomputed.py"


rule export_crp:
    input:
        store=concepts,
    output:
        folder=directory("results/{experiment}/crp"),
    log:
        "logs/export_crp/{experiment}.log",
    benchmark:
        "benchmarks/results/export_crp/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    message:
        "Exporting the reference samples of {wildcards.experiment} to zennit-crp"
    script:
        "../scripts/export_crp.py"
