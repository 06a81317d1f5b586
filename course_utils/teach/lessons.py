"""What a lesson says of itself: its minutes, its sections, its exercises, and which lessons help with it.

The minutes in its first cell hold reading and computing, and the exercises that are core or good to know; those marked
extra come on top. What is left of them, exercises taken off, is shared among the sections by how much there is to read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import paths, progress

# An estimate, not measured: about half as fast as a story is read; a line of code is read and run.
WORDS, LINES, FIGURES = 120, 10, 2      # a minute
MINUTES = re.compile(r"(?m)^About (\d+) minutes\b")
SAID = re.compile(r"(Any of lessons|Lessons?|\[Lesson)\b.*?\bhelps?\b")      # "Lessons [02](...) and [03](...) help"
SECTION = re.compile(r"(?m)^## +(.+?) *$")
FENCE = re.compile(r"(?ms)^ {0,3}(```|~~~).*?^ {0,3}\1[^\n]*$")
OUTSIDE = ("Exercises", "References")
CUT = re.compile(r"(?m)^- \*\*(.+?)\*\*:? *(.*)$")
HEAD = ("lesson", "minutes", "exercise", "title", "difficulty", "takes", "importance", "points")


@dataclass(frozen=True)
class Part:
    """A section or an exercise. `kind` is "section", or how important the exercise is: "core", "good to know", "extra"."""
    name: str
    minutes: int
    kind: str
    title: str = ""
    id: str = ""
    difficulty: int = 0
    points: float = 0
    words: int = 0
    lines: int = 0
    figures: int = 0
    cut: str = ""      # what leaving it out breaks later, by the page for teachers; "" where it may not be cut
    rank: int = 0      # 1 is cut first

    @property
    def reading(self) -> float:
        """Minutes to read it, an estimate."""
        return self.words / WORDS + self.lines / LINES + self.figures / FIGURES


@dataclass(frozen=True)
class Lesson:
    """One lesson; `minutes` as its first cell says, `parts` in order, `helps` the lessons that it names as of help.

    Raises:
        ValueError: the minutes of its sections and exercises do not add up to its own.
    """
    number: str
    title: str
    file: str
    minutes: int
    parts: tuple[Part, ...]
    helps: tuple[str, ...] = ()
    any_one: bool = False

    def __post_init__(self):
        inside = sum(part.minutes for part in self.parts if part.kind != "extra")
        if inside != self.minutes:
            raise ValueError(f"{self.file}: its parts take {inside} minutes, and the lesson says {self.minutes}.")

    def of(self, *kinds: str) -> list[Part]:
        return [part for part in self.parts if part.kind in kinds]


def helps(text: str) -> tuple[list[str], bool]:
    """The lessons that a first cell says help, and whether any one of them does: "Any of lessons [09](...) to [11](...)"."""
    line = next((line for line in text.splitlines() if line.startswith("About ")), "")
    said = SAID.search(line)
    if not said:
        return [], False
    numbers = re.findall(r"\]\((\d\d)_", said[0])
    if ") to [" in said[0] and len(numbers) == 2:
        numbers = [f"{n:02d}" for n in range(int(numbers[0]), int(numbers[1]) + 1)]
    return numbers, said[1].startswith("Any")


def pictures(cell: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The figures among the outputs of a cell: PNG in base64, alternative text, and which output it is."""
    found = []
    for i, out in enumerate(progress.part(cell, "outputs", list)):
        if png := progress.text(progress.part(out, "data", dict), "image/png"):
            alt = progress.part(progress.part(progress.part(out, "metadata", dict), "image/png", dict), "alt", str)
            found.append((png, alt, i))
    return found


def cells_by_section(cells: list[dict]) -> list[tuple[str, str, dict]]:
    """Each piece of a lesson with the section that it stands in: (heading, Markdown, {}) or (heading, "", code cell)."""
    heading, found = "opening", []
    for cell in cells:
        text = progress.text(cell, "source")
        if cell.get("cell_type") != "markdown":
            found.append((heading, "", cell))
            continue
        heads = [m for m in SECTION.finditer(FENCE.sub(lambda m: " " * len(m[0]), text))]
        starts = [0, *(m.start() for m in heads), len(text)]
        for title, a, b in zip([heading, *(m[1] for m in heads)], starts, starts[1:], strict=False):
            heading = title
            if text[a:b].strip():
                found.append((heading, text[a:b], {}))
    return found


def sections(cells: list[dict]) -> list[Part]:
    """The sections up to the exercises, each with how much there is to read; without minutes."""
    counts: dict[str, list[int]] = {}
    for heading, text, cell in cells_by_section(cells):
        if heading not in OUTSIDE:
            count = counts.setdefault(heading, [0, 0, 0])
            count[0] += len(re.findall(r"\w+", FENCE.sub("", text)))
            count[1] += sum(bool(line.strip()) for line in progress.text(cell, "source").splitlines())
            count[2] += len(pictures(cell))
    return [Part(name, 0, "section", words=w, lines=n, figures=f) for name, (w, n, f) in counts.items()]


