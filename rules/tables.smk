"""The tables that people read: scores of the context beside the effects of interventions."""


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
