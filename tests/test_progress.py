"""What is solved, read from saved outputs: of real lessons and real checks first, then of what a folder may hold besides."""

import contextlib
import copy
import io
import json
import re
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from course_utils import check, paths, progress, teach

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = ROOT / "notebooks" / "00_start_here.ipynb"
RIGHT = "def apply_gate(x, gate):\n    return x * gate[:, :, None, None]"
WRONG = "def apply_gate(x, gate):\n    return x * gate.sigmoid()[:, :, None, None]"


def first_lesson():
    """Lesson 00, as committed, and its exercises: guess_among(best), apply_gate(apply_gate), comparison(arms)."""
    if not FIRST.exists():
        pytest.skip("this copy of the course has no lesson 00")
    nb = nbformat.read(FIRST, 4)
    return nb, teach.exercises(nb)


def answer(nb, e, source, counts=(50, 51), ask=True):
    """Write an answer into the notebook, let the real check judge it, and store what Jupyter would."""
    written, asked = nb.cells[e.cells[1]], nb.cells[e.cells[2]]
    written.source, written.execution_count, asked.execution_count = source, *counts
    if ask:
        names, heard = {"torch": torch, "check": check}, io.StringIO()
        exec(source, names)
        with contextlib.redirect_stdout(heard):
            result = eval(asked.source.removeprefix("assert "), names)
        stop = nbformat.v4.new_output("error", ename="AssertionError", evalue="", traceback=[])
        shown = nbformat.v4.new_output("execute_result", {"text/plain": str(result)}, execution_count=counts[1])
        asserted = [] if result else [stop]
        asked.outputs = [nbformat.v4.new_output("stream", text=heard.getvalue()),
                         *(asserted if asked.source.startswith("assert ") else [shown])]


def read(nb, folder, name="00_start_here.ipynb"):
    nbformat.write(copy.deepcopy(nb), folder / name)
    return progress.read(folder / name)


def states(lesson):
    return [e.state for e in lesson.exercises]


# Real lessons, real checks


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_exercise_of_a_lesson_is_found_with_its_box(path):
    nb, lesson = nbformat.read(path, 4), progress.read(path)
    assert [e.id for e in lesson.exercises] == [e.grade_id for e in teach.exercises(nb)]
    assert lesson.number == path.name[:2] and lesson.title.startswith(f"{lesson.number} · ") and ".ipynb" not in lesson.title
    assert [e.number for e in lesson.exercises] == [str(k) for k in range(1, len(lesson.exercises) + 1)]
    assert all(e.title and e.difficulty and e.minutes and e.importance for e in lesson.exercises)
    assert {e.state for e in lesson.exercises} <= {"not tried"}, "committed as nobody has answered it"


def test_right_wrong_and_empty_are_told_apart_in_the_words_of_the_checks(tmp_path):
    nb, (one, two, _) = first_lesson()
    answer(nb, one, one.solution)
    answer(nb, two, WRONG)
    lesson = read(nb, tmp_path)
    said = "".join(nb.cells[two.cells[2]].outputs[0].text).strip().splitlines()
    assert said[0] == "Apply a gate: not yet" and said[-1].startswith("         Likely cause: ")
    assert states(lesson) == ["solved", "wrong", "not tried"] and lesson.exercises[1].note == said[-1].strip()
    answer(nb, two, RIGHT)
    assert states(read(nb, tmp_path))[1] == "solved"


def test_an_answer_that_ran_after_its_check_is_not_judged(tmp_path):
    nb, (_, two, _) = first_lesson()
    for source in RIGHT, WRONG:
        for counts, judged in ((4, 5), True), ((5, 4), False), ((4, 4), False), ((None, 4), True), ((4, None), True):
            answer(nb, two, source, counts)
            e = read(nb, tmp_path).exercises[1]
            assert (e.state != "not checked") is judged, counts
            assert judged or e.note == f"its check, In [{counts[1]}], has not seen the last run of the answer, In [{counts[0]}]"


def test_an_answer_nobody_has_checked_is_not_called_untried(tmp_path):
    nb, (_, two, _) = first_lesson()
    asked = nb.cells[two.cells[2]]
    answer(nb, two, RIGHT, ask=False)
    assert read(nb, tmp_path).exercises[1].note == "its check saw no answer yet"
    asked.outputs = []
    assert read(nb, tmp_path).exercises[1].note == "its check has not run"
    asked.outputs = [nbformat.v4.new_output("error", ename="NameError", evalue="name 'apply_gate' is not defined", traceback=[])]
    assert read(nb, tmp_path).exercises[1].note == "its check stopped with NameError: name 'apply_gate' is not defined"
    del nb.cells[two.cells[2]]
    lesson = read(nb, tmp_path)
    assert lesson.exercises[1].note == "its check cell is gone" and states(lesson) == ["not tried", "not checked", "not tried"]


