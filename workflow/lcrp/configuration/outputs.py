"""What is made of the concept store: figures, tables, report."""

from typing import Literal

from pydantic import Field

from lcrp.configuration.analysis import Layers
from lcrp.configuration.entry import Count, Entry, Text


class Published(Entry):
    """The published example of a model: one figure, as the paper shows it."""

    sample: int = Field(
        ge=0, description="Number of the image in the order below, from 0.", examples=[401]
    )
    order: Literal["listed", "files"] = Field(
        "listed",
        description="What `sample` counts: the images as the dataset's own list or annotation "
        "file names them (`listed`), or sorted by file name (`files`).",
    )
    target: Text = Field(
        description="What is explained in it: a class, `<class>-<n>` or `instance-<n>`.",
        examples=["horse"],
    )
    layer: Text = Field(
        "default", description="Layer whose concepts are shown.", examples=["model.8.cv3.conv"]
    )
    concepts: Count = Field(3, description="Concepts in the figure.", examples=[3])
    references: Count = Field(12, description="Reference images per concept.", examples=[12])


class Explanations(Entry):
    """The figures, and which of them are made without being asked for."""

    layer: Literal["default"] | Text | list[Text] = Field(
        "default",
        description="Layer (or several) whose concepts are shown; the architecture's example "
        "layer by default.",
        examples=["model.8.cv3.conv"],
    )
    concepts: Count = Field(3, description="Concepts per figure.", examples=[3])
    references: Count = Field(12, description="Reference images per concept.", examples=[12])
    by: Literal["relevance", "activation"] = Field(
        "relevance", description="What ranks the reference images."
    )
    images: int | list[Text] = Field(
        6,
        description="How many images, or which ones by their id, are explained in the report.",
        examples=[6, ["000000000139", "000000000285"]],
    )
    pictures: list[Text] = Field(
        default_factory=list,
        description="Pictures outside the dataset, by path, that are explained in the report as "
        "well; each is named by its file, without the ending.",
        examples=[["photos/holiday.jpg"]],
    )
    published: Published | None = Field(
        None,
        description="The example figure of a publication, made as `published-example.png`.",
        examples=[{"sample": 401, "target": "horse"}],
    )
    width: int = Field(1600, ge=200, le=20000, description="Of a figure, in pixels.")


class Context(Entry):
    """The context tables."""

    layers: Layers = Field(
        "all",
        description="Of the analysed layers, those in the tables: all of them, or names.",
        examples=[["model.8.cv3.conv"]],
    )
    minimum_targets: Count = Field(
        5, description="Fewer targets than that: shown, marked, without a score.", examples=[5]
    )


class Report(Entry):
    """The HTML report."""

    caption: str = Field(
        "", description="A paragraph under the title.", examples=["Validation images of May."]
    )
