import known_world
import pytest


@pytest.fixture
def world():
    """The makers of scenes and models whose answers are known."""
    return known_world
