"""The effect of the context on the model, by intervention: what attribution proposes, tested."""


rule measure_effect:
    input:
        index=rules.index_dataset.output.index,
        store=rules.merge_shards.output.store,
        tables=rules.aggregate_context.output.tables,
        weights=weights,
    output:
        effects=report(
            "results/{experiment}/effect/effects.csv",
            caption="../workflow/report/effects.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "effects"},
        ),
        examples=directory("results/{experiment}/effect/examples"),
    log:
        "logs/measure_effect/{experiment}.log",
    benchmark:
        "benchmarks/results/measure_effect/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=240,
    params:
        effect=settings("effect", "effects"),
        source=dataset_source,
        architecture=architecture,
        machine=machine,
    message:
        "Measuring the effect of the context in {wildcards.experiment}"
    script:
        "../scripts/measure_effect.py"


rule ablate_context:
    input:
        index=rules.index_dataset.output.index,
        store=rules.merge_shards.output.store,
        tables=rules.aggregate_context.output.tables,
        weights=weights,
    output:
        figure=report(
            "results/{experiment}/ablation/{label}/{thing}.png",
            caption="../workflow/report/ablation.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "{label} and {thing}"},
        ),
        table="results/{experiment}/ablation/{label}/{thing}.csv",
    log:
        "logs/ablate_context/{experiment}/{label}/{thing}.log",
    benchmark:
        "benchmarks/results/ablate_context/{experiment}/{label}/{thing}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        effect=settings("effect", "effects"),
        chosen=chosen_ablation,
        source=dataset_source,
        architecture=architecture,
        machine=machine,
    message:
        "Switching off what {wildcards.label} takes from {wildcards.thing} in {wildcards.experiment}"
    script:
        "../scripts/ablate_context.py"
