"""The official layouts in miniature."""

import pytest

from support import official_layouts


@pytest.fixture
def layouts():
    """The writers of the miniatures, and of single images."""
    return official_layouts
