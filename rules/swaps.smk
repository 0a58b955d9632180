"""What a model says of the drawn objects on swapped contexts."""


rule swap_contexts:
    input:
        scenes=expand(
            rules.draw_scenes.output.folder,
            split=["test", "swapped"],
            allow_missing=True,
        ),
        truth=rules.write_truth.output.truth,
        weights=weights,
    output:
        swaps=report(
            "results/{experiment}/swaps/swaps.csv",
            caption="../workflow/report/swaps.rst",
            category="Context",
            labels={"experiment": "{experiment}", "table": "swapped contexts"},
        ),
        objects="results/{experiment}/swaps/objects.csv",
        examples=directory("results/{experiment}/swaps/examples"),
    log:
        "logs/swap_contexts/{experiment}.log",
    benchmark:
        "benchmarks/results/swap_contexts/{experiment}.tsv"
    conda:
        "../workflow/envs/lcrp.yaml"
    resources:
        mem_mb=growing(2000),
    params:
        sources=lambda wildcards: [
            scenes_source(wildcards, split) for split in ("test", "swapped")
        ],
        architecture=architecture,
        machine=machine,
    message:
        "Swapping the contexts of the scenes of {wildcards.experiment}"
    script:
        "../scripts/swap_contexts.py"
