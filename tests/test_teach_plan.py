"""What there is and plans that add up: read from the lessons, so that a lesson that goes, or takes longer, changes the plan."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from course_utils import teach
from course_utils.teach import lessons, plan, timetable

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NAMED = plan.named()
THERE = teach.gather(ROOT / "notebooks")


def lesson(number, minutes, *parts, helps=(), any_one=False):
    """A lesson whose parts are (name, minutes, kind), such as ("A", 20, "section"); with a fourth entry it may be cut."""
    made = tuple(teach.Part(name, m, kind, cut=cut[0] if cut else "") for name, m, kind, *cut in parts)
    return teach.Lesson(number, f"Lesson {number}", f"{number}_x.ipynb", minutes, made, helps, any_one)


def three():
    return {n: lesson(n, 60, ("A", 20, "section"), ("B", 10, "section", "Nothing."), ("Exercise 1", 10, "core"),
                      ("Exercise 2", 20, "good to know"), ("Exercise 3", 30, "extra"), helps=("01",) if n == "03" else ())
            for n in ("01", "02", "03")}


def wanted(*sessions, entries=("01", "02", "03"), **more):
    return plan.Wanted("some", "", sessions, tuple(plan.Entry(n) for n in entries), **more)


def inside(made):
    """Number of a lesson -> the names of its parts, in the order of the plan."""
    found = {}
    for session in made.sessions:
        for row in session.rows:
            if row.lesson:
                found.setdefault(row.lesson.number, []).extend(part.name for part in row.parts)
    return found


# ---- what a lesson says of itself

@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_minutes_of_a_lesson_hold_all_that_is_in_it(path):
    """Reading at the pace that is stated, the exercises of its boxes but the extra ones, and a minute of computing or two."""
    found = THERE[path.name[:2]]
    said = re.search(r"About (\d+) minutes", "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]))
    work = sum(part.minutes for part in found.of("core", "good to know"))
    reading = sum(part.reading for part in found.of("section"))
    assert found.minutes == int(said[1]) == work + sum(part.minutes for part in found.of("section"))
    assert reading + work + 1 + 5 <= found.minutes, f"{reading:.0f} of reading, {work} of exercises: no time for guesses"
    assert all(part.minutes >= 1 for part in found.of("section")) and len(found.of("section")) > 5


def test_the_sections_of_a_lesson_are_its_headings_in_order(tmp_path):
    first = "# 01 · X\n\nAbout 30 minutes.\n\n## One\n\n```\n## no heading\n```\n\nfour words in all"
    cells = [{"cell_type": "markdown", "source": first},
             {"cell_type": "code", "source": "import course_utils\n\nx = 1", "outputs": []},
             {"cell_type": "markdown", "source": "more\n\n## Two\n\nlast\n\n## Exercises\n\nmany words\n\n## References\n\nHu"}]
    found = lessons.sections(cells)
    assert [(part.name, part.lines) for part in found] == [("opening", 0), ("One", 2), ("Two", 0)]
    assert found[1].words == 1 + 4 + 1      # "One", four words, "more"; neither the code block nor the exercises


def test_minutes_are_shared_whole_and_to_the_last():
    assert lessons.shared(10, [1, 1, 1]) == [4, 3, 3] and lessons.shared(7, [6, 1]) == [6, 1]
    assert sum(lessons.shared(57, [3.2, 0.1, 9.9, 4.4])) == 57
    assert lessons.shared(10, [100, 1, 100]) == [5, 1, 4] and lessons.shared(2, [1, 1, 1]) == [1, 1, 0]


def test_minutes_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="parts take 25 minutes, and the lesson says 30"):
        lesson("01", 30, ("A", 20, "section"), ("Exercise 1", 5, "core"), ("Exercise 2", 5, "extra"))
    part = teach.Part("A", 20, "section")
    for row in (timetable.Row(5, 20, three()["01"], (part,)), timetable.Row(0, 25, three()["01"], (part,))):
        with pytest.raises(ValueError, match="a row begins at"):
            timetable.Session(60, (row,))
    with pytest.raises(ValueError, match="a session of 10 minutes has rows of 20"):
        timetable.Session(10, (timetable.Row(0, 20, three()["01"], (part,)),))


@pytest.fixture
def copy(tmp_path):
    """A folder with two lessons in it; what a test changes in one of them."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for path in LESSONS[:2]:
        shutil.copy(path, folder)

    def change(number, old, new):
        path = next(folder.glob(f"{number}_*.ipynb"))
        nb = nbformat.read(path, 4)
        assert any(old in cell.source for cell in nb.cells)
        for cell in nb.cells:
            cell.source = cell.source.replace(old, new)
        nbformat.write(nb, path)

    return folder, change


