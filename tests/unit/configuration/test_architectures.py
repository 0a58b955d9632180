"""The list of architectures that the configuration checks against."""

from lcrp.configuration.architectures import ARCHITECTURES
from lcrp.models import architectures


def test_the_list_is_that_of_the_models():
    assert sorted(ARCHITECTURES) == sorted(architectures())