def shared(minutes: int, weights: list[float]) -> list[int]:
    """Whole minutes in proportion to the weights, which add up to all of them; no part has none if there are enough.

    What rounding leaves goes to the largest rests.
    """
    exact = [minutes * weight / (sum(weights) or 1) for weight in weights]
    least = int(minutes >= len(weights))
    whole = [max(least, int(part)) for part in exact]
    while (over := sum(whole) - minutes) > 0:
        whole[max((i for i, part in enumerate(whole) if part > least), key=lambda i: whole[i] - exact[i])] -= 1
    for i in sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])[:-over]:
        whole[i] += 1
    return whole


def cuts(page: str) -> dict[str, str]:
    """What may be cut, by a page for teachers, what is cut first standing first: name of a part -> what that breaks later."""
    _, _, rest = page.partition("## What may be cut\n")
    return dict(CUT.findall(rest.partition("\n## ")[0]))


def read(path: Path, pages: Path) -> Lesson | None:
    """One lesson, and what may be cut from its page NN.md among `pages`; None for a notebook that is no lesson of this course.

    Raises:
        ValueError: it cannot be read, says no minutes, or its exercises take longer than the lesson.
    """
    try:
        known = progress.read(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    if known is None:
        return None
    cells = json.loads(path.read_text("utf-8-sig"))["cells"]
    said = MINUTES.search(first := progress.text(cells[0], "source"))
    if not said:
        raise ValueError(f'{path} does not say how long it takes. Wanted: a line of its first cell, "About 60 minutes, ...".')
    marks = [progress.part(progress.part(cell, "metadata", dict), "nbgrader", dict) for cell in cells]
    points = {mark["grade_id"].removesuffix("_check"): mark.get("points", 0) for mark in marks if mark.get("grade")}
    work = [Part(f"Exercise {e.number}", e.minutes, e.importance, e.title, e.id, e.difficulty, points.get(e.id, 0))
            for e in known.exercises]
    inside = sum(part.minutes for part in work if part.kind != "extra")
    if inside >= int(said[1]):
        raise ValueError(f"{path} says about {said[1]} minutes, and its exercises that are core or good to know take {inside}: "
                         "nothing is left to read in. Say more minutes, or make an exercise shorter or extra.")
    text = sections(cells)
    each = shared(int(said[1]) - inside, [part.reading for part in text])
    page = pages / f"{known.number}.md"
    why = cuts(page.read_text("utf-8")) if page.is_file() else {}
    parts = [*(replace(part, minutes=m) for part, m in zip(text, each, strict=True)), *work]
    ranks = {name: rank for rank, name in enumerate(why, start=1)}
    parts = [replace(part, cut=why.get(part.name, ""), rank=ranks.get(part.name, 0)) for part in parts]
    numbers, any_one = helps(first)
    return Lesson(known.number, known.title.partition(" · ")[2], path.name, int(said[1]), tuple(parts), tuple(numbers), any_one)


def gather(folder: Path | None = None) -> dict[str, Lesson]:
    """Number -> lesson, in order, of a folder; by default notebooks/ of the course.

    What may be cut is read from docs/teaching/NN.md beside that folder, where there is such a page.

    Raises:
        ValueError: there is no lesson, or one is not as it should be (see `read`), or a number is there twice.
    """
    folder = folder or paths.own_folder() / "notebooks"
    found: dict[str, Lesson] = {}
    for path in sorted(folder.glob("*.ipynb")):
        lesson = read(path, folder.parent / "docs" / "teaching")
        if lesson and lesson.number in found:
            raise ValueError(f"{folder} has two lessons {lesson.number}: {found[lesson.number].file} and {path.name}. "
                             "Take one out.")
        if lesson:
            found[lesson.number] = lesson
    if not found:
        raise ValueError(f"{folder} has no lesson in it. Wanted: a folder with notebooks such as 02_channel.ipynb.")
    return dict(sorted(found.items()))


def rows(lessons: Iterable[Lesson]) -> list[list[str]]:
    """A row an exercise, the lesson in the first of its rows; "+" before minutes that come on top."""
    found = []
    for lesson in lessons:
        name = [f"{lesson.number} {lesson.title}", str(lesson.minutes)]
        for e in lesson.of("core", "good to know", "extra"):
            found.append([*name, e.id, e.title, str(e.difficulty), f"{'+' * (e.kind == 'extra')}{e.minutes}", e.kind,
                          f"{e.points:g}"])
            name = ["", ""]
        if name[0]:
            found.append([*name, *[""] * 6])
    return found
