"""The pages for teachers: one for each lesson, with what the lessons say, true of them as committed; and commands that run."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import make_teaching
import nbformat
import pytest

from course_utils import teach

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "teaching"
THERE = teach.gather(ROOT / "notebooks")
HEADINGS = ["What they must know before", "Minutes and exercises", "Where learners get stuck", "To discuss", "What may be cut"]
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+(?:e[+-]?\d+)?(?: ?%)?| ?%)")      # with a point, or a share
each_lesson = pytest.mark.parametrize("number", THERE)


def text_of(number):
    return (PAGES / f"{number}.md").read_text("utf-8")


def by_hand(text):
    """A page without what the command writes."""
    return re.sub(r"(?s)<!-- (\w+): begin -->.*?<!-- \1: end -->", "", text)


def parts(text):
    """Heading -> what stands below it; under "" what stands above the first."""
    pieces = re.split(r"(?m)^## (.+)$", by_hand(text))
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def test_there_is_a_page_for_every_lesson_and_none_for_none():
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted([*THERE, "README"])


def test_the_pages_are_what_the_lessons_make_of_them():
    stale = [file.name for file, text in make_teaching.pages().items() if file.read_text("utf-8") != text]
    assert not stale, f"{stale}: run python tools/make_teaching.py"


@each_lesson
def test_a_page_has_its_parts_and_its_length(number):
    found = parts(text_of(number))
    assert list(found) == ["", *HEADINGS]
    aim = re.fullmatch(r"\s*\*\*Aim:\*\* ([^.]+\.)\s*", found[""])
    assert aim, "the aim is one sentence"
    assert 250 <= len(by_hand(text_of(number)).split()) <= 450
    assert len(re.findall(r"(?m)^- \*\*", found["Where learners get stuck"])) >= 4
    asked = re.findall(r"(?m)^(\d)\. \*\*[^*]*(?:\*[^*]+\*[^*]*)*\?\*\* \S.{30}", found["To discuss"])
    assert asked == [str(k) for k in range(1, len(asked) + 1)] and 3 <= len(asked) <= 5


@each_lesson
def test_what_may_be_cut_is_a_part_of_the_lesson_and_not_all_of_it(number):
    """Catches a heading that was worded anew: the plans would never cut it again."""
    cuts = teach.lessons.cuts(text_of(number))
    names = [part.name for part in THERE[number].parts]
    assert cuts and set(cuts) <= set(names), set(cuts) - set(names)
    assert all(len(why.split()) >= 3 and why.endswith(".") for why in cuts.values())
    left = [part for part in THERE[number].of("section") if not part.cut]
    assert len(left) >= 4 and "What you have seen" in [part.name for part in left]


def said(number):
    """All that a lesson says, as committed: words, code, what was printed, and what its figures show."""
    book = json.loads((ROOT / "notebooks" / THERE[number].file).read_text("utf-8"))
    pieces = []
    for cell in book["cells"]:
        pieces.append("".join(cell["source"]))
        for out in cell.get("outputs", []):
            pieces += ["".join(out.get("text", "")), "".join(out.get("data", {}).get("text/plain", "")),
                       out.get("metadata", {}).get("image/png", {}).get("alt", "")]
    return "\n".join(pieces)


def not_said(text, lesson):
    """The numbers of a text that a lesson does not have."""
    known = {number.strip("+% ") for number in NUMBER.findall(lesson)}
    return [number for number in NUMBER.findall(text) if number.strip("+% ") not in known]


@each_lesson
def test_every_number_of_a_page_stands_in_its_lesson(number):
    """Catches an answer that went stale when the lesson was run again."""
    assert not not_said(by_hand(text_of(number)), said(number))


@pytest.mark.parametrize("text, wanted", [
    ("It is +0.63 here, 5% there.", ["+0.63", "5%"]), ("It is 0.635, or +0.635.", []), ("-0.635 is another", ["-0.635"]),
    ("lesson 05, 3/8, 9x9, exercise 2", []), ("1.8e-05 is left", []), ("1.8e-06 is left", ["1.8e-06"]),
])
def test_a_number_that_the_lesson_does_not_have_is_seen(text, wanted):
    assert not_said(text, "a gain of +0.635 and 73%, 1.8e-05 left") == wanted


def test_a_page_that_went_stale_is_noticed_and_mended():
    number, lesson = next(iter(THERE.items()))
    old = text_of(number)
    stale = old.replace(f"about {lesson.minutes} minutes", "about 5 minutes")
    assert stale != old and make_teaching.page(stale, lesson, make_teaching.plans.data()["computing"]) == old
    with pytest.raises(ValueError, match=rf"docs/teaching/{number}.md must hold '<!-- minutes: begin -->'"):
        make_teaching.page(old.replace("<!-- minutes: begin -->", ""), lesson, {})


def test_a_lesson_without_a_page_gets_the_beginning_of_one():
    lesson = next(iter(THERE.values()))
    new = make_teaching.page(make_teaching.NEW.format(*make_teaching.LESSON, *make_teaching.MINUTES), lesson, {})
    assert list(parts(new)) == ["", *HEADINGS] and f"# {lesson.number} · {lesson.title}" in new and "not measured" in new


@each_lesson
def test_the_minutes_of_a_page_add_up(number):
    rows = dict(re.findall(r"(?m)^\| ([a-z ,]+) \| (\+?-?\d+) \|", text_of(number)))
    inside = sum(int(rows[name]) for name in ("reading", "computing", "exercises", "guesses, looking again"))
    assert inside == THERE[number].minutes and int(rows["guesses, looking again"]) >= 5


def test_the_plans_of_the_overview_are_those_that_the_command_prints():
    text = (PAGES / "README.md").read_text("utf-8")
    for wanted in teach.named().values():
        try:
            assert teach.make_plan(wanted, THERE).as_markdown(3) in text
        except ValueError as error:
            assert str(error) in text


# ---- the commands

def commands(text):
    return [line for block in re.findall(r"(?ms)^```\n(.*?)^```", text) for line in block.splitlines()]


def test_the_options_of_the_commands_are_known():
    """Without running them: whatever the page calls prints its own help, or is nbgrader's."""
    known = (ROOT / "course_utils" / "teach" / "command.py").read_text("utf-8") + \
        (ROOT / "course_utils" / "teach" / "figures.py").read_text("utf-8")
    lines = [line for line in commands((PAGES / "README.md").read_text("utf-8")) if "course_utils.teach" in line]
    assert len(lines) >= 6
    for line in lines:
        words = line.split()[3:]
        assert words[0] in ("list", "plan", "student", "grading", "figures"), line
        assert all(f'"{word}"' in known for word in words if word.startswith("--")), line


