"""What lies in the context: tables of the relevance outside the objects, and swapped contexts."""


rule aggregate_context:
    input:
        store=rules.merge_shards.output.store,
    output:
        tables="results/{experiment}/context/context.zarr.zip",
    log:
        "logs/aggregate_context/{experiment}.log",
    benchmark:
        "benchmarks/results/aggregate_context/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=4000,
    params:
        context=settings("context"),
    message:
        "Aggregating the context of {wildcards.experiment}"
    script:
        "../scripts/aggregate_context.py"


rule write_context_tables:
    input:
        store=rules.merge_shards.output.store,
        tables=rules.aggregate_context.output.tables,
        effects=[],
    output:
        concepts=report(
            "results/{experiment}/context/concepts.csv",
            caption="../workflow/report/concepts.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "concepts"},
        ),
        classes=report(
            "results/{experiment}/context/classes.csv",
            caption="../workflow/report/classes.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "classes"},
        ),
        pairs=report(
            "results/{experiment}/context/pairs.csv",
            caption="../workflow/report/pairs.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "pairs"},
        ),
        instances=report(
            "results/{experiment}/context/instances.csv",
            caption="../workflow/report/instances.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "instances"},
        ),
    log:
        "logs/write_context_tables/{experiment}.log",
    benchmark:
        "benchmarks/results/write_context_tables/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=2000,
    message:
        "Writing the context tables of {wildcards.experiment}"
    script:
        "../scripts/write_context_tables.py"


rule swap_contexts:
    input:
        scenes=expand(
            rules.draw_scenes.output.folder,
            split=["test", "swapped"],
            allow_missing=True,
        ),
        truth=rules.write_truth.output.truth,
        weights=weights,
    output:
        swaps=report(
            "results/{experiment}/swaps/swaps.csv",
            caption="../workflow/report/swaps.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "swapped contexts"},
        ),
        objects="results/{experiment}/swaps/objects.csv",
        examples=directory("results/{experiment}/swaps/examples"),
    log:
        "logs/swap_contexts/{experiment}.log",
    benchmark:
        "benchmarks/results/swap_contexts/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=2000,
    params:
        sources=lambda wildcards: [
            scenes_source(wildcards, split) for split in ("test", "swapped")
        ],
        architecture=architecture,
        machine=machine,
    message:
        "Swapping the contexts of the scenes of {wildcards.experiment}"
    script:
        "../scripts/swap_contexts.py"
