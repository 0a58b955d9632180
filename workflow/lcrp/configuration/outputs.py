"""What is made of the concept store: figures, tables, report."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lcrp.configuration.analysis import Layers
from lcrp.configuration.entry import Count, Entry, Parted, Place, Text, part_of


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


class Explanations(Parted):
    """The figures, and which of them are made without being asked for."""

    layer: Annotated[Literal["default"] | Text | list[Text], part_of("figures")] = Field(
        "default",
        description="Layer (or several) whose concepts are shown; the architecture's example "
        "layer by default.",
        examples=["model.8.cv3.conv"],
    )
    concepts: Annotated[Count, part_of("figures")] = Field(
        3, description="Concepts per figure.", examples=[3]
    )
    references: Annotated[Count, part_of("figures")] = Field(
        12, description="Reference images per concept.", examples=[12]
    )
    by: Annotated[Literal["relevance", "activation"], part_of("figures")] = Field(
        "relevance", description="What ranks the reference images."
    )
    images: Annotated[int | list[Text], part_of("choice")] = Field(
        6,
        description="How many images, or which ones by their id, are explained in the report.",
        examples=[6, ["000000000139", "000000000285"]],
    )
    most_context: Annotated[int, part_of("choice")] = Field(
        4,
        ge=0,
        description="How many further predictions are explained in the report: those with most "
        "of their relevance outside the annotated object.",
        examples=[10],
    )
    pictures: Annotated[list[Place], part_of("choice")] = Field(
        default_factory=list,
        description="Pictures outside the dataset, by path, that are explained in the report as "
        "well; each is named by its file, without the ending.",
        examples=[["photos/holiday.jpg"]],
    )
    published: Annotated[Published | None, part_of("choice")] = Field(
        None,
        description="The example figure of a publication, made as `published-example.png`.",
        examples=[{"sample": 401, "target": "horse"}],
    )
    width: Annotated[int, part_of("figures")] = Field(
        1600, ge=200, le=20000, description="Of a figure, in pixels."
    )


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


class Verification(Parted):
    """Whether context scores say how sensitive concepts are to the background, measured."""

    enabled: Annotated[bool, part_of()] = Field(
        False, description="Verify with the report; else when its file is asked for."
    )
    layers: Annotated[Layers, part_of("verification")] = Field(
        "default",
        description="Layers that are verified: the architecture's default ones, or names.",
        examples=[["model.8.cv3.conv"]],
    )
    composite: Annotated[Text, part_of("verification")] = Field(
        "EpsilonPlus", description="Rules of the relevance propagation.", examples=["EpsilonPlus"]
    )
    classes: Annotated[Literal["all"] | list[Text], part_of("verification")] = Field(
        "all", description="Classes by name.", examples=[["person", "dog"]]
    )
    samples: Annotated[Count, part_of("verification")] = Field(
        60, description="Images per class at most.", examples=[60]
    )
    least_samples: Annotated[Count, part_of("verification")] = Field(
        20, description="Fewer images than that leave a class out.", examples=[20]
    )
    budget: Annotated[Count, part_of("verification")] = Field(
        2000,
        description="Pairs of image and class in all; each takes nine forward and backward passes.",
        examples=[2000],
    )
    least_pixels: Annotated[Count, part_of("verification")] = Field(
        500, description="Size of the smallest object, pixels of the input.", examples=[500]
    )
    concepts: Annotated[Count, part_of("verification")] = Field(
        50, description="The most relevant concepts of each class and layer.", examples=[50]
    )
    references: Annotated[Count, part_of("verification")] = Field(
        15, description="Of how many best targets a score is the mean.", examples=[15]
    )


class PaperScores(Entry):
    """Context scores by conditional heatmaps, one backward pass each."""

    layers: Layers = Field(
        "default",
        description="Layers that are scored: the architecture's default ones, or names.",
        examples=[["model.8.cv3.conv"]],
    )
    composite: Text = Field(
        "default",
        description="Rules of the relevance propagation: the analysis's own, or a name.",
        examples=["EpsilonPlus"],
    )
    classes: Literal["all"] | list[Text] = Field(
        "all", description="Classes by name.", examples=[["person", "dog"]]
    )
    concepts: Count = Field(
        50, description="The most relevant concepts of each class and layer.", examples=[50]
    )
    references: Count = Field(
        15, description="Of how many best targets a score is the mean.", examples=[15]
    )


class Ablation(Entry):
    """Which concepts are switched off for a class and a thing, instead of the leading ones."""

    label: Text = Field(description="Name of the class.", examples=["frisbee"])
    thing: Text = Field(
        description="What the concepts are thought to stand for: another class, or stuff.",
        examples=["dog"],
    )
    layer: Text = Field(
        "default",
        description="Layer of the concepts; by default the architecture's example layer.",
        examples=["backbone.ERBlock_5.0.rbr_dense.conv"],
    )
    concepts: list[int] | None = Field(
        None,
        description="Concepts in the order in which they go off; by default the leading ones.",
        examples=[[277, 212, 343]],
    )


class Effect(Parted):
    """The interventions that say how much the context matters to the model."""

    enabled: Annotated[bool, part_of()] = Field(
        True, description="Whether the report measures effects; forward passes are all it takes."
    )
    images: Annotated[Count, part_of("effects")] = Field(
        24, description="Objects per class that are tested, each in another image.", examples=[24]
    )
    minimum_images: Annotated[Count, part_of("effects")] = Field(
        8, description="With fewer of them a test is listed, but not made.", examples=[8]
    )
    donors: Annotated[Count, part_of("effects")] = Field(
        2, description="Backgrounds of each kind that an object is put into.", examples=[2]
    )
    things: Annotated[int, part_of("effects")] = Field(
        4, ge=0, description="Things per class that are proposed and tested."
    )
    concepts: Annotated[int, part_of("effects")] = Field(
        3, ge=0, description="Leading context concepts that are switched off together."
    )
    passes: Annotated[Count, part_of("effects")] = Field(
        10000,
        description="Budget of forward passes, in images; fewer objects where it is short.",
        examples=[10000],
    )
    margin: Annotated[int, part_of("effects")] = Field(
        4, ge=0, description="Pixels of the input that stay around a cut-out object."
    )
    floor: Annotated[float, part_of("effects")] = Field(
        0.2,
        gt=0,
        lt=1,
        description="Least effect, in probability or detection rate, that is ever confirmed.",
    )
    alpha: Annotated[float, part_of("effects")] = Field(
        0.05, gt=0, lt=1, description="Chance of any false confirmation, at most."
    )
    examples: Annotated[int, part_of("effects")] = Field(
        3, ge=0, description="Images before and after that are kept per confirmed effect."
    )
    seed: Annotated[int, part_of("effects")] = Field(0, ge=0, description="Seed of all choices.")
    ablations: Annotated[list[Ablation], part_of("ablations")] = Field(
        default_factory=list,
        description="Layers and concepts of ablations that are asked for by their files, "
        "`ablation/<class>/<thing>.png`.",
        examples=[[{"label": "frisbee", "thing": "dog", "concepts": [277, 212, 343]}]],
    )

    @model_validator(mode="after")
    def enough_images(self) -> Self:
        if self.minimum_images > self.images:
            raise ValueError(
                f"`minimum_images`, {self.minimum_images}, is more than `images`, {self.images}; "
                "choose at most that"
            )
        return self


class Report(Entry):
    """The HTML report."""

    caption: str = Field(
        "", description="A paragraph under the title.", examples=["Validation images of May."]
    )
