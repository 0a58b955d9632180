import pytest

from support import known_world


@pytest.fixture
def world():
    """The makers of scenes and models whose answers are known."""
    return known_world