FIRST, SECOND = (path.name[:2] for path in LESSONS[:2])


def test_exercises_that_take_longer_than_their_lesson_are_named(copy):
    folder, change = copy
    change(FIRST, f"About {THERE[FIRST].minutes} minutes", "About 7 minutes")
    with pytest.raises(ValueError, match=r"about 7 minutes, and its exercises .* take \d+: nothing is left"):
        teach.gather(folder)
    change(FIRST, "About 7 minutes", "Some minutes")
    with pytest.raises(ValueError, match="does not say how long it takes"):
        teach.gather(folder)


def test_a_renamed_lesson_is_the_lesson_that_its_title_says(copy):
    folder, _ = copy
    (folder / LESSONS[0].name).rename(folder / "for_my_class.ipynb")
    found = teach.gather(folder)
    assert list(found) == [FIRST, SECOND] and found[FIRST].file == "for_my_class.ipynb"
    shutil.copy(folder / "for_my_class.ipynb", folder / "again.ipynb")
    with pytest.raises(ValueError, match=f"two lessons {FIRST}: again.ipynb and for_my_class.ipynb"):
        teach.gather(folder)


def test_a_folder_without_lessons_and_a_damaged_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has no lesson in it"):
        teach.gather(tmp_path)
    (tmp_path / "01_x.ipynb").write_text("{")
    with pytest.raises(ValueError, match="01_x.ipynb cannot be read"):
        teach.gather(tmp_path)


def test_what_may_be_cut_is_read_from_the_page():
    page = ("# 01\n\n## Other\n\n- **No**: not this.\n\n## What may be cut\n\nWords.\n\n- **One**: two uses it.\n"
            "- **Two**: nothing.\n\n## Next\n\n- **X**: y")
    assert lessons.cuts(page) == {"One": "two uses it.", "Two": "nothing."} and lessons.cuts("") == {}


# ---- plans

def test_core_exercises_come_before_the_next_lesson_and_the_rest_last():
    there = three()
    assert inside(plan.make_plan(wanted(50, pause=0), there)) == {"01": ["A", "Exercise 1"], "02": ["A"]}
    assert inside(plan.make_plan(wanted(100, pause=0), there)) == {
        "01": ["A", "B", "Exercise 1"], "02": ["A", "Exercise 1"], "03": ["A", "Exercise 1"]}
    made = plan.make_plan(wanted(180, pause=0, work=500), there)
    assert {n: len(parts) for n, parts in inside(made).items()} == {"01": 4, "02": 4, "03": 4}      # the extra ones stay at home
    assert [part.kind for _, part in made.left] == ["extra"] * 3


def test_the_most_important_lesson_is_taken_first_and_the_order_is_that_of_the_course():
    made = plan.make_plan(wanted(60, entries=("03", "01"), pause=0, work=500), three())
    assert inside(made) == {"01": ["A", "Exercise 1"], "03": ["A", "Exercise 1"]}
    made = plan.make_plan(wanted(45, entries=("03", "01"), pause=0), three())
    assert list(inside(made)) == ["03"] and [x.number for x in made.no_room] == ["01"]
    assert made.before == ("01 Lesson 01 (for 03)",)


def test_what_is_cut_first_comes_back_last_and_named_parts_stand_alone():
    parts = ("A", 20, "section"), ("B", 10, "section"), ("C", 10, "section"), ("Exercise 1", 10, "core")
    made = lesson("01", 50, *parts)
    ranks = {"B": 1, "C": 2}
    ranked = tuple(dataclasses.replace(p, cut="x" * (p.name in ranks), rank=ranks.get(p.name, 0)) for p in made.parts)
    there = {"01": dataclasses.replace(made, parts=ranked)}
    assert inside(plan.make_plan(wanted(40, entries=("01",), work=500), there)) == {"01": ["A", "C", "Exercise 1"]}
    only = dataclasses.replace(wanted(60), entries=(plan.Entry("01", parts=("B", "Exercise 1")),))
    made = plan.make_plan(only, there)
    assert inside(made) == {"01": ["B", "Exercise 1"]} and "01: all but what stands above." in str(made)


def test_a_session_that_nothing_is_left_for_does_not_take_place():
    """Catches a plan that sends a class to an empty room."""
    made = plan.make_plan(wanted(200, 90, entries=("01",), work=500), three())
    assert [session.minutes for session in made.sessions] == [200] and "Session 2" not in str(made)


