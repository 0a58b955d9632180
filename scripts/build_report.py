"""Build the report of an experiment: pages that link everything that was made of it."""

from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from job import job
from lcrp.report import ReportInputs, build_report


def run_times(experiment):
    """Benchmark files of the jobs so far, by the rule that they are about."""
    stages = defaultdict(list)
    for folder in sorted(Path("benchmarks/results").glob("*")):
        files = [folder / f"{experiment}.tsv", *(folder / experiment).rglob("*.tsv")]
        stages[folder.name] = sorted(file for file in files if file.is_file())
    return dict(stages)


def first_layer(layers):
    """The layer that is shown first, or None for the default."""
    if layers == "default":
        return None
    return layers if isinstance(layers, str) else layers[0]


if __name__ == "__main__":
    with job(snakemake):
        given, params = snakemake.input, snakemake.params
        inputs = ReportInputs.read(
            store=given.store,
            title=params.title,
            caption=params.report["caption"],
            layer=first_layer(params.layer),
            quality=given.quality,
            quality_classes=given.quality_classes,
            # Effects are empty where they are not measured.
            tables={
                name: given[name]
                for name in ("concepts", "classes", "pairs", "instances", "effects")
                if given[name]
            },
            effect_examples=given.effect_examples or None,
            gallery=Path(given.gallery).parent,
            atlas=given.atlas,
            verification=Path(given.verification).parent if given.verification else None,
            # Empty where the images were not drawn.
            swaps=given.swaps or None,
            swap_examples=given.swap_examples or None,
            benchmarks=run_times(snakemake.wildcards.experiment),
        )
        build_report(
            Path(snakemake.output.page).parent,
            inputs,
            progress=lambda parts: tqdm(parts, desc="Describing layers", unit="layer"),
        )
        # Where nothing could be explained there are no figures.
        Path(snakemake.output.figures).mkdir(exist_ok=True)
