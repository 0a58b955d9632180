"""The table of classes by itself."""

import pytest

from lcrp.datasets.classes import ClassMap, background_classes
from lcrp.errors import InputError


def test_names_match_whatever_their_case_and_dashes():
    table = ClassMap(["Traffic_Light", "t-v", "dog"], ["dog", "traffic light", "t v"], source="s")
    assert table.indices == (1, 2, 0)


def test_an_equal_name_comes_before_a_similar_one():
    assert ClassMap(["Boat"], ["boat", "Boat"], source="s").indices == (1,)


def test_a_name_that_fits_two_classes_is_none_of_them():
    table = ClassMap(["BOAT", "car"], ["boat", "Boat", "car"], source="s", unknown="ignore")
    assert table.indices == (None, 2)


def test_mapping_onto_other_names_keeps_the_rule_and_what_is_ignored():
    own = ClassMap(["cat", "Hot_Dog", "unicorn"], source="s", unknown="ignore")
    onto = own.onto(["hot dog", "cat"])
    assert onto.indices == (1, 0, None) and onto.index(2, "here") is None
    assert onto.onto(["hot dog", "cat"]).indices == (0, 1)


def test_an_unknown_class_names_the_nearest():
    table = ClassMap(["cat", "doge"], source="s").onto(["cat", "dog"])
    with pytest.raises(InputError, match=r"^image a: its class 'doge' is unknown.* has 'dog'"):
        table.index(1, "image a")


def test_no_class_in_common():
    with pytest.raises(InputError, match="none of its classes"):
        ClassMap(["cat"], source="s").onto(["dog"])


def test_a_dataset_without_classes_maps_onto_any():
    assert ClassMap((), source="s").onto(["dog"]).indices == ()


@pytest.mark.parametrize(
    "name", ["background", "__background__", "_background_", "Background", "BG", "unlabeled"]
)
def test_a_background_is_understood_in_its_usual_spellings(name):
    assert background_classes(["ship", name]) == {1}


def test_ground_is_a_background_in_cityscapes_alone():
    others = [f"class {number}" for number in range(18)]
    assert background_classes(["sky", "ground", "unlabelled things"]) == frozenset()
    assert background_classes(["road", *others, "ground"]) == {19}


def test_names_that_differ_in_case_are_never_merged():
    table = ClassMap(["boat", "Boat", "car"], ["boat", "car"], source="s", unknown="ignore")
    assert table.indices == (0, None, 1)
    table = ClassMap(["BOAT", "Boat", "car"], ["boat", "car"], source="s", unknown="ignore")
    assert table.indices == (None, None, 1)


def test_more_classes_than_a_mask_tells_apart():
    names = [f"class {number}" for number in range(400)]
    assert ClassMap(names, source="s").indices == tuple(range(400))
