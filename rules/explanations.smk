"""The figures: those of the report in one go, and any other one by its file name."""


rule choose_figure_settings:
    output:
        # A file, so that every figure, also one that was drawn as part of the gallery, is older
        # than a change of the settings.
        settings="results/{experiment}/explanations/settings.json",
    log:
        "logs/choose_figure_settings/{experiment}.log",
    benchmark:
        "benchmarks/results/choose_figure_settings/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    params:
        explanations=settings("explanations", "figures"),
    message:
        "Noting how the figures of {wildcards.experiment} are drawn"
    script:
        "../scripts/choose_figure_settings.py"


rule render_explanation:
    input:
        settings=rules.choose_figure_settings.output.settings,
        store=concepts,
        weights=weights,
        pictures=picture_of_that_name,
    output:
        figure="results/{experiment}/explanations/{image}/{label}.{format}",
    log:
        "logs/render_explanation/{experiment}/{image}/{label}.{format}.log",
    benchmark:
        "benchmarks/results/render_explanation/{experiment}/{image}/{label}.{format}.tsv"
    wildcard_constraints:
        format="png|pdf|svg",
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        source=dataset_source,
        machine=machine,
        # Computed once per store, and kept between runs.
        references=REFERENCES,
    message:
        "Explaining {wildcards.label} in {wildcards.image} of {wildcards.experiment}"
    script:
        "../scripts/render_explanation.py"


rule render_explanations:
    input:
        settings=rules.choose_figure_settings.output.settings,
        store=concepts,
        weights=weights,
        pictures=pictures,
    output:
        gallery="results/{experiment}/explanations/gallery.csv",
    log:
        "logs/render_explanations/{experiment}.log",
    benchmark:
        "benchmarks/results/render_explanations/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        source=dataset_source,
        machine=machine,
        # Computed once per store, and kept between runs.
        references=REFERENCES,
        images=lambda wildcards: experiment(wildcards).explanations.images,
        most_context=lambda wildcards: experiment(wildcards).explanations.most_context,
    message:
        "Drawing the explanations of {wildcards.experiment}"
    script:
        "../scripts/render_explanations.py"


rule render_published_example:
    input:
        store=concepts,
        weights=weights,
    output:
        figure=report(
            "results/{experiment}/published-example.{format}",
            caption="../workflow/report/published.rst",
            category="Explanations",
            labels={"experiment": "{experiment}", "image": "published example"},
        ),
    log:
        "logs/render_published_example/{experiment}.{format}.log",
    benchmark:
        "benchmarks/results/render_published_example/{experiment}.{format}.tsv"
    wildcard_constraints:
        format="png|pdf|svg",
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        source=dataset_source,
        machine=machine,
        references=REFERENCES,
        example=published_example,
        width=lambda wildcards: experiment(wildcards).explanations.width,
    message:
        "Drawing the published example of {wildcards.experiment}"
    script:
        "../scripts/render_published_example.py"


rule draw_atlas:
    input:
        store=rules.merge_shards.output.store,
        weights=weights,
    output:
        atlas=directory("results/{experiment}/atlas"),
    log:
        "logs/draw_atlas/{experiment}.log",
    benchmark:
        "benchmarks/results/draw_atlas/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        source=dataset_source,
        machine=machine,
        references=REFERENCES,
        layer=lambda wildcards: experiment(wildcards).explanations.layer,
        kept=lambda wildcards: experiment(wildcards).explanations.references,
    message:
        "Drawing the concepts of {wildcards.experiment}"
    script:
        "../scripts/draw_atlas.py"
