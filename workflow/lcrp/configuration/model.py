"""The model of an experiment: its architecture and where its weights come from."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from lcrp.configuration.entry import Count, Entry, Place, Text


class Training(Entry):
    """Weights that the workflow trains itself, on the scenes that it draws."""

    seed: int = Field(0, ge=0, description="Seed of the weights and of the order of the scenes.")
    steps: Count | None = Field(
        None, description="Optimisation steps; by default what the task takes.", examples=[1200]
    )
    batch_size: Count | None = Field(
        None, description="Scenes per step; by default what suits the task.", examples=[16]
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The highest one; by default what suits the task.",
        examples=[0.001],
    )

    def of_task(self, task: str) -> "Training":
        """These settings, with what suits a task where nothing is given.

        Args:
            task: "segmentation" or "detection".
        """
        given = {name: value for name, value in self if value is not None}
        return Training(**(TRAINING[task] | given))


# What makes the models of the embedded dataset good enough in about two minutes.
TRAINING = {
    "segmentation": {"steps": 1600, "batch_size": 4, "learning_rate": 1e-3},
    "detection": {"steps": 1500, "batch_size": 16, "learning_rate": 2e-3},
}


class Model(Entry):
    """Architecture and weights."""

    architecture: Text = Field(
        description="A known architecture; `python -m lcrp.configuration` lists them.",
        examples=["yolov5n"],
    )
    checkpoint: Place | None = Field(
        None,
        description="File with the weights, or the name of an entry of `config/checkpoints.csv`.",
        examples=["path/to/weights.pt"],
    )
    training: Training | None = Field(
        None,
        description="Train the model on the scenes instead of loading a checkpoint.",
        examples=[{"seed": 0}],
    )
    classes: list[Text] | None = Field(
        None,
        description="Names by class index, where the checkpoint does not bring them.",
        examples=[["person", "bicycle", "car"]],
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="What else the architecture needs to be built, for example its input size.",
        examples=[{"input_size": [640, 640]}],
    )

    @field_validator("architecture")
    @classmethod
    def known(cls, name: str) -> str:
        # Imported here: the catalogue of architectures is read only when a model is named.
        from lcrp.configuration.architectures import check_architecture

        return check_architecture(name)

    @model_validator(mode="after")
    def one_source(self) -> Self:
        if (self.checkpoint is None) == (self.training is None):
            raise ValueError("give either `checkpoint` or `training`, and not both")
        return self
