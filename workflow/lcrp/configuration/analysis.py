"""What is explained, and how."""

from typing import Annotated, Literal

from pydantic import Field

from lcrp.configuration.entry import Count, Entry, Parted, Place, Text, part_of

Layers = Literal["default", "all"] | list[Text]


class Targets(Entry):
    """Which predictions are explained."""

    source: Literal["auto", "annotated", "predicted"] = Field(
        "auto",
        description="Classes annotated in the image, predicted ones, or (auto) the annotated "
        "ones where the image has annotations and the predicted ones elsewhere.",
    )
    mode: Literal["class", "instance"] = Field(
        "class",
        description="One target per image and class, or one per kept box or connected region.",
    )
    classes: Literal["all"] | list[Text | int] = Field(
        "all",
        description="Classes by name or index.",
        examples=[["person", 17]],
    )
    threshold: float = Field(
        0.25, ge=0, le=1, description="Least class score of an explained box.", examples=[0.25]
    )


class Limits(Entry):
    """Which share of the images may fail before the run stops; by default nothing stops it."""

    unreadable: float | None = Field(
        None, ge=0, le=1, description="Share of images that cannot be read.", examples=[0.01]
    )
    no_target: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of images in which nothing is explained.",
        examples=[0.5],
    )


class Precomputed(Entry):
    """Reference samples that zennit-crp has found, in place of an analysis."""

    folder: Place = Field(
        description="Folder with `RelMax_sum_normed`, and what else zennit-crp has written.",
        examples=["path/to/crp_files"],
    )
    order: Literal["listed", "files"] = Field(
        "listed",
        description="How its samples are numbered: as the dataset's own list or annotation file "
        "names the images (`listed`), or sorted by file name (`files`).",
    )


class Analysis(Parted):
    """The glocal analysis: relevances of all concepts for all targets, in shards."""

    layers: Annotated[Layers, part_of("shards", "import")] = Field(
        "default",
        description="The architecture's default layers, all convolutions, or names and patterns.",
        examples=[["model.8.cv3.conv", "model.[46].*"]],
    )
    composite: Annotated[Text, part_of("shards", "import")] = Field(
        "default",
        description="Rules of the relevance propagation: the architecture's default or a name.",
        examples=["EpsilonPlusFlat"],
    )
    targets: Annotated[Targets, part_of("shards", "import")] = Field(default_factory=Targets)
    things: Annotated[bool, part_of("shards", "import")] = Field(
        True,
        description="Record what relevance lies on, for each other annotated thing of an image. "
        "Without, images with many classes are analysed faster, and `pairs.csv` stays empty.",
    )
    images_per_shard: Annotated[Count, part_of("plan")] = Field(
        20, description="Images analysed by one job.", examples=[20]
    )
    batch_size: Annotated[Count, part_of()] = Field(
        4, description="Images in one forward pass.", examples=[4]
    )
    device: Annotated[Text, part_of()] = Field(
        "auto",
        description="`auto`: a GPU where there is one. Or a torch device.",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        examples=["cuda:0"],
    )
    precision: Annotated[Literal["float32", "bf16"], part_of("shards", "import")] = Field(
        "float32", description="Of the computation."
    )
    limits: Annotated[Limits, part_of("store")] = Field(default_factory=Limits)
    precomputed: Annotated[Precomputed | None, part_of("import")] = Field(
        None,
        description="Take the reference samples from a folder of zennit-crp, analyse nothing.",
        examples=[{"folder": "path/to/crp_files"}],
    )
    top_k: Annotated[Count, part_of("store")] = Field(
        40, description="Reference targets kept per concept, overall and per class.", examples=[40]
    )