def test_a_check_that_was_stopped_has_no_verdict(tmp_path):
    """Ctrl-C, after the answer printed what looks like one."""
    nb, (_, two, _) = first_lesson()
    answer(nb, two, RIGHT)
    nb.cells[two.cells[2]].outputs[1] = nbformat.v4.new_output("error", ename="KeyboardInterrupt", evalue="", traceback=[])
    assert states(read(nb, tmp_path))[1] == "not checked"


def test_what_an_answer_prints_is_no_verdict(tmp_path):
    nb, (_, two, _) = first_lesson()
    loud = WRONG.replace("    return", "    print('mine: all right')\n    return")
    answer(nb, two, loud)
    assert states(read(nb, tmp_path))[1] == "wrong"
    answer(nb, two, RIGHT.replace("    return", "    print('old: not yet')\n    return"))
    assert states(read(nb, tmp_path))[1] == "solved"
    nb.cells[two.cells[2]].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="a warning: not yet\n"))
    assert states(read(nb, tmp_path))[1] == "solved"


def test_a_placeholder_that_is_left_is_said(tmp_path):
    """Somebody put the lesson's own answer cell back, and kept the outputs."""
    nb, (_, two, _) = first_lesson()
    before = nb.cells[two.cells[1]].source
    answer(nb, two, RIGHT)
    assert read(nb, tmp_path).exercises[1].note == ""
    nb.cells[two.cells[1]].source = before
    assert (e := read(nb, tmp_path).exercises[1]).state == "solved" and "placeholder" in e.note


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_placeholders_are_known_and_answers_are_not_taken_for_one(path):
    """In the lesson; in what a teacher makes of it, the answers stand where they were."""
    nb = nbformat.read(path, 4)
    for e in teach.exercises(nb):
        assert progress.PLACEHOLDER.search(nb.cells[e.cells[1]].source), e.grade_id
        assert not progress.PLACEHOLDER.search(e.marked), e.grade_id


def test_a_solution_version_is_not_checked_and_not_solved(tmp_path):
    nb, _ = first_lesson()
    assert states(read(teach.solution_version(nb), tmp_path)) == ["not checked"] * 3


@pytest.mark.skipif(find_spec("nbgrader") is None, reason='pip install -e ".[teach]"')
def test_a_student_version_is_read_too(tmp_path):
    """Its Solution folds are gone, its checks are asserted, and its placeholders are nbgrader's."""
    nb, (_, two, _) = first_lesson()
    nb = teach.student_version(nb)
    assert states(read(nb, tmp_path)) == ["not tried"] * 3
    answer(nb, two, WRONG)
    assert states(read(nb, tmp_path)) == ["not tried", "wrong", "not tried"]
    answer(nb, two, RIGHT)
    assert states(read(nb, tmp_path)) == ["not tried", "solved", "not tried"]


def test_a_copy_is_known_by_its_title(tmp_path):
    """As Colab names it; cells may be added, an answer cell split, and a heading of one's own put above."""
    nb, (_, two, _) = first_lesson()
    answer(nb, two, RIGHT, counts=(6, 7))
    rest = copy.deepcopy(nb.cells[two.cells[1]])
    rest.source, rest.execution_count, rest.id = "apply_gate", 8, "rest"
    nb.cells[two.cells[2]:two.cells[2]] = [nbformat.v4.new_code_cell("1 + 1"), nbformat.v4.new_markdown_cell("# mine"), rest]
    nb.cells.insert(0, nbformat.v4.new_markdown_cell("# My notes"))
    lesson = read(nb, tmp_path, "Copy of lesson.ipynb")
    assert (lesson.number, lesson.title) == ("00", "00 · Start here (Copy of lesson.ipynb)")
    assert [e.title for e in lesson.exercises] == ["Recall", "Find the fault", "Investigate"]
    assert states(lesson)[1] == "not checked", "the second half of the answer ran after the check"
    again = copy.deepcopy(next(cell for cell in nb.cells if cell.source == "check.apply_gate(apply_gate)"))
    again.execution_count, again.id = 9, "again"
    nb.cells.append(again)
    assert states(read(nb, tmp_path))[1] == "solved", "the check was copied to the end, and ran there"


@pytest.mark.full
@pytest.mark.parametrize("version", ["lesson", pytest.param("student", marks=pytest.mark.skipif(
    find_spec("nbgrader") is None, reason="student versions need nbgrader"))])
