"""A folder of images without annotations."""

import os
from collections.abc import Sequence

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.images import find_images
from lcrp.datasets.sample import Dataset


class FolderDataset(Dataset):
    """All images below a folder, in the order of their paths.

    Args:
        images: the folder.
        classes: the model's names, for completeness of the table; nothing is annotated.
    """

    format = "folder"
    annotated = False

    def __init__(self, images: str | os.PathLike, classes: Sequence[str] | None = None):
        super().__init__(images, find_images(images), ClassMap((), classes or (), source=images))
