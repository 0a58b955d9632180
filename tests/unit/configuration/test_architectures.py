"""The list of architectures that the configuration checks against."""

from importlib import import_module

import pytest

from lcrp.configuration.architecture_table import FAMILIES, members, with_table
from lcrp.configuration.architectures import ARCHITECTURES, trained_task
from lcrp.models import Model


@pytest.mark.parametrize(("module", "name"), sorted(set(ARCHITECTURES.values())))
def test_every_architecture_has_its_class(module, name):
    assert issubclass(getattr(import_module(f"lcrp.models.{module}"), name), Model)


def test_what_can_be_trained_says_its_task():
    assert trained_task("unet") == "segmentation" and trained_task("yolov5n") == "detection"
    assert trained_task("ssd512") is None and trained_task("yolov8n") is None
    assert trained_task("yolov5n6") is None and trained_task("none such") is None


def test_every_architecture_belongs_to_one_family_of_the_table():
    names = [name for _, _, pattern in FAMILIES for name in members(pattern)]
    assert sorted(names) == sorted(ARCHITECTURES)


def test_the_readme_lists_the_architectures(root):
    readme = (root / "README.md").read_text()
    assert readme == with_table(readme), "run `make schemas`"
