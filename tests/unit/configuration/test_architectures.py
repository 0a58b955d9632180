"""The list of architectures that the configuration checks against."""

from lcrp.configuration.architecture_table import FAMILIES, members, with_table
from lcrp.configuration.architectures import ARCHITECTURES
from lcrp.models import architectures


def test_the_list_is_that_of_the_models():
    assert sorted(ARCHITECTURES) == sorted(architectures())


def test_every_architecture_belongs_to_one_family_of_the_table():
    names = [name for _, _, pattern in FAMILIES for name in members(pattern)]
    assert sorted(names) == sorted(ARCHITECTURES)


def test_the_readme_lists_the_architectures(root):
    readme = (root / "README.md").read_text()
    assert readme == with_table(readme), "run `make schemas`"
