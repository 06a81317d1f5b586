"""A name that is not known is refused in one way, with the closest one and all that there are."""

import pytest

from course_utils import names

KNOWN = {"what": 1, "where": 2, "relate": 3}


@pytest.mark.parametrize("name, expected", [
    ("wat", " Did you mean 'what'?"), ("WHERE", " Did you mean 'where'?"), ("qqqq", ""), ("", ""), (3, ""), (None, ""),
])
def test_a_hint_is_the_closest_name_or_nothing(name, expected):
    assert names.hint(name, KNOWN) == expected


def test_how_close_a_name_must_be_can_be_said():
    assert names.hint("whee", KNOWN, cutoff=0.4) == " Did you mean 'where'?" and names.hint("whee", KNOWN, cutoff=0.95) == ""


def test_names_may_come_from_a_generator():
    error = names.unknown("task", "wat", (name for name in KNOWN))
    assert type(error) is ValueError
    assert str(error) == "unknown task 'wat'. Did you mean 'what'? Known: what, where, relate"


def test_where_no_name_is_close_the_known_ones_are_listed_all_the_same():
    assert str(names.unknown("task", "qqqq", KNOWN)) == "unknown task 'qqqq'. Known: what, where, relate"


def test_find_gives_what_is_known_and_refuses_the_rest():
    assert names.find("task", "where", KNOWN) == 2
    with pytest.raises(ValueError, match="unknown task 'Where'. Did you mean 'where'\\?"):
        names.find("task", "Where", KNOWN)


@pytest.mark.parametrize("name", [None, 3, ["what"], {"what"}, True], ids=str)
def test_what_is_no_text_is_no_name_and_not_a_type_error(name):
    """A list cannot be looked up in a dict: the message must be about the name all the same."""
    with pytest.raises(ValueError, match="unknown task .* Known: what, where, relate"):
        names.find("task", name, KNOWN)
