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
        mem_mb=growing(4000),
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
        effects=measured_effect("effects"),
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
        mem_mb=growing(2000),
    message:
        "Writing the context tables of {wildcards.experiment}"
    script:
        "../scripts/write_context_tables.py"


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


rule score_heatmaps:
    input:
        store=rules.merge_shards.output.store,
        weights=weights,
    output:
        scores=report(
            "results/{experiment}/context/paper_scores.csv",
            caption="../workflow/report/paper_scores.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "scores by heatmaps"},
        ),
    log:
        "logs/score_heatmaps/{experiment}.log",
    benchmark:
        "benchmarks/results/score_heatmaps/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        scores=settings("paper_scores"),
        source=dataset_source,
        machine=machine,
    message:
        "Scoring the context of {wildcards.experiment} by conditional heatmaps"
    script:
        "../scripts/score_heatmaps.py"


rule verify_scores:
    input:
        store=rules.merge_shards.output.store,
        weights=weights,
    output:
        verification=report(
            "results/{experiment}/verification/verification.csv",
            caption="../workflow/report/verification.rst",
            category="Verification",
            labels={"experiment": "{experiment}", "table": "scores and sensitivity"},
        ),
        points="results/{experiment}/verification/points.csv",
        density=report(
            "results/{experiment}/verification/density.png",
            caption="../workflow/report/verification.rst",
            category="Verification",
            labels={"experiment": "{experiment}", "table": "density"},
        ),
    log:
        "logs/verify_scores/{experiment}.log",
    benchmark:
        "benchmarks/results/verify_scores/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        verification=settings("verification", "enabled"),
        source=dataset_source,
        machine=machine,
    message:
        "Verifying the context scores of {wildcards.experiment}"
    script:
        "../scripts/verify_scores.py"


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
        mem_mb=growing(2000),
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
