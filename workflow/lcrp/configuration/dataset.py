"""The images of an experiment: the user's, a known dataset's, or scenes that are drawn."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from lcrp.configuration.entry import Count, Entry, Name, Place, Text


class Images(Entry):
    """What every dataset has."""

    limit: Count | None = Field(
        None, description="Take only the first images, in the dataset's order.", examples=[100]
    )


class Scenes(Entry):
    """How many scenes are drawn, and what they look like."""

    seed: int = Field(0, ge=0, description="Seed of the scenes.")
    train: Count = Field(1600, description="Scenes to train on.", examples=[1600])
    test: Count = Field(240, description="Scenes to measure and to explain.", examples=[240])
    size: int = Field(96, ge=48, le=1024, description="Height and width, in pixels.")
    plain: float = Field(0.25, ge=0, le=1, description="Share of the scenes without strokes.")
    smallest: int = Field(15, ge=8, description="Size of the smallest objects, in pixels.")
    largest: int = Field(21, ge=8, description="Size of the largest objects, in pixels.")
    gap: int = Field(4, ge=0, description="How far strokes stay off the objects, in pixels.")
    companion: float = Field(0.95, ge=0, le=1, description="Share of riders with a bicycle.")
    merge_twins: bool = Field(
        False, description="Control: twins share one label, so that no class needs its context."
    )

    @model_validator(mode="after")
    def room(self) -> Self:
        if not self.smallest <= self.largest <= self.size // 3:
            raise ValueError(
                f"`largest` is {self.largest}; choose {self.smallest} (`smallest`) to "
                f"{self.size // 3} (a third of `size`)"
            )
        if self.gap > self.size // 8:
            raise ValueError(f"`gap` is {self.gap}; choose at most {self.size // 8}, for room")
        return self


class ScenesDataset(Images):
    """Scenes drawn by the workflow, whose context dependence is known."""

    format: Literal["scenes"]
    scenes: Scenes = Field(default_factory=Scenes)

    def drawn(self, split: str) -> dict[str, Any]:
        """Settings of the scenes of one split; the number in the other one has no part in it."""
        other = "test" if split == "train" else "train"
        return {key: value for key, value in self.scenes.settings().items() if key != other}


class AnnotatedImages(Images):
    """Images whose annotations name classes, which are matched with the model's by name."""

    unknown: Literal["error", "ignore"] = Field(
        "error", description="What to do with annotations of a class that the model does not have."
    )


class CocoDataset(AnnotatedImages):
    """A folder of images and a COCO JSON file."""

    format: Literal["coco"]
    images: Place = Field(description="Folder of the images.", examples=["path/to/images"])
    annotations: Place = Field(
        description="COCO JSON file.", examples=["path/to/annotations/instances.json"]
    )
    masks: Place | None = Field(
        None,
        description="Folder of PNG class masks, named like the images, for segmentation.",
        examples=["path/to/masks"],
    )
    only: Place | None = Field(
        None,
        description="Another COCO JSON file: take only the images that it lists.",
        examples=["path/to/annotations/subset.json"],
    )
    stuff: Place | None = Field(
        None,
        description="Another COCO JSON file: regions that no model is to find, as water or sky, "
        "whose effect on the model is of interest (COCO's stuff_val2017.json is one).",
        examples=["path/to/annotations/stuff.json"],
    )


class FolderDataset(Images):
    """Images without annotations: what the model predicts is explained."""

    format: Literal["folder"]
    images: Place = Field(description="Folder of the images.", examples=["path/to/images"])


class VocDataset(AnnotatedImages):
    """Pascal VOC's layout."""

    format: Literal["voc"]
    root: Place = Field(
        description="The folder with JPEGImages, SegmentationClass, ImageSets.",
        examples=["path/to/VOCdevkit/VOC2012"],
    )
    split: Text = Field("trainval", description="List in ImageSets/Segmentation.")


class CityscapesDataset(AnnotatedImages):
    """Cityscapes' layout."""

    format: Literal["cityscapes"]
    root: Place = Field(
        description="The folder with leftImg8bit and gtFine.", examples=["path/to/cityscapes"]
    )
    split: Literal["train", "val", "test"] = Field("val", description="Which part.")


class MasksDataset(AnnotatedImages):
    """Images and masks of class indices, one PNG per image, of the same name."""

    format: Literal["masks"]
    images: Place = Field(description="Folder of the images.", examples=["path/to/images"])
    masks: Place = Field(description="Folder of the masks.", examples=["path/to/masks"])
    classes: list[Text] = Field(
        description="Names by the masks' values.", examples=[["background", "road", "car"]]
    )
    values: dict[int | Text, Text] | None = Field(
        None,
        description="What the masks' values or colours (`'#ff0000'`) mean, as classes or `void`, "
        "where they are not the places of `classes`.",
        examples=[{0: "background", 255: "road"}],
    )

    def settings(self) -> dict[str, Any]:
        """The entry as plain values; `values` only where it is given.

        So what Snakemake compares stays that of versions that did not have it.
        """
        given = super().settings()
        return {key: value for key, value in given.items() if key != "values" or value}


class YoloDataset(AnnotatedImages):
    """Images and YOLO text labels, one text file per image, of the same name."""

    format: Literal["yolo"]
    images: Place = Field(description="Folder of the images.", examples=["path/to/images"])
    labels: Place = Field(description="Folder of the labels.", examples=["path/to/labels"])
    classes: list[Text] = Field(description="Names by class index.", examples=[["person", "car"]])


class TableDataset(Images):
    """A dataset of `config/datasets.csv`, downloaded and verified by the workflow."""

    name: Name = Field(description="An entry of `config/datasets.csv`.", examples=["coco2017-val"])


FORMATS = {
    "scenes": ScenesDataset,
    "coco": CocoDataset,
    "folder": FolderDataset,
    "voc": VocDataset,
    "cityscapes": CityscapesDataset,
    "masks": MasksDataset,
    "yolo": YoloDataset,
}


def kind(entry: Any) -> str | None:
    """The tag of a dataset: its format, or `table` where only a name is given."""
    if isinstance(entry, dict):
        return "table" if "name" in entry and "format" not in entry else entry.get("format")
    return getattr(entry, "format", "table")


Dataset = Annotated[
    Annotated[ScenesDataset, Tag("scenes")]
    | Annotated[CocoDataset, Tag("coco")]
    | Annotated[FolderDataset, Tag("folder")]
    | Annotated[VocDataset, Tag("voc")]
    | Annotated[CityscapesDataset, Tag("cityscapes")]
    | Annotated[MasksDataset, Tag("masks")]
    | Annotated[YoloDataset, Tag("yolo")]
    | Annotated[TableDataset, Tag("table")],
    Discriminator(kind),
]
