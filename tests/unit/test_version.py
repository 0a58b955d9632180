"""The version is written in the library; what must repeat it says the same."""

import re

import yaml

import lcrp


def test_the_citation_has_the_version_of_the_library(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == lcrp.__version__


def test_the_newest_release_in_the_changelog_has_the_version_and_date_of_the_citation(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    headings = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(), re.M)
    assert headings[:2] == ["Unreleased", f"{lcrp.__version__} - {citation['date-released']}"]
