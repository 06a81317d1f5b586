"""Which exercises are solved, read from what the notebooks have saved. Nothing is run, sent or written.

    python -m course_utils.progress                        notebooks/, in the course's folder
    python -m course_utils.progress mine 02_again.ipynb    folders and notebooks, student versions and copies from Colab too
    python -m course_utils.progress --json                 the same for a program

An exercise is solved if the output of its check says so. Whether the answer was changed afterwards no file tells, but for one
case: where the answer ran as In [20] and the check as In [4], the check has not seen that run, and its verdict does not count.
Student versions lack what `teach.exercises` asks for: cells are found by nbgrader's marks alone.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import paths, tables
from .pipes import ends_with_its_reader

STATES = ("solved", "wrong", "not checked", "not tried")
IMPORTANCE = ("core", "good to know", "extra")
TITLE = re.compile(r"(?m)^# +(\d\d) · .+")
HEADING = re.compile(r"(?m)^#+ +Exercise +(\S+)(?: · (.*\S))?")
BOX = re.compile(r"(?m)^Difficulty (\d) of 5, (\d+) minutes, (core|good to know|extra)\b")
VERDICT = re.compile(r"(?m)^\S.*: (all right|not yet|not attempted yet\..*)$")      # as check/core.py prints it
CALL = re.compile(r"(?m)^(?:assert )?check\.\w+\(")
PLACEHOLDER = re.compile(r"(?m)(?:^|=|:|\breturn)[ \t]*\.\.\.(?=[ \t]*(?:[,)}#]|$))|^[ \t]*raise NotImplementedError\(\)")


@dataclass(frozen=True)
class Exercise:
    """One exercise as it was saved; `note` has the last line of feedback, or why there is no verdict; 0 minutes: no box."""
    id: str
    number: str
    title: str
    importance: str
    difficulty: int
    minutes: int
    state: str
    note: str


@dataclass(frozen=True)
class Lesson:
    """One notebook of the course; `title` has the file's name too where that does not begin with the number."""
    file: str
    number: str
    title: str
    exercises: tuple[Exercise, ...]


def part(of: Any, key: str, kind: type) -> Any:
    """of[key], or an empty `kind` where that is missing or something else: nothing in a foreign file is relied on."""
    value = of.get(key) if isinstance(of, dict) else None
    return value if isinstance(value, kind) else kind()


def text(of: Any, key: str) -> str:
    """A text that JSON holds as one string or as a list of lines."""
    return part(of, key, str) or "".join(line for line in part(of, key, list) if isinstance(line, str))


def judge(answers: list[dict], checks: list[dict]) -> tuple[str, str]:
    """State and note of one exercise, from its answer cells (one, unless somebody split it) and its check cells."""
    check = checks[-1] if checks else {}
    outputs, calls = part(check, "outputs", list), len(CALL.findall(text(check, "source"))) or 1
    said = "".join(text(out, "text") for out in outputs if part(out, "name", str) == "stdout")
    starts = [found.start() for found in VERDICT.finditer(said)][-calls:]      # an answer may print lines of its own before
    reports = [said[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=False)]
    verdicts = [VERDICT.match(report)[1] for report in reports]
    stops = [f"{text(out, 'ename')}: {text(out, 'evalue')}" for out in outputs if part(out, "output_type", str) == "error"]
    empty = any(PLACEHOLDER.search(text(answer, "source")) for answer in answers)
    if "not yet" not in verdicts and (stops or verdicts != ["all right"] * calls):
        why = ("its check cell is gone" if not checks else "its check saw no answer yet" if {*verdicts} - {"all right"} else
               f"its check stopped with {stops[-1]}" if stops else "its check has not run")
        return ("not tried", "") if empty else ("not checked", why)
    last, seen = max((part(answer, "execution_count", int) for answer in answers), default=0), part(check, "execution_count", int)
    if last and seen and last >= seen:
        return "not checked", f"its check, In [{seen}], has not seen the last run of the answer, In [{last}]"
    if "not yet" in verdicts:
        return "wrong", reports[verdicts.index("not yet")].splitlines()[-1].strip()
    return "solved", "the answer cell still holds a placeholder" if empty else ""


def exercises(cells: list[dict]) -> tuple[Exercise, ...]:
    """The exercises among the cells, in order, each with the last box above it."""
    box, boxes, answers, checks = (None, None), {}, {}, {}
    for cell in cells:
        source, meta = text(cell, "source"), part(part(cell, "metadata", dict), "nbgrader", dict)
        if cell.get("cell_type") == "markdown" and (head := HEADING.search(source)):
            box = head, BOX.search(source)
        name, kind = part(meta, "grade_id", str), (bool(meta.get("solution")), bool(meta.get("grade")))
        if cell.get("cell_type") != "code" or kind != (True, False) and (kind != (False, True) or not name.endswith("_check")):
            continue
        sort, name = (answers, name) if kind[0] else (checks, name.removesuffix("_check"))
        sort.setdefault(name, []).append(cell)
        boxes.setdefault(name, box)
    return tuple(Exercise(name, *(head.groups("") if head else (name, "")), line[3] if line else "", int(line[1] if line else 0),
                          int(line[2] if line else 0), *judge(answers.get(name, []), checks.get(name, [])))
                 for name, (head, line) in boxes.items())


