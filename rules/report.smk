"""The report: one folder of pages that links everything of an experiment."""


rule build_report:
    input:
        store=rules.merge_shards.output.store,
        quality=rules.measure_quality.output,
        context=rules.aggregate_context.output,
        gallery=rules.render_explanations.output.gallery,
        swaps=swaps,
    output:
        page="results/{experiment}/report/index.html",
        figures=report(
            directory("results/{experiment}/report/figures"),
            patterns=["{image}/{label}.png"],
            caption="../workflow/report/explanations.rst",
            category="Explanations",
            labels={
                "experiment": "{experiment}",
                "image": "{image}",
                "class": "{label}",
            },
        ),
    log:
        "logs/build_report/{experiment}.log",
    benchmark:
        "benchmarks/results/build_report/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    params:
        title=lambda wildcards: experiment(wildcards).title,
        report=settings("report"),
    message:
        "Building the report of {wildcards.experiment}"
    script:
        "../scripts/build_report.py"
