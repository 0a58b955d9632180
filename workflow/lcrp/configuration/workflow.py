"""`config/config.yaml`: which experiments are run."""

from pydantic import Field

from lcrp.configuration.entry import Entry, Name, Text


class Configuration(Entry):
    """Which experiments `snakemake all` makes; one file each in `config/experiments/`."""

    experiments: list[Name] = Field(
        min_length=1,
        description="Experiments to make; `NAME` is described by `config/experiments/NAME.yaml`.",
        examples=[["demo-segmentation", "demo-detection"]],
    )
    already_downloaded: list[Text] = Field(
        default_factory=list,
        description="Files of the tables `config/datasets.csv` and `config/checkpoints.csv` that "
        "are here already, or folders that hold them; they are verified and used where they lie.",
        examples=[["path/to/archives"]],
    )
    pictures: list[Text] = Field(
        default_factory=list,
        description="Pictures outside the datasets that any experiment can explain on request, "
        "by path; each is named by its file, without the ending. Meant for the command line: "
        "`--config pictures=[photos/holiday.jpg]`.",
        examples=[["photos/holiday.jpg"]],
    )
