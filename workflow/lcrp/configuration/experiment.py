"""`config/experiments/NAME.yaml`: one experiment."""

from typing import Self

from pydantic import Field, model_validator

from lcrp.configuration.analysis import Analysis
from lcrp.configuration.dataset import Dataset, ScenesDataset
from lcrp.configuration.entry import Entry, Text
from lcrp.configuration.model import Model
from lcrp.configuration.outputs import (
    Context,
    Effect,
    Explanations,
    PaperScores,
    Report,
    Verification,
)


class Experiment(Entry):
    """A model, images, and what to make of them."""

    title: Text = Field(description="Heading of the report.", examples=["YOLOv5n on my images"])
    model: Model = Field(
        description="Architecture and weights.",
        examples=[{"architecture": "yolov5n", "checkpoint": "path/to/weights.pt"}],
    )
    dataset: Dataset = Field(
        description="The images.",
        examples=[
            {
                "format": "coco",
                "images": "path/to/images",
                "annotations": "path/to/annotations/instances.json",
            }
        ],
    )
    analysis: Analysis = Field(default_factory=Analysis)
    explanations: Explanations = Field(default_factory=Explanations)
    context: Context = Field(default_factory=Context)
    paper_scores: PaperScores = Field(default_factory=PaperScores)
    verification: Verification = Field(default_factory=Verification)
    effect: Effect = Field(default_factory=Effect)
    report: Report = Field(default_factory=Report)

    @property
    def scenes(self) -> bool:
        """Whether the images are drawn by the workflow."""
        return isinstance(self.dataset, ScenesDataset)

    @model_validator(mode="after")
    def trained_on_scenes(self) -> Self:
        if self.model.training and not self.scenes:
            raise ValueError("`model.training` needs `dataset: {format: scenes}`")
        return self
