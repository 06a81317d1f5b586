"""The teaching kit: what it makes of a lesson, what it refuses, and that every lesson is fit for it."""

import contextlib
import copy
import os
import re
import subprocess
import symtable
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils import teach

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NBGRADER_STUB = ["# YOUR CODE HERE", "raise NotImplementedError()"]

needs_nbgrader = pytest.mark.skipif(find_spec("nbgrader") is None, reason='pip install -e ".[teach]"')

SETUP = '''
class check:
    """Stands in for course_utils.check: True or False, and nothing raised for an empty answer."""
    def double(answer):
        try:
            right = answer(3) == 6
        except NotImplementedError:
            right = False
        print("right" if right else "not attempted yet, or wrong")
        return right

    def place(answer):
        return answer == "post"
'''
DOUBLE = '''def double(x):
    """x -> twice x."""
    ### BEGIN SOLUTION
    return ...  # your line here
    ### END SOLUTION
'''
DOUBLED = '''def double(x):
    """x -> twice x."""
    return 2 * x
'''
PLACE = '''### BEGIN SOLUTION
my_choice = ...
### END SOLUTION'''


def nbgrader_cell(source, grade_id, **kind):
    cell = new_code_cell(source)
    cell.metadata["nbgrader"] = dict(schema_version=3, grade_id=grade_id, task=False, **kind)
    return cell


def essay(text):
    cell = new_markdown_cell(text)
    cell.metadata["nbgrader"] = dict(schema_version=3, grade_id="why", task=False,
                                     grade=True, solution=True, locked=False, points=4)
    return cell


def exercise(number, answer, check, solution, points=1):
    """The four cells, as a lesson has them."""
    name = f"ex{number}"
    return [
        new_markdown_cell(f"### Exercise {number} · Fill in one line\n\n●○○ · 5 minutes"),
        nbgrader_cell(answer, name, grade=False, solution=True, locked=False),
        nbgrader_cell(check, f"{name}_check", grade=True, solution=False, locked=True, points=points),
        new_markdown_cell(
            "<details><summary>It prints nothing</summary>\n\nFirst hint.\n\n</details>\n\n"
            "<details>\n<summary>It is 3 for 3</summary>\n\nSecond hint.\n\n</details>\n\n"
            f"<details><summary>Solution</summary>\n\n```python\n{solution}\n```\n\n"
            "Two of a kind.\n\n</details>"
        ),
    ]


def lesson():
    """A lesson with two exercises, run once: cells 2 to 5, and 6 to 9."""
    cells = [
        new_markdown_cell("# A lesson"),
        new_code_cell(SETUP),
        *exercise(1, DOUBLE, "check.double(double)", DOUBLED, points=2),
        *exercise(2, PLACE, "# where\ncheck.place(my_choice)", 'my_choice = "post"'),
        new_code_cell("double(4)"),
    ]
    for n, cell in enumerate(cells):
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = n, [new_output("stream", text="as committed")]
    return new_notebook(cells=cells, metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "colab": {"provenance": []},
        "widgets": {"malformed": True},
    })


def with_first(answer=DOUBLE, solution=DOUBLED, check="check.double(double)"):
    nb = lesson()
    nb.cells[2:6] = exercise(1, answer, check, solution)
    return nb


def clear_solutions(nb):
    from nbgrader.preprocessors import ClearSolutions
    return ClearSolutions().preprocess(copy.deepcopy(nb), {})[0]


# What an exercise is


def test_exercises_are_found_where_they_stand():
    first, second = teach.exercises(lesson())
    assert (first.grade_id, list(first.cells), first.points) == ("ex1", [2, 3, 4, 5], 2)
    assert (second.grade_id, list(second.cells), second.points) == ("ex2", [6, 7, 8, 9], 1)
    assert first.solution == DOUBLED.strip() and second.solution == 'my_choice = "post"'


def test_a_lesson_without_exercises_is_one():
    assert teach.exercises(new_notebook(cells=[new_code_cell("1 + 1"), new_markdown_cell("the end")])) == []


def test_nbgraders_other_cells_are_left_alone():
    nb = lesson()
    nb.cells += [essay("Why?"), nbgrader_cell("2 + 2", "given", grade=False, solution=False, locked=True)]
    assert [e.grade_id for e in teach.exercises(nb)] == ["ex1", "ex2"]


def test_an_exercise_may_open_the_notebook_with_its_box():
    nb = new_notebook(cells=exercise(1, PLACE, "check.place(my_choice)", "my_choice = 1"))
    assert list(teach.exercises(nb)[0].cells) == [0, 1, 2, 3]


