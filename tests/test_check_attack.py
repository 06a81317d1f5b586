"""All checks under attack: right answers in other styles are taken, wrong ones and odd objects are not, nothing raises."""

import pytest
from attack import CHECKS, ODD, ask, faults, kind, styles

pytestmark = pytest.mark.full      # a minute or two: endless answers are waited for


@pytest.mark.parametrize("name, style", [(name, style) for name in CHECKS for style in styles(name)])
def test_a_right_answer_in_another_style_is_taken(name, style):
    verdict, said = ask(name, styles(name)[style])
    assert verdict is True, said


@pytest.mark.parametrize("name, fault", [(name, fault) for name in CHECKS for fault in faults(name)])
def test_a_wrong_answer_of_any_kind_is_rejected_with_words(name, fault):
    verdict, said = ask(name, faults(name)[fault], 0.4 if fault == "endless" else 20.0)
    assert verdict is False and ("WRONG" in said or "not attempted" in said)


@pytest.mark.parametrize("name", CHECKS)
def test_odd_objects_end_in_words(name):
    for label, odd in ODD.items():
        verdict, said = ask(name, odd)
        assert verdict is False and said, f"{label}: {verdict!r}"


def test_each_exercise_has_right_answers_in_five_styles_and_eight_wrong_ones():
    for name, check in CHECKS.items():
        assert len(styles(name)) >= (2 if kind(name) == "choice" else 5) and len(faults(name)) + len(check.mistakes) >= 8, name
