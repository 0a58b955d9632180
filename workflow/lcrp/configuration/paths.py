"""The files that an experiment names: whether they are there."""

from pathlib import Path

from lcrp.configuration.experiment import Experiment
from lcrp.errors import InputError

ENTRIES = ("root", "images", "annotations", "only", "masks", "labels", "stuff")


def dataset_paths(experiment: Experiment) -> dict[str, Path]:
    """Files and folders of the dataset, by their entry."""
    given = {key: getattr(experiment.dataset, key, None) for key in ENTRIES}
    return {key: Path(path) for key, path in given.items() if path is not None}


def check_paths(experiment: Experiment, name: str) -> None:
    """Raise InputError for a file or folder of the dataset that is not there."""
    for key, path in dataset_paths(experiment).items():
        if not path.exists():
            raise InputError(
                f"config/experiments/{name}.yaml: dataset.{key}: `{path}`: no such file or "
                f"folder in {Path.cwd()}; correct the path"
            )
