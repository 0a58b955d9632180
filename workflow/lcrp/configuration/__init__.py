"""The configuration: typed, validated, with errors that show how to mend the entry."""

from lcrp.configuration.analysis import Analysis, Targets
from lcrp.configuration.dataset import Scenes, TableDataset
from lcrp.configuration.experiment import Experiment
from lcrp.configuration.load import (
    experiment_names,
    misnamed_files,
    parse_entries,
    read_configuration,
    read_experiment,
)
from lcrp.configuration.model import Training
from lcrp.configuration.outputs import Context, Effect, Verification
from lcrp.configuration.paths import check_paths, dataset_paths
from lcrp.configuration.workflow import Configuration

__all__ = [
    "Analysis",
    "Configuration",
    "Context",
    "Effect",
    "Experiment",
    "Scenes",
    "TableDataset",
    "Targets",
    "Training",
    "Verification",
    "check_paths",
    "dataset_paths",
    "experiment_names",
    "misnamed_files",
    "parse_entries",
    "read_configuration",
    "read_experiment",
]
