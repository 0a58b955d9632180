"""The configuration, and the functions that look up settings and inputs in it."""

import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path

import pandas as pd

from lcrp.configuration import (
    Configuration,
    TableDataset,
    check_paths,
    dataset_paths,
    experiment_names,
    misnamed_files,
    parse_entries,
    read_experiment,
)
from lcrp.configuration.architectures import trained_task
from lcrp.errors import InputError
from lcrp.file_names import plain
from snakemake.exceptions import WorkflowError

# Progress bars of jobs that run side by side share one terminal.
os.environ.setdefault("TQDM_MININTERVAL", "2")

try:
    CONFIGURATION = parse_entries(Configuration, config, "config/config.yaml")
    for name in CONFIGURATION.experiments:
        read_experiment(name)
except InputError as error:
    raise WorkflowError(str(error))


# Reference images that were computed once are kept beside the results, from one run to the next:
# a cache that jobs fill as they need it, so that it is no output of a rule.
REFERENCES = "results/{experiment}/references"


def named(name):
    """The experiment of that name."""
    try:
        return read_experiment(name)
    except InputError as error:
        raise WorkflowError(str(error))


def experiment(wildcards):
    """The experiment that a rule's wildcards name."""
    return named(wildcards.experiment)


def already_downloaded(wildcards, resources):
    """Where the user has public files; depends on `resources` as `machine` does."""
    return CONFIGURATION.already_downloaded


def checkpoint_file(wildcards):
    """The checkpoint that is converted: the user's file, or one that is downloaded."""
    from lcrp.acquire import entries_named

    given = experiment(wildcards).model.checkpoint
    if os.path.isfile(given):
        return given
    entry = (
        f"config/experiments/{wildcards.experiment}.yaml: model.checkpoint: `{given}`"
    )
    if "://" in given:
        raise WorkflowError(f"{entry} is an address; fetch the file and give its path")
    if os.path.isdir(given):
        raise WorkflowError(
            f"{entry} is a folder; give the file with the weights in it"
        )
    if os.sep in given:
        raise WorkflowError(f"{entry}: no such file in {os.getcwd()}; correct the path")
    try:
        (download,) = entries_named("config/checkpoints.csv", given)
    except InputError as error:
        raise WorkflowError(f"{entry} is no file here, and no download: {error}")
    return f"resources/downloads/checkpoints/{download.name}/{download.file}"


def architecture(wildcards):
    """The architecture of the model."""
    return experiment(wildcards).model.architecture


def settings(part, result=None):
    """A function of the wildcards: settings of one part of the experiment.

    All of them, or those that say that they are part of a result.
    """

    def look_up(wildcards):
        chosen = getattr(experiment(wildcards), part)
        return chosen.settings() if result is None else chosen.of(result)

    return look_up


def limits(wildcards):
    """Which share of the images may fail, where a limit is set."""
    return experiment(wildcards).analysis.limits.settings()


def files_below(path):
    """Every file of a folder, or the file itself."""
    if path.is_file():
        return [str(path)]
    return sorted(str(file) for file in path.rglob("*") if file.is_file())


def scenes_source(wildcards, split):
    """What `lcrp.datasets.open_dataset` is to read for one split of the scenes."""
    folder = f"resources/scenes/{wildcards.experiment}/{split}"
    return {
        "format": "coco",
        "images": f"{folder}/images",
        "annotations": f"{folder}/annotations.json",
        "stuff": f"{folder}/stuff.json",
    }


def dataset_source(wildcards):
    """What `lcrp.datasets.open_dataset` is to read."""
    if experiment(wildcards).scenes:
        return scenes_source(wildcards, "test")
    dataset = experiment(wildcards).dataset
    if isinstance(dataset, TableDataset):
        from lcrp.datasets import official_spec

        return official_spec(
            dataset.name, f"resources/downloads/datasets/{dataset.name}"
        )
    # A limit changes which images there are, not what one of them is.
    return {key: value for key, value in dataset.settings().items() if key != "limit"}


def dataset_files(wildcards):
    """The files that the index is made from; Snakemake compares their checksums."""
    if experiment(wildcards).scenes:
        return [f"resources/scenes/{wildcards.experiment}/test"]
    dataset = experiment(wildcards).dataset
    if isinstance(dataset, TableDataset):
        return [f"resources/downloads/datasets/{dataset.name}"]
    check_paths(experiment(wildcards), wildcards.experiment)
    paths = dataset_paths(experiment(wildcards))
    return [file for path in paths.values() for file in files_below(path)]