def test_what_jupyter_stores_is_read(version, tmp_path):
    """The exercises of lesson 00, run in a kernel: one right, one wrong, one left."""
    nb, (one, two, three) = first_lesson()
    nb = nb if version == "lesson" else teach.student_version(nb)
    nb.cells[one.cells[1]].source = "best = 0.5"
    nb.cells[two.cells[1]].source = RIGHT
    code = [k for k, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    kept = {0, *code[:2], *(k for e in (one, two, three) for k in e.cells)}
    nb.cells = [cell for k, cell in enumerate(nb.cells) if k in kept]
    NotebookClient(nb, timeout=120, kernel_name="python3", allow_errors=True,
                   resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    assert states(read(nb, tmp_path)) == ["wrong", "solved", "not tried"]


# Folders


def book(number="03", title="Made up", states=("not tried",), importance=("core",) * 9):
    """A lesson as JSON, its check cells with the output of that state."""
    said = {"solved": "It: all right\n  right  f(1): 1\n", "wrong": "It: not yet\n  WRONG  f(1): got 2, expected 1\n",
            "not tried": "It: not attempted yet. Write your answer above, run it, run this again.\n"}
    cells = [{"cell_type": "markdown", "metadata": {}, "source": [f"# {number} · {title}\n", "\n", "Text."]},
             {"cell_type": "code", "metadata": {}, "source": "from course_utils import check", "outputs": []}]
    for k, (state, weight) in enumerate(zip(states, importance, strict=False), start=1):
        box = f"### Exercise {k} · Number {k}\n\nDifficulty {k} of 5, {10 * k} minutes, {weight}. Do it."
        source = "x = ..." if state == "not tried" else "x = 1"
        for kind, words, mark in (("markdown", box, {}), ("code", source, {"grade_id": f"ex{k}", "solution": True}),
                                  ("code", "check.it(x)", {"grade_id": f"ex{k}_check", "grade": True})):
            out = [{"output_type": "stream", "name": "stdout", "text": [said[state]]}] if "grade" in mark else []
            cells.append({"cell_type": kind, "metadata": {"nbgrader": mark} if mark else {}, "source": words,
                          **({"outputs": out, "execution_count": None} if mark else {})})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_a_teachers_own_tasks_are_no_exercises(tmp_path):
    """nbgrader's cells that are graded by hand, given, or tests of nothing that is asked here."""
    nb, _ = first_lesson()
    for k, (grade, solution) in enumerate([(True, True), (False, False), (True, False)]):
        cell = nbformat.v4.new_code_cell("1 + 1")
        cell.metadata["nbgrader"] = {"grade_id": f"own{k}", "grade": grade, "solution": solution, "locked": not solution}
        nb.cells.append(cell)
    assert len(read(nb, tmp_path).exercises) == 3


def put(folder, **books):
    for name, content in books.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")


def output(capsys, *arguments):
    status = progress.main([str(argument) for argument in arguments])
    return status, capsys.readouterr().out


def test_the_table_the_sum_the_next_and_what_was_left_wrong(tmp_path, capsys):
    put(tmp_path, b_01=book("01", states=("solved", "wrong", "not tried")), **{"00_a": book("00", "First", ("solved", "solved"))})
    status, said = output(capsys, tmp_path)
    assert status == 0 and said == f"""\
lesson                     solved  wrong  not checked  not tried
-------------------------  ------  -----  -----------  ---------
00 · First                 2 of 2
01 · Made up (b_01.ipynb)  1 of 3  2                   3

Solved: 3 of 5, of the core 3 of 5, as the files were last saved.
Next: 01 · Made up (b_01.ipynb), exercise 2 · Number 2 (core, difficulty 2 of 5, 20 minutes), in {tmp_path / 'b_01.ipynb'}
Wrong: 01 · Made up (b_01.ipynb), exercise 2 · Number 2: WRONG  f(1): got 2, expected 1
"""


def following(folder):
    pair = progress.gather([folder])["next"]
    return pair and (pair[0].number, pair[1].id)


def test_next_is_the_first_core_exercise_in_the_order_of_lessons(tmp_path):
    """By number and not by file name; what is core before what is good to know, and that before extras."""
    extra = ("extra; no single answer", "good to know", "core")
    put(tmp_path, z=book("02", states=("not tried",) * 3, importance=extra), a=book("10", states=("not tried",)))
    assert following(tmp_path) == ("02", "ex3")
    put(tmp_path, z=book("02", states=("not tried", "not tried", "solved"), importance=extra))
    assert following(tmp_path) == ("10", "ex1")
    put(tmp_path, a=book("10", states=("solved",)))
    assert following(tmp_path) == ("02", "ex2")
    put(tmp_path, z=book("02", states=("not tried", "solved", "solved"), importance=extra))
    assert following(tmp_path) == ("02", "ex1")
    put(tmp_path, z=book("02", states=("solved",) * 3, importance=extra))
    assert following(tmp_path) is None


def test_what_is_solved_in_one_copy_is_not_asked_for_again(tmp_path):
    put(tmp_path, one=book(states=("not tried", "not tried")), two=book(states=("solved", "not tried")))
    assert following(tmp_path) == ("03", "ex2")


def test_one_broken_notebook_and_the_others_go_on(tmp_path, capsys):
    odd = book(states=("solved",))
    odd["cells"] += [3, {"cell_type": "code", "source": 4, "outputs": [5, {"text": {"a": 1}, "name": "stdout"}]},
                     {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": 7, "solution": True, "grade": []}}},
                     {"cell_type": "code", "metadata": {"nbgrader": "no"}, "execution_count": "9"}]
    put(tmp_path, odd=odd, half='{"cells": [', listed="[1]", old='{"worksheets": []}', deep="[" * 100_000, empty="",
        other=book() | {"cells": [{"cell_type": "markdown", "source": "# Another course"}]},
        same=json.dumps(book("07")).replace("course_utils", "their_utils"), new=book() | {"cells": []})
    (tmp_path / "bytes.ipynb").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.ipynb").mkdir()
    status, said = output(capsys, tmp_path)
    assert status == 1 and "03 · Made up (odd.ipynb)  1 of" in said
    for name in "half", "listed", "old", "deep", "empty", "bytes", "folder":
        assert re.search(rf"(?m)^.*{name}\.ipynb (cannot be read|has no cells)", said), name
    for name in "other", "same", "new":
        assert f"{name}.ipynb is no lesson of this course" in said


def test_other_courses_are_named_and_no_failure(tmp_path, capsys):
    put(tmp_path, other={"cells": []}, mine=book())
    status, said = output(capsys, tmp_path)
    assert status == 0 and "other.ipynb is no lesson of this course" in said


@pytest.mark.parametrize("inside", [[], ["notes.txt"], [".ipynb_checkpoints"]])
def test_an_empty_folder_is_said_to_be_one(inside, tmp_path, capsys):
    for name in inside:
        (tmp_path / name).mkdir()
        put(tmp_path / name, kept=book())
    status, said = output(capsys, tmp_path)
    assert (status, said) == (1, f"No exercises found.\n{tmp_path} has no notebooks in it; its own folders are not searched.\n")


def test_a_file_that_is_not_there_and_one_named_twice(tmp_path, capsys):
    put(tmp_path, one=book(states=("solved",)))
    (tmp_path / "inside").mkdir()
    status, said = output(capsys, tmp_path / "inside" / ".." / "one.ipynb", tmp_path, tmp_path / "none.ipynb")
    assert status == 1 and "Solved: 1 of 1," in said
    assert f"{tmp_path / 'none.ipynb'} cannot be read (No such file or directory)" in said


def test_by_default_it_reads_the_lessons_of_the_course(capsys, monkeypatch, tmp_path):
    put(tmp_path, mine=book("05"))
    monkeypatch.chdir(tmp_path)
    assert len(progress.gather()["lessons"]) == len(LESSONS)
    for folder, name in (ROOT, f"notebooks/{LESSONS[0].name}"), (ROOT / "notebooks", LESSONS[0].name):
        monkeypatch.chdir(folder)
        assert Path(progress.gather()["lessons"][0].file) == Path(name), "what is stored below a cell names no machine's folders"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "own_folder", Path.cwd)      # from a wheel
    assert [lesson.number for lesson in progress.gather()["lessons"]] == ["05"]


def test_json_for_a_program(tmp_path, capsys):
    put(tmp_path, one=book(states=("solved", "not tried")), other={"cells": []})
    status, said = output(capsys, tmp_path, "--json")
    found = json.loads(said)
    assert [e["state"] for e in found["lessons"][0]["exercises"]] == ["solved", "not tried"]
    assert found["next"]["id"] == "ex2" and found["next"]["minutes"] == 20 and Path(found["next"]["file"]).name == "one.ipynb"
    assert list(found["others"]) == [str(tmp_path / "other.ipynb")] and found["broken"] == {}


def test_below_a_cell_it_is_a_table(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(progress.tables, "display", lambda data, raw: seen.append(data))
    put(tmp_path, one=book(states=("solved", "wrong")))
    progress.show(tmp_path)
    assert "<td style='text-align:left'>1 of 2</td>" in seen[0]["text/html"]
    assert "Next: 03 · Made up" in capsys.readouterr().out


def test_a_check_cell_with_two_checks_wants_both(tmp_path):
    def state(said):
        nb = book(states=("solved",))
        nb["cells"][-1] |= {"source": "check.one(x)\nassert check.two(x)", "outputs": [
            {"output_type": "stream", "name": "stdout", "text": piece} for piece in said]}
        put(tmp_path, two=nb)
        return progress.read(tmp_path / "two.ipynb").exercises[0]
    assert state(["One: all right\n", "Two: all right\n"]).state == "solved"
    assert state(["One: all right\n"]).state == "not checked"
    first = state(["One: not yet\n  WRONG  a\n", "Two: all right\n  right  b\n"])
    assert (first.state, first.note) == ("wrong", "WRONG  a")
