"""Public datasets and checkpoints: downloaded once, verified, and shared by all experiments."""


rule download_dataset:
    input:
        # A new line in the table is no reason to fetch what is there again.
        table=ancient("config/datasets.csv"),
    output:
        folder=directory("resources/downloads/datasets/{dataset}"),
    log:
        "logs/download_dataset/{dataset}.log",
    benchmark:
        "benchmarks/results/download_dataset/{dataset}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        runtime=1440,
    params:
        archives="resources/downloads/archives",
        first_seen="config/first-seen.csv",
        present=already_downloaded,
    message:
        "Downloading the dataset {wildcards.dataset}"
    script:
        "../scripts/download_dataset.py"


rule download_checkpoint:
    input:
        table=ancient("config/checkpoints.csv"),
    output:
        checkpoint="resources/downloads/checkpoints/{checkpoint}/{file}",
    log:
        "logs/download_checkpoint/{checkpoint}/{file}.log",
    benchmark:
        "benchmarks/results/download_checkpoint/{checkpoint}/{file}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        runtime=240,
    params:
        first_seen="config/first-seen.csv",
        present=already_downloaded,
    message:
        "Downloading the checkpoint {wildcards.checkpoint}"
    script:
        "../scripts/download_checkpoint.py"