def test_exercises_go_home_before_a_lesson_that_was_asked_for_is_left_out():
    there = {n: lesson(n, 40, ("A", 20, "section"), ("Exercise 1", 20, "core")) for n in ("01", "02", "03")}
    asked = dataclasses.replace(plan.of_minutes(60, there), work=500)
    assert inside(plan.make_plan(asked, there)) == {n: ["A"] for n in there}
    by_importance = dataclasses.replace(asked, all_of_them=False)
    assert inside(plan.make_plan(by_importance, there)) == {"01": ["A", "Exercise 1"], "02": ["A"]}
    assert not plan.of_minutes(60).all_of_them


def test_a_break_comes_before_so_many_minutes_are_passed_and_rather_between_lessons():
    there = {n: lesson(n, 45, ("A", 5, "section"), ("B", 30, "section"), ("Exercise 1", 10, "core")) for n in ("01", "02")}
    rows = plan.make_plan(wanted(200, pause=10, work=50), there).sessions[0].rows
    assert [(row.clock, row.minutes, row.words) for row in rows] == [
        ("0:00", 45, "01 Lesson 01: all sections, exercise 1"), ("0:45", 10, "break"),
        ("0:55", 45, "02 Lesson 02: all sections, exercise 1")]
    rows = plan.make_plan(wanted(200, pause=10, work=40, entries=("01",)), there).sessions[0].rows
    assert [row.minutes for row in rows] == [35, 10, 10]      # a long lesson is broken inside


def test_with_whole_no_lesson_runs_over_the_end_of_a_session():
    loose, whole = (plan.make_plan(wanted(80, 80, 80, pause=0, work=500, whole=w), three()) for w in (False, True))
    assert [len({row.lesson.number for row in s.rows}) for s in whole.sessions] == [1, 1, 1]
    assert len({row.lesson.number for row in loose.sessions[0].rows}) == 2


def test_a_plan_says_what_is_cut_and_what_that_breaks():
    made = plan.make_plan(wanted(50, pause=0), three())
    text = str(made)
    assert '02: "B" (10 min): Nothing.' in text and "02: exercise 1 (core, 10 min)" in text
    assert "Did not fit:\n  03 Lesson 03, 60 minutes" in text


def test_of_several_lessons_that_help_one_is_enough():
    there = {**three(), "04": lesson("04", 20, ("A", 20, "section"), helps=("01", "02"), any_one=True)}
    assert plan.make_plan(wanted(20, entries=("04",)), there).before == ("01 or 02 (for 04)",)
    assert plan.make_plan(wanted(200, entries=("04", "02")), there).before == ()


@pytest.mark.parametrize("name", NAMED)
def test_a_named_plan_adds_up_and_gives_its_reasons(name):
    made = plan.make_plan(NAMED[name], THERE)
    # A copy from which lessons were taken out may need fewer sessions.
    for session, minutes in zip(made.sessions, NAMED[name].sessions, strict=len(THERE) == 17):
        assert sum(row.minutes for row in session.rows) <= session.minutes == minutes
        assert session.minutes - sum(row.minutes for row in session.rows) < 30 or len(THERE) < 17, "much is left empty"
        assert session.rows[0].lesson and session.rows[-1].lesson, "a session does not begin or end with a break"
    assert all(len(entry.why.split()) > 5 and entry.why.endswith(".") for entry in NAMED[name].entries)
    assert len({entry.number for entry in NAMED[name].entries}) == len(NAMED[name].entries)
    twice = [part for parts in inside(made).values() for part in parts]
    assert len(THERE) < 17 or made.no_room == () and made.missing == (), "the plan names a lesson that it has no room for"
    assert len(twice) == sum(len(set(parts)) for parts in inside(made).values())


@pytest.mark.parametrize("name", NAMED)
def test_the_parts_that_a_plan_names_are_there(name):
    """Catches a heading that was worded anew."""
    for entry in NAMED[name].entries:
        names = [part.name for part in THERE[entry.number].parts] if entry.number in THERE else entry.parts
        assert set(entry.parts) <= set(names), entry


@pytest.mark.parametrize("name", NAMED)
def test_without_any_one_lesson_the_plan_is_another_one_and_says_so(name):
    whole = inside(plan.make_plan(NAMED[name], THERE))
    for number in whole:
        left = {n: x for n, x in THERE.items() if n != number}
        if not left.keys() & {e.number for e in NAMED[name].entries}:
            continue
        made = plan.make_plan(NAMED[name], left)
        assert number not in inside(made) and number in made.missing
        assert "Not in this copy of the course" in str(made) and len(str(made)) > 200


