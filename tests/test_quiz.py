"""The questions on the lessons: what a file must hold, and what the questions of the course are like."""

import collections
import json
import re
from pathlib import Path

import pytest

from course_utils import quiz
from course_utils.quiz import bank

ROOT = Path(__file__).resolve().parents[1]
LESSONS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
EVERY = [question for number in quiz.lessons() for question in quiz.read(number).questions]

FILE = r"""
lesson = "07"
title = "A toy"

[[question]]
id = "sum"
tests = "Adding."
where = "By hand"
difficulty = 1
asks = '''
What is
$1 + 1$?

```
a  b

c
```'''

[[question.option]]
says = "2"
why = "One and one."
right = true

[[question.option]]
says = "11"
why = "Digits were put together."

[[question.option]]
says = "1"
why = "They were multiplied."
"""


def edited(old, new):
    assert old in FILE
    return FILE.replace(old, new)


# ---- one file

def test_a_question_is_read_as_it_stands_in_the_file():
    lesson = quiz.parse(FILE, "quiz/07.toml")
    (question,) = lesson.questions
    assert (lesson.number, lesson.title, question.lesson, question.id, question.difficulty) == ("07", "A toy", "07", "sum", 1)
    assert question.asks == "What is $1 + 1$?\n\n```\na  b\n\nc\n```", "line breaks mean nothing, but in a block of code"
    assert {option.says: option.right for option in question.options} == {"2": True, "11": False, "1": False}
    assert question.options["ABC".index(question.answer)].says == "2"


def test_the_order_of_the_options_does_not_depend_on_the_file():
    right = FILE[FILE.index("[[question.option]]"):FILE.index('[[question.option]]\nsays = "11"')]
    last = FILE.replace(right, "") + "\n" + right
    assert last != FILE and quiz.parse(last, "quiz/07.toml") == quiz.parse(FILE, "quiz/07.toml")


