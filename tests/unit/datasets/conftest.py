"""The official layouts in miniature."""

import official_layouts
import pytest


@pytest.fixture
def layouts():
    """The writers of the miniatures, and of single images."""
    return official_layouts