@pytest.mark.full
@pytest.mark.skipif(find_spec("nbgrader") is None, reason='pip install -e ".[teach]"')
def test_a_lesson_goes_out_and_comes_back_graded_by_the_commands_of_the_page(tmp_path):
    """Two students: one with all answers, one with none. The lesson is 02, in a copy of the course."""
    if "02" not in THERE:
        pytest.skip("lesson 02, which the page names, was taken out")
    course = tmp_path / "course"
    for name in ("course_utils", "data", "notebooks"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    lines = [line for line in commands((PAGES / "README.md").read_text("utf-8"))
             if "02_channel" in line or line.startswith(("cd ", "nbgrader"))]
    assert [line.split()[0] for line in lines] == ["python", "python", "cd", "nbgrader", "nbgrader", "nbgrader"]
    name, made = THERE["02"].file, course / "handout" / "class"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(course), os.environ.get("PYTHONPATH", "")]),
           "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "COURSE_PROFILE": "quick"}

    def shell(*some):
        done = subprocess.run(["bash", "-e", "-c", "\n".join(some)], cwd=course, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    shell(*lines[:4])
    assert (course / "handout" / name).exists() and (made / "release" / "02_channel" / name).exists()
    found = {e.grade_id: e for e in teach.exercises(nbformat.read(ROOT / "notebooks" / name, 4))}
    for student, answers in (("ada", True), ("bob", False)):
        nb = nbformat.read(made / "release" / "02_channel" / name, 4)
        for cell in nb.cells:
            mark = cell.metadata.get("nbgrader", {})
            if answers and mark.get("solution"):
                cell.source = found[mark["grade_id"]].solution
        (made / "submitted" / student / "02_channel").mkdir(parents=True)
        nbformat.write(nb, made / "submitted" / student / "02_channel" / name)
    shell(lines[2], *lines[4:])
    with open(made / "grades.csv", newline="") as file:
        grades = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    most = sum(e.points for e in found.values())
    assert grades == {"ada": (most, most), "bob": (0, most)}