MISTAKES = {      # the text; words of the message; is the question named
    "no TOML": (edited('title = "A toy"', "title = A toy"), "is not TOML", False),
    "backslash": (edited('"Adding."', '"The $\\sigma$ of it."'), "three single quotes", False),
    "unknown entry": (edited('title = "A toy"', 'titel = "A toy"'), "unknown entry 'titel'. Did you mean 'title'?", False),
    "no title": (edited('title = "A toy"\n', ""), "title is missing", False),
    "no questions": (FILE.split("[[")[0] + "question = []\n", "question is []. Wanted: [[question]]", False),
    "question is no table": ('lesson = "07"\ntitle = "A toy"\nquestion = [3]\n', "Wanted: a table", False),
    "question unknown entry": (edited("where =", "hint = 'x'\nwhere ="), "unknown entry 'hint'", True),
    "no idea": (edited('tests = "Adding."\n', ""), "tests is missing", True),
    "empty place": (edited('"By hand"', '" "'), "where is ' '", True),
    "odd id": (edited('id = "sum"', 'id = "The sum"'), "the id has other signs", False),
    "same id": (FILE + FILE[FILE.index("[[question]]"):], "the id is there twice", True),
    "too difficult": (edited("difficulty = 1", "difficulty = 4"), "difficulty is 4. Wanted: 1, 2 or 3", True),
    "difficulty in words": (edited("difficulty = 1", 'difficulty = "easy"'), "difficulty is 'easy'", True),
    "difficulty as a truth": (edited("difficulty = 1", "difficulty = true"), "difficulty is True", True),
    "no right option": (edited("right = true\n", ""), "no options are right. Wanted: right = true at exactly one", True),
    "two right ones": (edited('together."', 'together."\nright = true'), "2 options are right", True),
    "right is a word": (edited("right = true", 'right = "yes"'), "right is 'yes'. Wanted: true or false", True),
    "no feedback": (edited('why = "Digits were put together."\n', ""), "why is missing", True),
    "empty feedback": (edited('"They were multiplied."', '""'), "why is ''", True),
    "two options": (FILE[:FILE.rindex("[[")], "2 options. Wanted: three or four", True),
    "same option twice": (edited('says = "11"', 'says = "1"'), "two options say the same", True),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_question(mistake):
    text, words, named = MISTAKES[mistake]
    with pytest.raises(ValueError) as error:
        quiz.parse(text, "quiz/07.toml")
    message = str(error.value)
    assert message.startswith("quiz/07.toml") and words in message, message
    assert not named or message.startswith("quiz/07.toml, question 'sum'"), message


def test_a_lesson_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=rf"unknown lesson '2'\..* Known: {', '.join(quiz.lessons())}"):
        quiz.folded("2")
    with pytest.raises(FileNotFoundError, match="no questions in .*Get it back"):
        quiz.lessons(tmp_path)
    with pytest.raises(ValueError, match="quiz/08.toml: lesson is '07'. Wanted: '08'"):
        (tmp_path / "08.toml").write_text(FILE)
        quiz.read("08", tmp_path)
    (tmp_path / "08.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="quiz/08.toml is not UTF-8"):
        quiz.read("08", tmp_path)


# ---- the questions of the course

def prose(cell):
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", "".join(cell["source"])) if cell["cell_type"] == "markdown" else ""


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_six_questions_about_what_stands_in_it(number):
    """Catches a lesson without questions, a renamed lesson, and a heading that was changed or taken out."""
    text = "\n".join(map(prose, json.loads(LESSONS[number].read_text(encoding="utf-8"))["cells"]))
    title, *headings = re.findall(r"(?m)^#+ +(.+?) *$", text)
    lesson = quiz.read(number)
    assert title == f"{number} · {lesson.title}"
    assert len(lesson.questions) >= 6
    assert not [(q.id, q.where) for q in lesson.questions if q.where not in headings]
    assert len({q.where for q in lesson.questions}) >= 3, "from all over the lesson"
    assert len({q.difficulty for q in lesson.questions}) > 1


def test_no_two_questions_are_the_same():
    for of in (lambda q: q.id, lambda q: " ".join(re.findall(r"\w+", q.asks.lower())), lambda q: q.tests):
        assert not [what for what, times in collections.Counter(map(of, EVERY)).items() if times > 1]


def test_the_right_option_is_not_told_by_its_length():
    longest = [q for q in EVERY if max(q.options, key=lambda o: len(o.says)).right]
    shortest = [q for q in EVERY if min(q.options, key=lambda o: len(o.says)).right]
    assert len(longest) <= 0.4 * len(EVERY) and len(shortest) <= 0.4 * len(EVERY)
    for q in longest:
        *_, second, first = sorted(len(option.says) for option in q.options)
        assert first <= max(1.5 * second, 15), f"{q.lesson}, {q.id}: the right option stands out as the longest; shorten it"


def test_the_right_option_is_not_told_by_its_place():
    places = collections.Counter(q.answer for q in EVERY if len(q.options) == 4)
    assert set(places) == set("ABCD") and min(places.values()) >= 0.15 * sum(places.values()), places


def test_no_option_speaks_of_the_others():
    """They are shuffled, here and by a learning platform."""
    found = re.compile(r"(all|none|both|any) of the (above|others)|the (above|following)\b|\b(option|answer)s? [A-D]\b", re.I)
    assert not [(q.id, o.says) for q in EVERY for o in q.options if found.search(o.says) or found.search(o.why)]


def test_a_question_names_the_lesson_that_it_means():
    """Three of lesson 00 end lesson 01: there "this lesson" is another one."""
    for q in EVERY:
        assert not re.search(r"\bthis lesson\b", " ".join([q.asks, *(t for o in q.options for t in (o.says, o.why))]), re.I), q.id


def test_a_text_can_be_shown_anywhere():
    """Marks that pair, no HTML and no mathematics that breaks it, and no list, which the reader would join to one line."""
    for q in EVERY:
        for text in (q.asks, q.tests, *(t for o in q.options for t in (o.says, o.why))):
            plain = re.sub(r"(?ms)^```.*?^```$", "", text)
            assert plain.count("$") % 2 == plain.count("`") % 2 == 0, (q.id, text)
            assert not re.search(r"</?\w+|^\s*([-*]|\d+\.) ", plain, re.M) or text[0].isdigit(), (q.id, text)
        assert not any("\n" in t for o in q.options for t in (o.says, o.why)), q.id


def test_the_questions_travel_with_the_package():
    """data/ is a part of a wheel (tests/test_wheel.py); a folder elsewhere would stay behind."""
    assert bank.FOLDER.parent.name == "data" and (bank.FOLDER.parent / "glossary.toml").is_file()
