"""The images of an experiment: drawn, the user's own, or downloaded; their index and shards."""


rule draw_scenes:
    output:
        folder=directory("resources/scenes/{experiment}/{split}"),
    log:
        "logs/draw_scenes/{experiment}/{split}.log",
    benchmark:
        "benchmarks/results/draw_scenes/{experiment}/{split}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    # One that asked for two cores would wait until the training of another experiment is done.
    threads: 1
    params:
        scenes=lambda wildcards: experiment(wildcards).dataset.drawn(wildcards.split),
    message:
        "Drawing the {wildcards.split} scenes of {wildcards.experiment}"
    script:
        "../scripts/draw_scenes.py"


rule write_truth:
    output:
        truth="resources/scenes/{experiment}/truth.json",
    log:
        "logs/write_truth/{experiment}.log",
    benchmark:
        "benchmarks/results/write_truth/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    params:
        scenes=lambda wildcards: experiment(wildcards).dataset.drawn("test"),
    message:
        "Writing down what is known of the scenes of {wildcards.experiment}"
    script:
        "../scripts/write_truth.py"


rule index_dataset:
    input:
        files=dataset_files,
    output:
        index="resources/datasets/{experiment}/index.csv",
    log:
        "logs/index_dataset/{experiment}.log",
    benchmark:
        "benchmarks/results/index_dataset/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    params:
        source=dataset_source,
        limit=lambda wildcards: experiment(wildcards).dataset.limit,
    message:
        "Indexing the images of {wildcards.experiment}"
    script:
        "../scripts/index_dataset.py"


checkpoint plan_shards:
    input:
        index=rules.index_dataset.output.index,
    output:
        # Kept from one run to the next: an image stays in the shard that it was analysed in.
        plan=update("resources/datasets/{experiment}/shards.csv"),
    log:
        "logs/plan_shards/{experiment}.log",
    benchmark:
        "benchmarks/results/plan_shards/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    params:
        images_per_shard=lambda wildcards: experiment(
            wildcards
        ).analysis.images_per_shard,
        limits=limits,
    message:
        "Dividing the images of {wildcards.experiment} into shards"
    script:
        "../scripts/plan_shards.py"
