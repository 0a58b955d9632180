"""Whether context scores are right: by heatmaps, and against replaced backgrounds."""


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
        verification=settings("verification", "verification"),
        source=dataset_source,
        machine=machine,
    message:
        "Verifying the context scores of {wildcards.experiment}"
    script:
        "../scripts/verify_scores.py"
