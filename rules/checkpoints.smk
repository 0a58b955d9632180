"""The model of an experiment: trained on its scenes, or converted from a checkpoint."""


rule train_model:
    input:
        scenes=expand(
            rules.draw_scenes.output.folder, split="train", allow_missing=True
        ),
    output:
        weights="resources/training/{experiment}/model.safetensors",
        losses="resources/training/{experiment}/model.csv",
    log:
        "logs/train_model/{experiment}.log",
    benchmark:
        "benchmarks/results/train_model/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    # Sums depend on the number of threads: the weights shall not depend on the machine.
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        model=settings("model"),
        source=training_source,
    message:
        "Training the model of {wildcards.experiment}"
    script:
        "../scripts/train_model.py"


rule convert_checkpoint:
    input:
        checkpoint=checkpoint_file,
    output:
        weights="resources/checkpoints/{experiment}/model.safetensors",
        manifest="resources/checkpoints/{experiment}/model.json",
    log:
        "logs/convert_checkpoint/{experiment}.log",
    benchmark:
        "benchmarks/results/convert_checkpoint/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(2000),
    params:
        model=settings("model"),
    message:
        "Converting the checkpoint of {wildcards.experiment}"
    script:
        "../scripts/convert_checkpoint.py"