def test_a_lesson_that_takes_longer_changes_the_plan():
    number = NAMED["half-day"].entries[0].number
    if number not in THERE:
        pytest.skip("its first lesson was taken out")
    old = THERE[number]
    parts = tuple(dataclasses.replace(p, minutes=p.minutes + 3) if p.kind == "section" else p for p in old.parts)
    longer = dataclasses.replace(old, parts=parts, minutes=old.minutes + 3 * len(old.of("section")))
    assert str(plan.make_plan(NAMED["half-day"], {**THERE, number: longer})) != str(plan.make_plan(NAMED["half-day"], THERE))


def test_the_order_for_so_many_minutes_names_every_lesson():
    order = plan.data()["order"]
    assert set(THERE) <= set(order) and len(set(order)) == len(order), "a lesson stands in it nowhere, or twice"
    assert plan.of_minutes(120, ["03", "02", "03"]).entries == (plan.Entry("03"), plan.Entry("02"))


def test_a_plan_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="unknown plan 'half day'. Did you mean 'half-day'\\? Known: 90min, half-day, "):
        plan.find("half day")
    with pytest.raises(ValueError, match="no lesson fits into 15 minutes: 01 takes the least, 20 minutes"):
        plan.make_plan(wanted(15), three())
    with pytest.raises(ValueError, match=r"of the lessons of this plan \(44\) none is there. There are: 01, 02, 03"):
        plan.make_plan(wanted(60, entries=("44",)), three())


# ---- the commands

def printed(capsys, *arguments):
    teach.main(list(arguments))
    return capsys.readouterr().out


def test_the_list_has_a_row_for_each_exercise(capsys):
    text = printed(capsys, "list")
    for found in THERE.values():
        assert f"{found.number} {found.title}" in text
    rows = [line for line in text.splitlines() if re.search(r" ex\d ", line)]
    assert len(rows) == sum(len(found.of("core", "good to know", "extra")) for found in THERE.values())
    data = json.loads(printed(capsys, "list", "--json"))
    assert [entry["number"] for entry in data] == list(THERE)
    exercise = next(part for part in data[0]["parts"] if part["id"] == "ex1")
    assert exercise["points"] > 0 and exercise["difficulty"] > 0 and exercise["kind"] == "core"


def test_the_points_are_those_that_nbgrader_gives():
    for path in LESSONS:
        parts = {part.id: part.points for part in THERE[path.name[:2]].parts if part.id}
        assert parts == {e.grade_id: e.points for e in teach.exercises(nbformat.read(path, 4))}


def test_the_commands_take_another_folder(copy, capsys):
    folder, _ = copy
    assert len(json.loads(printed(capsys, "list", "--json", "--notebooks", str(folder)))) == 2
    text = printed(capsys, "plan", "--minutes", "60", "--lessons", SECOND, "--notebooks", str(folder))
    assert text.startswith("60 minutes.") and f"{SECOND} {THERE[SECOND].title}" in text


def test_a_plan_as_markdown_has_the_same_rows(capsys):
    text = printed(capsys, "plan", "90min", "--markdown")
    made = plan.make_plan(NAMED["90min"], THERE)
    for row in made.sessions[0].rows:
        assert f"| {row.clock} | {row.minutes} | {row.words} |" in text


@pytest.mark.parametrize("arguments, code, words", [
    (["plan"], 2, "wanted either a plan"), (["plan", "90min", "--minutes", "60"], 2, "wanted either a plan"),
    (["plan", "90min", "--lessons", "02"], 2, "wanted either a plan"), (["plan", "two-weeks"], 1, "Known: 90min"),
    (["plan", "--minutes", "5"], 1, "no lesson fits into 5 minutes"),
    (["plan", "--minutes", "60", "--lessons", "77"], 1, "none is there"),
    (["list", "--notebooks", "nowhere"], 1, "nowhere has no lesson"),
])
def test_a_wrong_call_is_told_what_is_wanted(arguments, code, words, capsys):
    with pytest.raises(SystemExit) as stop:
        teach.main(arguments)
    said = stop.value.code if isinstance(stop.value.code, str) else capsys.readouterr().err
    assert words in said and (1 if isinstance(stop.value.code, str) else stop.value.code) == code


def test_minutes_alone_are_enough(capsys):
    teach.main(["plan", "--minutes", "90"])
    assert "Session 1: 90 minutes" in capsys.readouterr().out
