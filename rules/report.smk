"""The report: one folder of pages that links everything of an experiment."""


rule build_report:
    input:
        store=rules.merge_shards.output.store,
        quality=rules.measure_quality.output.quality,
        quality_classes=rules.measure_quality.output.classes,
        concepts=rules.write_context_tables.output.concepts,
        classes=rules.write_context_tables.output.classes,
        pairs=rules.write_context_tables.output.pairs,
        instances=rules.write_context_tables.output.instances,
        effects=measured_effect("effects"),
        effect_examples=measured_effect("examples"),
        gallery=rules.render_explanations.output.gallery,
        atlas=rules.draw_atlas.output.atlas,
        verification=verified,
        swaps=swapped("swaps"),
        swap_examples=swapped("examples"),
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
        layer=lambda wildcards: experiment(wildcards).explanations.layer,
    message:
        "Building the report of {wildcards.experiment}"
    script:
        "../scripts/build_report.py"
