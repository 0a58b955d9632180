"""The table of classes by itself."""

import pytest

from lcrp.datasets.classes import ClassMap
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