def edit(index, old, new):
    def change(nb):
        assert old in nb.cells[index].source
        nb.cells[index].source = nb.cells[index].source.replace(old, new)
    return change


def set_meta(index, **values):
    return lambda nb: nb.cells[index].metadata["nbgrader"].update(values)


def set_source(index, source):
    return lambda nb: nb.cells[index].update(source=source)


def remove(start, stop=None):
    return lambda nb: nb.cells.__delitem__(slice(start, stop))


MISTAKES = {  # what is done to lesson(); the cell that the message names; words of the message
    "no check cell": (remove(4, 5), 3, "its check must be a code cell"),
    "a cell before the check": (lambda nb: nb.cells.insert(4, new_code_cell("1")), 3, "its check must be"),
    "ends before the check": (remove(8), 7, "its check must be"),
    "check of another id": (set_meta(4, grade_id="ex9_check"), 3, "'grade_id': 'ex1_check'"),
    "check not locked": (set_meta(4, locked=False), 3, "'locked': True"),
    "no points": (lambda nb: nb.cells[4].metadata.nbgrader.pop("points"), 3, "no points"),
    "check without a call": (edit(4, "check.double(double)", "double(3)"), 3, "Wanted: check.…"),
    "check that is not asserted": (edit(4, "check.d", "ok = check.d"), 3, "at the start of a line"),
    "second call on the line": (edit(4, ")", "); check.place(1)"), 3, "at the start of a line"),
    "check without an answer": (remove(6, 8), 6, "the check 'ex2_check' has no exercise"),
    "a name that the lesson sets": (set_source(1, "for my_choice in (1, 2):\n    pass"), 7, "cells[1] sets too"),
    "a function that the lesson has": (set_source(1, "def double(x):\n    return x"), 3, "'double', which"),
    "no box": (edit(2, "### Exercise 1", "Work"), 3, "no box"),
    "answer comes first": (remove(0, 3), 0, "no box"),
    "no fold": (edit(5, "<summary>Solution", "<summary>Third hint"), 3, "no Solution fold"),
    "ends before the fold": (remove(9), 7, "no Solution fold"),
    "fold is no Markdown": (lambda nb: nb.cells[5].update(cell_type="raw"), 3, "no Solution fold"),
    "fold without code": (edit(5, "```python", "```"), 3, "```python block"),
    "fold left open": (edit(5, "First hint.\n\n</details>", "First hint."), 3, "do not pair"),
    "last fold left open": (edit(5, "kind.\n\n</details>", "kind."), 3, "do not pair"),
    "stray end of a fold": (edit(0, "lesson", "lesson</details>"), 0, "do not pair"),
    "another signature": (edit(5, "def double(x)", "def double(y)"), 3, "It lacks 'def double(x):'"),
    "docstring forgotten": (edit(5, '    """x -> twice x."""\n', ""), 3, "x -> twice x"),
    "line added before it": (edit(5, "def double", "import os\ndef double"), 3, "adds a line"),
    "answer is the placeholder": (edit(5, "return 2 * x", "return ...  # your line here"), 3, "placeholder"),
    "answer is no Python": (edit(5, "return 2 * x", "return 2 *"), 3, "not plain Python"),
    "marks in the fold": (edit(5, "    return 2", "    ### BEGIN SOLUTION\n    return 2"), 3, "fold too"),
    "marks missing": (edit(7, PLACE, "my_choice = ..."), 7, "marks missing"),
    "end mark missing": (edit(3, "    ### END SOLUTION\n", ""), 3, "marks ['BEGIN']"),
    "marks out of turn": (edit(7, PLACE, "### END SOLUTION\n### BEGIN SOLUTION"), 7, "['END', 'BEGIN']"),
    "marks in a plain cell": (lambda nb: nb.cells[7].metadata.pop("nbgrader"), 7, "marks, but no nbgrader"),
    "same id twice": (set_meta(7, grade_id="ex1"), 7, "grade_id 'ex1' is taken"),
    "no id": (set_meta(3, grade_id=""), 3, "grade_id '' is taken or empty"),
    "answer in Markdown": (lambda nb: nb.cells[3].update(cell_type="markdown"), 3, "its answer must be"),
    "old schema": (set_meta(3, schema_version=2), 3, "'schema_version': 3"),
    "answer locked": (set_meta(7, locked=True), 7, "'locked': False"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("make", [teach.exercises, teach.solution_version], ids=["exercises", "solution"])
def test_a_mistake_in_an_exercise_is_named(mistake, make):
    change, cell, words = MISTAKES[mistake]
    nb = lesson()
    change(nb)
    with pytest.raises(ValueError) as error:
        make(nb)
    message = str(error.value)
    assert message.startswith((f"cells[{cell}]: ", f"cells[{cell}] (exercise 'ex")), message
    assert words in message, message


# The solution version


def test_the_answer_and_nothing_else_is_marked():
    nb = teach.solution_version(lesson())
    assert nb.cells[3].source == '''def double(x):
    """x -> twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION'''
    assert nb.cells[7].source == '### BEGIN SOLUTION\nmy_choice = "post"\n### END SOLUTION'


def test_lines_given_inside_the_marks_stay_given():
    answer = '''def double(x):
    z = x + x
    ### BEGIN SOLUTION
    y = z
    ...
    return y
    ### END SOLUTION
'''
    solution = '''def double(x):
    z = x + x
    y = z
    y = y + 0
    return y
'''
    assert teach.solution_version(with_first(answer, solution)).cells[3].source == '''def double(x):
    z = x + x
    y = z
    ### BEGIN SOLUTION
    y = y + 0
    ### END SOLUTION
    return y'''


def test_a_module_may_have_an_answer_in_each_method():
    answer = '''class Double:
    def __init__(self):
        ### BEGIN SOLUTION
        ...
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return ...
        ### END SOLUTION

double = Double().forward
'''
    solution = '''class Double:
    def __init__(self):
        self.factor = 2

        self.spare = None

    def forward(self, x):
        y = self.factor * x
        return y

double = Double().forward'''
    marked = teach.solution_version(with_first(answer, solution)).cells[3].source
    assert marked == '''class Double:
    def __init__(self):
        ### BEGIN SOLUTION
        self.factor = 2

        self.spare = None
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        y = self.factor * x
        return y
        ### END SOLUTION

double = Double().forward'''


@needs_nbgrader
@pytest.mark.parametrize("region, answer, kept", [
    ("    return (x\n            + ...)\n", "    return (x\n            + x)", []),
    ("    ...\n    return y\n", "\n    for _ in x:\n        y = 2 * x\n    return y", ["    return y"]),
    ("    x = x - 1\n    return 2 * x\n", "    return 2 * x", ["    return 2 * x"]),
], ids=["inside brackets", "blank line first", "line to remove"])
def test_what_nbgrader_clears_is_still_python(region, answer, kept):
    learners = f"def double(x):\n    ### BEGIN SOLUTION\n{region}    ### END SOLUTION\n"
    nb = teach.solution_version(with_first(learners, "def double(x):\n" + answer))
    lines = [line for line in nb.cells[3].source.split("\n") if "SOLUTION" not in line]
    assert lines == ["def double(x):", *answer.split("\n")]
    cleared = clear_solutions(nb).cells[3].source
    compile(cleared, "cleared", "exec")
    assert cleared.split("\n") == ["def double(x):", *("    " + line for line in NBGRADER_STUB), *kept]


def test_marks_inside_an_expression_are_refused():
    answer = "double = dict(\n    ### BEGIN SOLUTION\n    a=...\n    ### END SOLUTION\n)"
    with pytest.raises(ValueError, match="whole statements"):
        teach.exercises(with_first(answer, "double = dict(\n    a=1\n)"))


def test_spaces_at_the_end_of_a_line_do_not_matter():
    teach.exercises(with_first("\n" + DOUBLE.replace("(x):", "(x):  "), DOUBLED + "\n\n"))


def test_every_check_is_asserted():
    nb = teach.solution_version(with_first(check="# é\ncheck.double(\n    double\n)\ncheck.place(1); x = 1"))
    assert nb.cells[4].source == "# é\nassert check.double(\n    double\n)\nassert check.place(1); x = 1"
    assert nb.cells[8].source == "# where\nassert check.place(my_choice)"


def test_the_notebook_is_clean_and_its_settings_stay():
    nb = teach.solution_version(lesson())
    assert all(c.outputs == [] and c.execution_count is None for c in nb.cells if c.cell_type == "code")
    assert "widgets" not in nb.metadata
    assert nb.metadata.kernelspec.name == "python3" and "colab" in nb.metadata
    assert nb.cells[1].source == SETUP
    nbformat.validate(nb)


@pytest.mark.parametrize("version", ["solution", "grading", pytest.param("student", marks=needs_nbgrader)])
def test_the_source_is_not_changed(version):
    nb = lesson()
    before = copy.deepcopy(nb)
    getattr(teach, f"{version}_version")(nb)
    assert nb == before


def test_folds_stay_in_the_solution_version():
    nb = lesson()
    assert [c.source for c in teach.solution_version(nb).cells if c.cell_type == "markdown"] == [
        c.source for c in nb.cells if c.cell_type == "markdown"]


def test_only_the_student_version_needs_nbgrader(monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    teach.solution_version(lesson())
    teach.grading_version(lesson())
    with pytest.raises(ImportError, match=r'pip install -e "\.\[teach\]"'):
        teach.student_version(lesson())


# The grading and the student version


def test_nbgrader_grades_from_a_notebook_without_solution_folds():
    nb, solution = teach.grading_version(lesson()), teach.solution_version(lesson())
    assert [c.source for c in nb.cells if c.cell_type == "code"] == [
        c.source for c in solution.cells if c.cell_type == "code"]
    assert nb.cells[5].source.count("<details>") == 2 and "Two of a kind" not in nb.cells[5].source


@needs_nbgrader
def test_clearing_gives_back_the_learners_cell():
    cleared = clear_solutions(teach.solution_version(lesson()))
    assert cleared.cells[3].source.split("\n") == DOUBLE.split("\n")[:2] + ["    " + s for s in NBGRADER_STUB]
    assert cleared.cells[7].source.split("\n") == NBGRADER_STUB


@needs_nbgrader
def test_the_student_gets_hints_and_no_answers():
    nb = teach.student_version(lesson())
    text = "\n".join(cell.source for cell in nb.cells)
    for secret in ("2 * x", "post\"\n", "Two of a kind", "<summary>Solution", "BEGIN SOLUTION"):
        assert secret not in text.replace(SETUP, ""), secret
    assert text.count("First hint.") == text.count("Second hint.") == 2
    assert nb.cells[5].source.startswith("<details>") and nb.cells[5].source.endswith("</details>")
    assert [cell.cell_type for cell in nb.cells] == [cell.cell_type for cell in lesson().cells]
    nbformat.validate(nb)


@needs_nbgrader
@pytest.mark.parametrize("fold", [
    "Why?\n\n<details><summary>Solution</summary>secret</details>\n\nGo on.",
    "Why?\n\n<DETAILS open>\n<Summary id='a'> <b>✔ solution</b> 3</Summary>\nsecret\n</DETAILS>\n\nGo on.",
    "Why?\n\n<details><summary>Solution</summary>secret</details><details><summary>Solution 2</summary>secret"
    "</details>\n\nGo on.",
])
def test_a_solution_fold_anywhere_is_removed(fold):
    nb = lesson()
    nb.cells.append(new_markdown_cell(fold))
    last = teach.student_version(nb).cells[-1].source
    assert "secret" not in last and last.startswith("Why?") and last.endswith("Go on.")


@needs_nbgrader
def test_a_hint_that_speaks_of_a_solution_stays():
    nb = lesson()
    edit(5, "It prints nothing", "My solution prints nothing")(nb)
    assert "First hint." in teach.student_version(nb).cells[5].source


@needs_nbgrader
def test_hidden_tests_and_other_answers_go_by_nbgraders_rules():
    nb = lesson()
    edit(4, "check.double(double)", "check.double(double)\n### BEGIN HIDDEN TESTS\nassert double(9) == 18\n"
                                    "### END HIDDEN TESTS")(nb)
    task = essay("Draw it.\n\n=== BEGIN MARK SCHEME ===\nsecret\n=== END MARK SCHEME ===")
    task.metadata.nbgrader.update(grade_id="draw", grade=False, solution=False, locked=True, task=True)
    nb.cells += [task, essay("My answer: secret")]
    assert "double(9)" in teach.solution_version(nb).cells[4].source
    student = teach.student_version(nb)
    assert student.cells[4].source == "assert check.double(double)"
    assert student.cells[-2].source == "Draw it.\n" and student.cells[-1].source == "YOUR ANSWER HERE"


@needs_nbgrader
def test_checks_are_locked_and_sealed():
    nb = teach.student_version(lesson())
    for k in (4, 8):
        cell = nb.cells[k]
        assert cell.source.split("\n")[-1].startswith("assert check.")
        assert cell.metadata.editable is False and cell.metadata.deletable is False
        assert cell.metadata.nbgrader.checksum and cell.metadata.nbgrader.grade
    assert nb.cells[3].metadata.deletable is False and nb.cells[3].metadata.get("editable", True)


# Run


def run(nb, folder):
    """Execute a copy; the first cell that raises and the error's name, or None."""
    client = NotebookClient(copy.deepcopy(nb), timeout=60, kernel_name="python3",
                            resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as error:
        failed = [k for k, c in enumerate(client.nb.cells)
                  if any(o.output_type == "error" for o in c.get("outputs", []))]
        assert len(failed) == 1
        return failed[0], error.ename
    return None


def test_the_solution_version_runs_through(tmp_path):
    assert run(lesson(), tmp_path) is None  # the lesson too, with nothing attempted
    assert run(teach.solution_version(lesson()), tmp_path) is None


def test_a_wrong_answer_fails_at_its_check(tmp_path):
    nb = teach.solution_version(lesson())
    nb.cells[3].source = nb.cells[3].source.replace("2 * x", "x")
    assert run(nb, tmp_path) == (4, "AssertionError")


@needs_nbgrader
def test_the_student_version_stops_at_the_first_exercise(tmp_path):
    assert run(teach.student_version(lesson()), tmp_path) == (4, "AssertionError")  # a function
    nb = lesson()
    del nb.cells[2:6]
    assert run(teach.student_version(nb), tmp_path) == (3, "NotImplementedError")  # a plain line


# The command


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "notebooks" / "01_lesson.ipynb"
    path.parent.mkdir()
    nbformat.write(lesson(), path)
    return path


def refused(capsys, *arguments):
    """The exit code and the message of a command that does not do its work."""
    with pytest.raises(SystemExit) as stop:
        teach.main([str(argument) for argument in arguments])
    if isinstance(stop.value.code, str):  # Python prints it and exits with 1
        return 1, stop.value.code
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize("version", ["solution", "grading", pytest.param("student", marks=needs_nbgrader)])
def test_the_command_writes_what_the_function_makes(version, source, tmp_path, capsys):
    out = tmp_path / "build" / version
    teach.main([version, str(source), "--out", str(out)])
    target = out / source.name
    assert nbformat.read(target, 4) == getattr(teach, f"{version}_version")(nbformat.read(source, 4))
    assert str(target) in capsys.readouterr().out
    assert os.listdir(out) == [source.name]
    assert target.stat().st_mode == source.stat().st_mode  # others may read it
    assert target.read_bytes().endswith(b"}\n")


def test_it_runs_as_a_module(source, tmp_path):
    command = [sys.executable, "-m", "course_utils.teach", "solution", source, "--out", tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / source.name).exists()


def test_nothing_is_overwritten_without_force(source, tmp_path, capsys):
    target = tmp_path / "out" / source.name
    target.parent.mkdir()
    target.write_text("a teacher's own")
    code, message = refused(capsys, "solution", source, "--out", target.parent)
    assert code == 2 and f"{target} exists" in message and "--force" in message
    assert target.read_text() == "a teacher's own"
    teach.main(["solution", str(source), "--out", str(target.parent), "--force"])
    assert len(nbformat.read(target, 4).cells) == len(lesson().cells)


@pytest.mark.parametrize("way", ["same folder", "through a link"])
def test_the_source_is_never_overwritten(way, source, tmp_path, capsys):
    before, out = source.read_bytes(), source.parent
    if way == "through a link":
        out = tmp_path / "link"
        out.symlink_to(source.parent, target_is_directory=True)
    assert refused(capsys, "solution", source, "--out", out, "--force")[0] == 2
    assert source.read_bytes() == before


def test_wrong_usage_exits_with_2(source, tmp_path, capsys):
    out = ["--out", tmp_path / "out"]
    twin = tmp_path / source.name
    twin.write_bytes(source.read_bytes())
    (tmp_path / "notes.txt").write_text("no notebook")
    (tmp_path / "folder.ipynb").mkdir()
    for arguments, words in (
        (["teacher", source, *out], "solution"),
        (["solution", *out], "NOTEBOOK"),
        (["solution", source], "--out"),
        (["solution", tmp_path / "none.ipynb", *out], "none.ipynb is no notebook"),
        (["solution", tmp_path / "notes.txt", *out], "notes.txt is no notebook"),
        (["solution", tmp_path / "folder.ipynb", *out], "folder.ipynb is no notebook"),
        (["solution", source, twin, *out], "two notebooks would become"),
    ):
        code, message = refused(capsys, *arguments)
        assert code == 2 and words in message, (arguments, message)
    assert not (tmp_path / "out").exists()


ODD_CELL = ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": '
            '[{"cell_type": "markdown", "id": "a", "metadata": {}, "source": 3}]}')


@pytest.mark.parametrize("text", [None, "{}", "[1]", '{"cells": 3', "\xff", ODD_CELL],
                         ids=["exercise", "no notebook", "a list", "no JSON", "no text", "odd cell"])
def test_one_bad_notebook_and_none_is_written(text, source, tmp_path, capsys):
    bad = tmp_path / "02_bad.ipynb"
    if text is None:
        nb = lesson()
        nb.cells.pop(4)
        nbformat.write(nb, bad)
    else:
        bad.write_bytes(text.encode("latin-1"))
    code, message = refused(capsys, "solution", source, bad, "--out", tmp_path / "out")
    assert code == 1 and message.startswith(f"{bad}: ") and "Traceback" not in message
    assert {None: "cells[3]", ODD_CELL: "3 is not valid"}.get(text, "") in message
    assert not (tmp_path / "out").exists()


def test_a_version_is_written_whole_or_not_at_all(source, tmp_path, capsys, monkeypatch):
    target = tmp_path / "out" / source.name
    target.parent.mkdir()
    target.write_text("an older version")
    seen = []

    def no_space(nb, path, **_):
        seen.append(Path(path))
        Path(path).write_text("half a")
        raise OSError("no space left on the device")

    monkeypatch.setattr(nbformat, "write", no_space)
    code, message = refused(capsys, "solution", source, "--out", target.parent, "--force")
    assert code == 1 and "no space left" in message and len(seen) == 1
    assert target.read_text() == "an older version" and os.listdir(target.parent) == [source.name]


def test_without_nbgrader_the_command_says_what_to_install(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    code, message = refused(capsys, "student", source, "--out", tmp_path / "out")
    assert code == 1 and 'pip install -e ".[teach]"' in message and not (tmp_path / "out").exists()


# Every lesson

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@every_lesson
def test_the_exercises_of_a_lesson_are_well_formed(path):
    nb = nbformat.read(path, 4)
    for e in teach.exercises(nb):
        fold = nb.cells[e.cells[3]].source
        folds = [piece for piece in teach.split_folds(fold) if piece.lower().startswith("<details")]
        solutions = [bool(teach.SOLUTION_FOLD.match(piece)) for piece in folds]
        assert solutions == [False, False, True], f"{e.grade_id}: wanted two hints, then the solution"
        assert "</summary>\n\n" in folds[-1], f"{e.grade_id}: without a blank line Markdown shows raw text"
        words = folds[-1].rsplit("```", 1)[1].replace("</details>", "").split()
        assert len(words) > 3, f"{e.grade_id}: some words after the code of the solution"


BOX = re.compile(r"### Exercise ([1-9]) · \S[^\n]*\n\n"
                 r"Difficulty [1-5] of 5, (?!0|1 )\d\d? minutes, (core|good to know|extra; no single answer)\. \S")


def wrong_boxes(nb):
    """What is not said as everywhere: how hard an exercise is, how long it takes and how important it is."""
    found, importance = teach.exercises(nb), []
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    headings = re.findall(r"(?mi)^#+ .*\bexercise\b.*", "\n".join(texts))
    if len(headings) != len(found):
        yield f"{len(found)} exercises under {headings}"
    for k, e in enumerate(found, start=1):
        box = re.split(r"(?m)^(?=### Exercise )", nb.cells[e.cells[0]].source)[-1]
        line = BOX.match(box)
        if not line or re.findall(r"(?i)\bdifficulty\b|[●○★]", box) != ["Difficulty"]:
            yield f"{e.grade_id}: {box[:120]!r}"
            continue
        importance.append(line[2])
        if (line[1], e.grade_id) != (str(k), f"ex{k}"):
            yield f"exercise {k} is called {line[1]} and {e.grade_id}"
        # A check can only look at whether it is a comparison.
        if (line[2] == "extra; no single answer") != ("check.comparison" in e.asserted):
            yield f"{e.grade_id}: what has no single answer is extra, and nothing else"
    if found and "core" not in importance:
        yield "none is core"


@every_lesson
def test_a_box_says_how_hard_how_long_and_how_important(path):
    assert not list(wrong_boxes(nbformat.read(path, 4)))


LINE = "Difficulty 1 of 5, 5 minutes, core. Double"


def boxed(*changes):
    """Three exercises with proper boxes; then in their texts, one after the other, this becomes that."""
    nb = lesson()
    nb.cells += exercise(3, PLACE.replace("my_choice", "arms"), "check.comparison(arms)", "arms = {}")
    for k, about in (2, "core"), (6, "good to know"), (11, "extra; no single answer"):
        nb.cells[k].source = nb.cells[k].source.replace("●○○ · 5 minutes", f"Difficulty 1 of 5, 5 minutes, {about}. Double it.")
    for old, new in changes:
        assert any(old in cell.source for cell in nb.cells), old
        for cell in nb.cells:
            cell.source = cell.source.replace(old, new, 1)
    return nb


@pytest.mark.parametrize("old, new", [
    ("of 5, 5 minutes, core", "of 5, 0 minutes, core"), ("of 5, 5 minutes, core", "of 5, 05 minutes, core"),
    ("of 5, 5 minutes, core", "of 5, 1 minutes, core"), ("of 5, 5 minutes, core", "of 5, 5 min, core"),
    ("of 5, 5 minutes, core", "of 5, five minutes, core"), ("of 5, 5 minutes, core", "of 5, core, 5 minutes"),
    ("Difficulty 1", "Difficulty 0"), ("Difficulty 1", "Difficulty 6"), ("Difficulty 1 of 5", "Difficulty 1/5"),
    ("Difficulty", "difficulty"), ("Difficulty", "**Difficulty**"), ("minutes, core.", "minutes, Core."),
    ("minutes, core.", "minutes, core:"), ("minutes, core.", "minutes, core, easy."), ("minutes, core.", "minutes, important."),
    ("core. Double it.", "core."), (LINE, f"Think. {LINE}"), (LINE, f"Think.\n\n{LINE}"), (LINE, f"{LINE}.\n\n{LINE}"),
    (LINE, f"{LINE}.\n\nDifficulty: low."), (LINE, f"{LINE} ●○○"), (LINE, "Double"),
    ("### Exercise 1", "#### Exercise 1"), ("Exercise 1 ·", "Exercise 1:"), ("Exercise 1 · Fill in one line", "Exercise 1"),
    ("### Exercise 3", "### Exercise 2"), ("### Exercise 3", "### Exercise 4"), ("extra; no single answer", "extra"),
    ("extra; no single answer", "core"), ("good to know", "extra; no single answer"), ("minutes, core", "minutes, good to know"),
    ("# A lesson", "# A lesson\n\n### Exercise 4 · On paper\n\nDifficulty 1 of 5, 5 minutes, core. Double it."),
])
def test_a_box_that_says_it_otherwise_is_objected_to(old, new):
    assert not list(wrong_boxes(boxed()))
    assert list(wrong_boxes(boxed((old, new)))), "this slips through"


def test_the_mark_of_an_exercise_has_its_number():
    nb = boxed()
    for k, kind in (7, ""), (8, "_check"):
        nb.cells[k].metadata.nbgrader.grade_id = f"ex5{kind}"
    assert list(wrong_boxes(nb)) == ["exercise 2 is called 2 and ex5"]


@needs_nbgrader
@every_lesson
def test_nbgrader_takes_the_answers_out_of_a_lesson(path):
    nb = nbformat.read(path, 4)
    cleared, student = clear_solutions(teach.solution_version(nb)), teach.student_version(nb)
    nbformat.validate(student)
    for e in teach.exercises(nb):
        k = e.cells[1]
        given = [line.rstrip() for line in nb.cells[k].source.split("\n")]
        left = [line.rstrip() for line in cleared.cells[k].source.split("\n")]
        assert student.cells[k].source == cleared.cells[k].source
        assert NBGRADER_STUB[1] in [line.strip() for line in left]
        assert all(line in given or line.strip() in NBGRADER_STUB for line in left), e.grade_id
    assert not any(teach.SOLUTION_FOLD.search(c.source) or "SOLUTION" in c.source for c in student.cells
                   if c.cell_type == "markdown")


@contextlib.contextmanager
def rehearsal(nb):
    """A client whose kernel runs where a version that a teacher made may lie; whatever a lesson writes there goes with it."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        client = NotebookClient(nb, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}})
        # Training takes a few steps only.
        with client.setup_kernel(env={**os.environ, "COURSE_PROFILE": "quick", "COURSE_REHEARSE": "1"}):
            yield client


@pytest.fixture(scope="module")
def one_for_all():
    """One kernel for the exercises of all lessons: most of what they cost is its start and the imports."""
    keep = new_code_cell("kept = set(globals()) | {'kept'}")
    with rehearsal(new_notebook(cells=[keep])) as client:
        client.execute_cell(keep, 0)
        yield client


# What a lesson made must not help the next one over a forgotten import.
FORGET = "for made in [name for name in globals() if name not in kept and name[0] != '_']: del globals()[made]"


def error_in(client, cell, k):
    """Run one cell in the client's kernel; the name of what it raised, or None."""
    try:
        client.execute_cell(copy.deepcopy(cell), k)
    except CellExecutionError as error:
        print(error)  # pytest shows it with a failure
        return error.ename
    return None


def names(source):
    """The names that a cell sets, and those that it uses of its notebook, inside functions too."""
    top = symtable.symtable(source, "cell", "exec")
    sets, uses, scopes = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}, set(), [top]
    while scopes:
        scope = scopes.pop()
        uses |= {s.get_name() for s in scope.get_symbols() if s.is_referenced() and (scope is top or s.is_global())}
        scopes += scope.get_children()
    return sets, uses


def what_exercises_need(nb, code, start):
    """The code cells from the first exercise on, and of those before it the first one and the last that sets what these use.

    The others are the same in all versions, and nbval runs them.
    """
    chosen = [k for k in code if k >= start]
    wanted = set().union(*(names(nb.cells[k].source)[1] for k in chosen))
    for k in reversed([k for k in code if k < start]):
        sets, uses = names(nb.cells[k].source)
        if k == code[0] or sets & wanted:
            wanted = wanted - sets | uses
            chosen.insert(0, k)
    return chosen


def test_an_exercise_needs_the_cells_that_set_what_it_uses():
    cells = ["course = 1", "import os as system", "f = x = 1", "def f(x):\n    return system, x", "other = 3", "f(2)",
             "f(late)", "late = 2"]
    nb = new_notebook(cells=[new_code_cell(source) for source in cells])
    assert what_exercises_need(nb, range(8), 5) == [0, 1, 3, 5, 6, 7]


# In the fast tier: the exercises of the lesson that asks for least time. In the full one those of all lessons, this one whole:
# what stands before the exercises is the same in all versions, and nbval runs it. tests/grade_lessons.py runs all of them whole.
QUICKLY = ("02",)


@needs_nbgrader
@pytest.mark.parametrize("path, whole", [
    pytest.param(path, whole, id=f"{'whole' if whole else 'exercises'}-{path.stem}",
                 marks=pytest.mark.full if whole or path.stem[:2] not in QUICKLY else ())
    for path in LESSONS for whole in (False, True) if not whole or path.stem[:2] in QUICKLY])
def test_a_lesson_stops_unanswered_and_runs_through_answered(path, whole, one_for_all):
    """All versions in one kernel, so that what they share, which is nearly everything, is run once."""
    nb = nbformat.read(path, 4)
    student, solution, found = teach.student_version(nb), teach.solution_version(nb), teach.exercises(nb)
    code = [k for k, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    start = found[0].cells[1] if found else len(nb.cells)
    assert all(student.cells[k].source == solution.cells[k].source == nb.cells[k].source
               for k in code if k < start)
    if not whole:
        code = what_exercises_need(solution, code, start)
    with rehearsal(copy.deepcopy(solution)) if whole else contextlib.nullcontext(one_for_all) as client:
        client.nb = copy.deepcopy(solution)
        if not whole:
            client.execute_cell(new_code_cell(FORGET), 0)
        for k in code:
            where = f"cells[{k}] of {path.name}"
            if k == start:  # a student stops here or at the check, and nowhere before
                stop = error_in(client, student.cells[k], k) or error_in(client, student.cells[k + 1], k + 1)
                assert stop in ("NotImplementedError", "AssertionError"), f"{where}: {stop}"
            if k in [e.cells[1] for e in found]:  # as committed: not attempted, which no check may accept
                assert error_in(client, nb.cells[k], k) is None, f"{where}: the placeholder raises"
                assert error_in(client, nb.cells[k + 1], k + 1) is None, f"{where}: its check raises"
                stop = error_in(client, solution.cells[k + 1], k + 1)
                assert stop == "AssertionError", f"{where}: its check accepts the placeholder"
            assert error_in(client, solution.cells[k], k) is None, f"{where}: the solution version fails"