@lru_cache
def fingerprints(plan, changed):
    """Per shard of a plan: what its images are, and what is annotated in them."""
    rows = pd.read_csv(plan, dtype=str, keep_default_na=False)
    return {
        shard: hashlib.sha256(group.to_csv(index=False).encode()).hexdigest()
        for shard, group in rows.groupby("shard", sort=False)
    }


def planned_shards(wildcards):
    """The shards of an experiment with their fingerprints, known once its images are."""
    plan = checkpoints.plan_shards.get(**wildcards).output.plan
    return fingerprints(plan, os.stat(plan).st_mtime_ns)


def shards(wildcards):
    """The files of all shards of an experiment."""
    return expand(
        rules.analyse_shard.output.shard, shard=planned_shards(wildcards), **wildcards
    )


def precomputed_files(wildcards):
    """The files of zennit-crp that are imported; Snakemake compares their checksums."""
    given = Path(experiment(wildcards).analysis.precomputed.folder)
    if not given.is_dir():
        raise WorkflowError(
            f"config/experiments/{wildcards.experiment}.yaml: analysis.precomputed.folder: "
            f"`{given}`: no such folder in {Path.cwd()}; correct the path"
        )
    return files_below(given)


def concepts(wildcards):
    """The concept store: merged from the analysis, or imported from precomputed files."""
    imported = experiment(wildcards).analysis.precomputed
    return (rules.import_precomputed if imported else rules.merge_shards).output.store


def outcome(name):
    """What is made of an experiment: its report, or figures alone where nothing is analysed."""
    if named(name).analysis.precomputed:
        return expand(rules.render_explanations.output.gallery, experiment=name)
    return expand(rules.build_report.output.page, experiment=name)


def training_source(wildcards):
    """The scenes to train on; a segmentation model knows a background as well."""
    segments = trained_task(experiment(wildcards).model.architecture) == "segmentation"
    return {**scenes_source(wildcards, "train"), "with_background": segments}


def weights(wildcards):
    """The model that is explained."""
    source = "training" if experiment(wildcards).model.training else "checkpoints"
    return f"resources/{source}/{wildcards.experiment}/model.safetensors"


def machine(wildcards, resources):
    """Where something is computed, and in which portions.

    Depends on `resources` for Snakemake's eyes only, which then does not compare it: it has no
    part in the result.
    """
    analysis = experiment(wildcards).analysis
    return {"device": analysis.device, "batch_size": analysis.batch_size}


def pictures(wildcards, further=()):
    """Pictures outside the dataset that an experiment explains: their files, which are there."""
    given = [*experiment(wildcards).explanations.pictures, *further]
    for path in given:
        if not os.path.isfile(path):
            raise WorkflowError(
                f"pictures: `{path}`: no such file in {os.getcwd()}; correct the path"
            )
    return given


def picture_of_that_name(wildcards):
    """The picture outside the dataset that a figure's file name means, if it means one."""
    given = pictures(wildcards, CONFIGURATION.pictures)
    return [path for path in given if Path(path).stem == wildcards.image][:1]


def published_example(wildcards):
    """Which explanation of an experiment was published."""
    example = experiment(wildcards).explanations.published
    if example is None:
        raise WorkflowError(
            f"config/experiments/{wildcards.experiment}.yaml: explanations.published: missing; "
            "say which example, as in `published: {sample: 401, target: horse}`"
        )
    return example.settings()


def growing(amount):
    """A resource of which a job gets more each time that it is repeated."""
    return lambda wildcards, attempt: amount * attempt


def swapped(name):
    """An output of swap_contexts, where the scenes were drawn and contexts can be swapped."""
    return lambda wildcards: (
        rules.swap_contexts.output[name] if experiment(wildcards).scenes else []
    )


def verified(wildcards):
    """The verification of the scores, where it is to be made with the report."""
    if not experiment(wildcards).verification.enabled:
        return []
    return rules.verify_scores.output.verification


def measured_effect(name):
    """An output of measure_effect, where the experiment measures effects."""
    return lambda wildcards: (
        rules.measure_effect.output[name]
        if experiment(wildcards).effect.enabled
        else []
    )


def chosen_ablation(wildcards):
    """Layer and concepts of an ablation, where the configuration names them."""
    asked = (wildcards.label, wildcards.thing)
    for entry in experiment(wildcards).effect.ablations:
        names = (entry.label, entry.thing)
        if asked in (names, tuple(map(plain, names))):
            return entry.settings()
    return {"layer": "default", "concepts": None}
