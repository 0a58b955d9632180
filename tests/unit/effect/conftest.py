"""The known world, and verdicts that take little time."""

import pytest

from support import known_world


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    """Verdicts by a tenth of the draws, in a tenth of the time."""
    monkeypatch.setattr("lcrp.effect.verdict.DRAWS", 2000)


@pytest.fixture
def world():
    """The makers of scenes and models whose answers are known."""
    return known_world