def read(path: Path) -> Lesson | None:
    """One lesson as it was saved; None for a notebook that is no lesson of this course.

    Raises:
        ValueError: it cannot be opened, is no JSON, or JSON of something else.
    """
    try:
        book = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot be read ({getattr(error, 'strerror', None) or error}). Wanted: a notebook; if this one was "
                         "damaged, take an earlier copy of it.") from None
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise ValueError("has no cells. Wanted: a notebook of format 4; JupyterLab opens older ones and saves them so.")
    cells = [cell for cell in book["cells"] if isinstance(cell, dict)]
    texts = ["\n\n".join(text(c, "source") for c in cells if c.get("cell_type") == kind) for kind in ("markdown", "code")]
    title = TITLE.search(texts[0])
    if not title or "course_utils" not in texts[1]:
        return None
    name = title[0].lstrip("# ").rstrip() + ("" if path.name.startswith(f"{title[1]}_") else f" ({path.name})")
    return Lesson(str(path), title[1], name, exercises(cells))


def gather(places: list | tuple = ()) -> dict[str, Any]:
    """All that is saved in the folders and notebooks named, each file once; by default in notebooks/ of the course.

    Returns:
        `lessons` in order; `next`, the first open exercise, core before the others, and its lesson, or None; and by file
        why it is no lesson: `others` of notebooks, `broken` of what is none.
    """
    default, here = paths.own_folder() / "notebooks", Path.cwd()
    default = default.relative_to(here) if default.is_relative_to(here) else default      # names to be read, not a machine's
    files, lessons, others, broken = {}, [], {}, {}
    for place in map(Path, places or [default if default.is_dir() else here]):
        inside = sorted(place.glob("*.ipynb")) if place.is_dir() else [place]
        files.update({path.resolve(): path for path in inside})
        if not inside:
            others[str(place)] = "has no notebooks in it; its own folders are not searched."
    for path in files.values():
        try:
            if lesson := read(path):
                lessons.append(lesson)
            else:
                others[str(path)] = "is no lesson of this course: no title such as '# 01 · Blind spots', or no course_utils."
        except ValueError as error:
            broken[str(path)] = str(error)
    lessons.sort(key=lambda lesson: (lesson.number, lesson.file))
    pairs = [(lesson, e) for lesson in lessons for e in lesson.exercises]
    done = {(lesson.number, e.id) for lesson, e in pairs if e.state == "solved"}      # in one copy of several
    still = [(lesson, e) for lesson, e in pairs if (lesson.number, e.id) not in done]
    return {"lessons": lessons, "others": others, "broken": broken,
            "next": min(still, default=None, key=lambda pair: (*IMPORTANCE, "").index(pair[1].importance))}


def told(found: dict[str, Any]) -> tuple[list[list[str]], str]:
    """A row a lesson, and what stands below the table: the sum, what to do next, what was left wrong, what is no lesson."""
    rows = [[lesson.title, f"{sum(e.state == 'solved' for e in lesson.exercises)} of {len(lesson.exercises)}",
             *(", ".join(e.number for e in lesson.exercises if e.state == state) for state in STATES[1:])]
            for lesson in found["lessons"]]
    pairs = [(lesson, e, f"{lesson.title}, exercise {e.number} · {e.title}".rstrip(" ·"))
             for lesson in found["lessons"] for e in lesson.exercises]
    states, core = [e.state for _, e, _ in pairs], [e.state for _, e, _ in pairs if e.importance == "core"]
    lines = [f"Solved: {states.count('solved')} of {len(states)}, of the core {core.count('solved')} of {len(core)}, "
             "as the files were last saved."] if pairs else ["No exercises found."]
    for lesson, e, name in pairs:
        if (lesson, e) == found["next"]:
            box = f" ({e.importance}, difficulty {e.difficulty} of 5, {e.minutes} minutes)" if e.importance else ""
            lines.append(f"Next: {name}{box}, in {lesson.file}")
    lines += [f"{e.state[0].upper()}{e.state[1:]}: {name}: {e.note}" for _, e, name in pairs if e.note]
    return rows, "\n".join([*lines, *(f"{file} {why}" for file, why in {**found["others"], **found["broken"]}.items())])


def show(*places: str | Path) -> None:
    """The table and the words below a cell. A notebook counts as it was last saved; on Colab, pass the folder of your copies."""
    rows, words = told(gather(places))
    tables.show(("lesson", *STATES), rows)
    print(words)


@ends_with_its_reader
def main(argv: list[str] | None = None) -> int:
    """The command; 1 if a file could not be read, or there was no lesson."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.progress", description=__doc__.split("\n")[0])
    parser.add_argument("places", nargs="*", metavar="NOTEBOOK or FOLDER", help="default: notebooks/, in the course's folder")
    parser.add_argument("--json", action="store_true", help="for a program")
    found = gather((args := parser.parse_args(argv)).places)
    if args.json:
        first = found["next"] and {"file": found["next"][0].file, **asdict(found["next"][1])}
        print(json.dumps({**found, "next": first, "lessons": [asdict(lesson) for lesson in found["lessons"]]}, indent=1))
    else:
        rows, words = told(found)
        print(*[tables.as_text(("lesson", *STATES), rows) + "\n"] * bool(rows), words, sep="\n")
    return 1 if found["broken"] or not found["lessons"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
