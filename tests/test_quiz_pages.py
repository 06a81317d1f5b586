"""Questions as Markdown: all of a lesson with the answers folded, and some of earlier lessons, asked again."""

import re
import sys

import pytest

from course_utils import quiz
from course_utils.quiz import exchange

FIRST, SECOND, *OTHERS = quiz.lessons()      # a teacher may have taken lessons out

QUESTION = '''lesson = "{number}"
title = "A toy"

[[question]]
id = "toy-{number}"
tests = "Adding."
where = "By hand"
difficulty = 1
asks = "What is {number} + 1?"
option = [{{says = "more", why = "One more.", right = true}}, {{says = "less", why = "No."}}, {{says = "equal", why = "No."}}]
'''


def toy_bank(folder, *numbers):
    """A folder of files with one question each."""
    folder.mkdir()
    for number in numbers:
        (folder / f"{number}.toml").write_text(QUESTION.format(number=number))
    return folder


# ---- folded into a page

def test_a_page_has_every_question_and_a_fold_for_each_option():
    page, lesson = quiz.folded(SECOND), quiz.read(SECOND)
    assert re.findall(r"(?m)^\*\*Question (\d+)\*\*", page) == [str(i + 1) for i in range(len(lesson.questions))]
    folds = re.findall(r"(?s)<details><summary>You chose (\w)</summary>\n\n(.*?)\n\n</details>\n", page)
    wanted = [(letter, option) for q in lesson.questions for letter, option in zip("ABCD", q.options, strict=False)]
    assert [letter for letter, _ in folds] == [letter for letter, _ in wanted]
    for (_, text), (_, option) in zip(folds, wanted, strict=True):
        assert text.startswith(f"**{'Right' if option.right else 'No'}.** {option.why}")
    outside = re.sub(r"(?s)<details>.*?</details>", "", page)
    for q in lesson.questions:
        assert q.asks in outside and all(f"** {option.says}\n" in outside for option in q.options)
        assert page.count(f"Lesson {SECOND}, *{q.where}*: {q.tests}") == 1 and q.tests not in outside
    assert "**Right.**" not in outside


def test_the_pages_of_two_lessons_stand_below_their_titles():
    page = quiz.markdown([FIRST, OTHERS[0]])
    assert re.findall(r"(?m)^## (.+)$", page) == [f"{n} · {quiz.read(n).title}" for n in (FIRST, OTHERS[0])]
    assert page.endswith(quiz.folded(OTHERS[0]))


# ---- asked again

def recalled(lesson, n=3, **where):
    """The lessons that questions are brought back from, and what they ask."""
    page = quiz.recall(lesson, n, **where)
    asked = re.findall(r"(?s)from lesson (\d\d)\n\n(.*?)\n\n- \*\*A\*\*", page)
    assert len(asked) == page.count("**Question ")
    return [number for number, _ in asked], [question for _, question in asked]


def test_recalled_questions_are_one_three_and_six_lessons_old():
    numbers = quiz.lessons()
    for i in range(6, len(numbers)):
        assert recalled(numbers[i])[0] == [numbers[i - 1], numbers[i - 3], numbers[i - 6]]
    assert recalled("99")[0] == [numbers[-1], numbers[-3], numbers[-6]], "a lesson without questions of its own"


def test_early_lessons_recall_what_there_is_and_the_first_nothing():
    third, _, fifth = OTHERS[:3]
    assert quiz.recall(FIRST) == ""
    assert recalled(SECOND)[0] == [FIRST] * 3 and recalled(third)[0] == [SECOND, FIRST, SECOND]
    assert recalled(fifth)[0] == [OTHERS[1], SECOND, third]


def test_no_question_comes_again_twice_and_the_choice_stays():
    asked = [question for lesson in quiz.lessons() for question in recalled(lesson)[1]]
    assert len(set(asked)) == len(asked) == 3 * (len(quiz.lessons()) - 1)
    assert quiz.recall(OTHERS[-1]) == quiz.recall(OTHERS[-1])


def test_recall_takes_what_is_there(tmp_path):
    folder = toy_bank(tmp_path / "bank", "00", "02", "05")
    assert recalled("05", folder=folder)[0] == ["02", "00"], "a lesson that was taken out is no gap"
    assert recalled("09", n=9, folder=folder)[0] == ["05", "00", "02"]
    assert recalled("09", n=1, folder=folder)[0] == ["05"]


@pytest.mark.parametrize("lesson, n, words", [("9", 3, "two digits"), (9, 3, "two digits"), ("²²", 3, "two digits"),
                                              ("09", 0, "n is 0")])
def test_recall_says_what_it_wants(lesson, n, words):
    with pytest.raises(ValueError, match=words):
        quiz.recall(lesson, n)


def test_pages_need_nothing_that_a_learner_has_not_got(monkeypatch):
    monkeypatch.setitem(sys.modules, "mistune", None)
    exchange.renderer.cache_clear()
    assert quiz.folded(FIRST) and quiz.recall(SECOND)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[teach\]"'):
        quiz.gift([FIRST])
