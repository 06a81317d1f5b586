"""Hand lessons out and grade them with nbgrader itself: all answers right, none, and wrong ones.

usage: python tests/grade_lessons.py [notebooks]      default: all lessons; a minute for each submission of a lesson

Four submissions of each lesson: right, empty, and two in which every other exercise has a wrong answer. It prints the points and
how long the grading took, and ends with an error where a right answer loses a point, or a wrong one loses any but its own.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from course_utils import teach

ROOT = Path(__file__).resolve().parents[1]
CHECK = re.compile(r"check\.(\w+)\((\w+)\)")


def wrong(exercise: teach.Exercise) -> str:
    """An answer cell that hands one of the known mistakes to the check."""
    name, variable = CHECK.search(exercise.asserted).groups()
    return f"from course_utils import check as known\n{variable} = known.{name}.mistakes[0].answer"


def submissions(nb, released) -> dict[str, tuple[object, list[str]]]:
    """Student -> (notebook, the exercises that should lose their points)."""
    found, made = teach.exercises(nb), {}
    code = [cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    assert len(code) == len(found)
    for student, lost in {"right": [], "empty": found, "odd": found[::2], "even": found[1::2]}.items():
        copy = nbformat.from_dict(released)
        if student != "empty":
            answers = {e.grade_id: wrong(e) if e in lost else e.solution for e in found}
            for cell in copy.cells:
                if cell.metadata.get("nbgrader", {}).get("solution"):
                    cell.source = answers[cell.metadata.nbgrader.grade_id]
        made[student] = copy, [e.grade_id for e in lost]
    return made


def grade(path: Path) -> bool:
    """One lesson; is every point where it should be?"""
    nb, lesson = nbformat.read(path, 4), path.stem
    (ROOT / "build").mkdir(exist_ok=True)      # in the course's folder, which the first cell looks for
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        root, config = Path(folder), Config()
        config.CourseDirectory.root = folder
        config.ExecutePreprocessor.timeout = 300
        config.NbGrader.logfile = str(root / "log")
        source = root / "source" / lesson
        source.mkdir(parents=True)
        nbformat.write(teach.grading_version(nb), source / path.name)
        api = NbGraderAPI(config=config)
        done = api.generate_assignment(lesson)
        if not done["success"]:
            print(f"{lesson}: not handed out. {done.get('error') or done['log'][-800:]}")
            return False
        released = nbformat.read(root / "release" / lesson / path.name, 4)
        good = True
        for student, (answered, lost) in submissions(nb, released).items():
            place = root / "submitted" / student / lesson
            place.mkdir(parents=True)
            nbformat.write(answered, place / path.name)
            begin = time.monotonic()
            done = api.autograde(lesson, student)
            taken = time.monotonic() - begin
            with api.gradebook as book:
                grades = {} if not done["success"] else \
                    {g.name: (g.score, g.max_score) for g in book.find_submission_notebook(path.stem, lesson, student).grades}
            short = sorted(name.removesuffix("_check") for name, (score, most) in grades.items() if score < most)
            as_wanted = bool(grades) and short == sorted(lost)
            good &= as_wanted
            points = f"{sum(s for s, _ in grades.values()):g} of {sum(m for _, m in grades.values()):g} points"
            told = "" if as_wanted else f"   WRONG: {', '.join(lost) or 'none'} should have. " + \
                (done.get("error") or done["log"][-800:])
            print(f"{lesson}, {student}: {points}, lost by {', '.join(short) or 'none'}, {taken:.0f} s{told}", flush=True)
    return good


if __name__ == "__main__":
    chosen = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    sys.exit(not all([grade(path) for path in chosen]))
