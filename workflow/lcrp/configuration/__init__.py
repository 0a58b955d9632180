"""The configuration: typed, validated, with errors that show how to mend the entry."""

from lcrp.configuration.dataset import TableDataset
from lcrp.configuration.experiment import Experiment
from lcrp.configuration.load import (
    experiment_names,
    parse_entries,
    read_configuration,
    read_experiment,
)
from lcrp.configuration.paths import check_paths, dataset_paths
from lcrp.configuration.workflow import Configuration

__all__ = [
    "Configuration",
    "Experiment",
    "TableDataset",
    "check_paths",
    "dataset_paths",
    "experiment_names",
    "parse_entries",
    "read_configuration",
    "read_experiment",
]
