"""Every setting of a parted entry says which results it is part of."""

from typing import Annotated

import pytest

from lcrp.configuration import Analysis, Effect, Verification
from lcrp.configuration.entry import Count, Parted, part_of
from lcrp.configuration.outputs import Explanations

# What Snakemake compares with the last run: other values make users compute everything again.
COMPARED = {
    (Analysis, "shards"): {
        "layers": "default",
        "composite": "default",
        "targets": {"source": "auto", "mode": "class", "classes": "all", "threshold": 0.25},
        "things": True,
        "precision": "float32",
    },
    (Analysis, "import"): {
        "layers": "default",
        "composite": "default",
        "targets": {"source": "auto", "mode": "class", "classes": "all", "threshold": 0.25},
        "things": True,
        "precision": "float32",
        "precomputed": None,
    },
    (Effect, "effects"): {
        "images": 24,
        "minimum_images": 8,
        "donors": 2,
        "things": 4,
        "concepts": 3,
        "passes": 10000,
        "margin": 4,
        "floor": 0.2,
        "alpha": 0.05,
        "examples": 3,
        "seed": 0,
    },
    (Explanations, "figures"): {
        "layer": "default",
        "concepts": 3,
        "references": 12,
        "by": "relevance",
        "width": 1600,
    },
    (Verification, "verification"): {
        "layers": "default",
        "composite": "EpsilonPlus",
        "classes": "all",
        "samples": 60,
        "least_samples": 20,
        "budget": 2000,
        "least_pixels": 500,
        "concepts": 50,
        "references": 15,
    },
}


@pytest.mark.parametrize(("kind", "result"), COMPARED)
def test_results_are_compared_by_the_settings_they_are_made_from(kind, result):
    found = kind().of(result)
    assert found == COMPARED[kind, result]
    assert list(found) == list(COMPARED[kind, result])


def test_how_it_is_computed_is_part_of_no_result():
    assert Analysis(batch_size=9, device="cpu").of("shards") == Analysis().of("shards")
    assert Analysis(top_k=9).of("shards") == Analysis().of("shards")
    assert Analysis(top_k=9).of("store") != Analysis().of("store")


def test_an_option_that_says_nothing_is_refused_at_once():
    with pytest.raises(TypeError, match=r"Extended\.colour: say what it is part of"):

        class Extended(Analysis):
            colour: str = "red"


def test_an_option_that_says_it_changes_its_own_result_alone():
    class Extended(Analysis):
        colour: Annotated[str, part_of("figures")] = "red"
        speed: Annotated[Count, part_of()] = 1

    assert Extended().of("figures") == {"colour": "red"}
    assert Extended(colour="blue", speed=3).of("shards") == Analysis().of("shards")


def test_a_result_that_no_setting_names_is_a_mistake():
    with pytest.raises(ValueError, match="no setting is part of 'shard'"):
        Analysis().of("shard")
    assert issubclass(Analysis, Parted)
