"""A folder of images without annotations."""

from lcrp.datasets.classes import ClassMap
from lcrp.datasets.images import find_images
from lcrp.datasets.sample import Dataset


class FolderDataset(Dataset):
    """All images below a folder, in the order of their paths.

    images : the folder.
    classes : the model's names, for completeness of the table; nothing is annotated.
    """

    format = "folder"
    annotated = False

    def __init__(self, images, classes=None):
        super().__init__(images, find_images(images), ClassMap((), classes or (), source=images))
