"""File names tell names apart, whatever they are, and lead back to them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrp.errors import InputError
from lcrp.file_names import FileNames

texts = st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=8, unique=True)


def test_ordinary_names_are_called_as_they_are():
    names = FileNames(["boat", "traffic light", "Person", "model.8.cv3.conv"])
    assert list(names.values()) == ["boat", "traffic_light", "Person", "model.8.cv3.conv"]


@pytest.mark.parametrize(
    "alike",
    [
        ["Boat", "boat"],
        ["traffic light", "traffic_light", "traffic/light", "traffic  light"],
        ["船", "车", "人"],
        ["a" * 150 + "b", "a" * 150 + "c"],
        ["boat", "boat-2"],
        ["Straße", "strasse"],
        ["..", ".", "%", "#"],
    ],
)
def test_names_that_look_alike_get_files_of_their_own(alike):
    names = FileNames(alike)
    assert len({file.casefold() for file in names.values()}) == len(alike)
    assert [names.name(file) for file in names.values()] == alike


def test_a_name_does_not_move_when_an_unlike_one_is_added():
    assert FileNames(["boat", "car"])["boat"] == FileNames(["boat", "car", "Boat"])["boat"]
    assert FileNames(["船", "x"])["船"] == FileNames(["船", "车", "y"])["船"]


@given(texts)
def test_file_names_are_unique_safe_and_lead_back(names):
    files = FileNames(names)
    assert len({file.casefold() for file in files.values()}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9._+~-]{1,100}", files[name])
        assert not files[name].startswith(".")
        assert files.name(files[name]) == name


def test_what_is_no_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"bota: no name .* 'boat'"):
        FileNames(["boat", "car"]).name("bota")
    with pytest.raises(InputError, match="Boat~"):
        FileNames(["Boat", "bOat"]).name("BOAT")
