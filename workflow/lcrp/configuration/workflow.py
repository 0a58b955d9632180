"""`config/config.yaml`: which experiments are run."""

from pydantic import Field

from lcrp.configuration.entry import Entry, Name


class Configuration(Entry):
    """Which experiments `snakemake all` makes; one file each in `config/experiments/`."""

    experiments: list[Name] = Field(
        min_length=1,
        description="Experiments to make; `NAME` is described by `config/experiments/NAME.yaml`.",
        examples=[["demo-segmentation", "demo-detection"]],
    )
