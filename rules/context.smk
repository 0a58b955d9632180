"""What lies in the context: the relevance outside the objects, aggregated and plotted."""


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
        mem_mb=growing(4000),
    params:
        context=settings("context"),
    message:
        "Aggregating the context of {wildcards.experiment}"
    script:
        "../scripts/aggregate_context.py"


rule plot_context:
    input:
        store=rules.merge_shards.output.store,
        tables=rules.aggregate_context.output.tables,
    output:
        matrix=report(
            "results/{experiment}/context/plots/matrix.png",
            caption="../workflow/report/pairs.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "class x thing"},
        ),
        scores=report(
            "results/{experiment}/context/plots/scores.png",
            caption="../workflow/report/concepts.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "score against relevance"},
        ),
        layers=report(
            "results/{experiment}/context/plots/layers.png",
            caption="../workflow/report/classes.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "scores by layer"},
        ),
    log:
        "logs/plot_context/{experiment}.log",
    benchmark:
        "benchmarks/results/plot_context/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(2000),
    message:
        "Plotting the context of {wildcards.experiment}"
    script:
        "../scripts/plot_context.py"
