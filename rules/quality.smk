"""What the model achieves on the analysed images: read this before any explanation."""


rule measure_quality:
    input:
        index=rules.index_dataset.output.index,
        weights=weights,
    output:
        quality="results/{experiment}/quality/quality.json",
        classes=report(
            "results/{experiment}/quality/classes.csv",
            caption="../workflow/report/quality.rst",
            category="Quality",
            labels={"experiment": "{experiment}"},
        ),
    log:
        "logs/measure_quality/{experiment}.log",
    benchmark:
        "benchmarks/results/measure_quality/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(3000),
    params:
        source=dataset_source,
        architecture=architecture,
        machine=machine,
    message:
        "Measuring the model of {wildcards.experiment}"
    script:
        "../scripts/measure_quality.py"
