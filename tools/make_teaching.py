"""Write into docs/teaching/ what can be read from the lessons: python tools/make_teaching.py

Each page NN.md gets its title, its minutes and its exercises between marks; README.md there the table of pages and the plans.
The rest of these pages is written by hand. A page for a lesson that has none yet is begun.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from marks import between  # noqa: E402

from course_utils import tables  # noqa: E402
from course_utils.teach import Lesson, gather, make_plan  # noqa: E402
from course_utils.teach import lessons as reading  # noqa: E402
from course_utils.teach import plan as plans  # noqa: E402

PAGES = ROOT / "docs" / "teaching"
LESSON, MINUTES = (tuple(f"<!-- {name}: {end} -->" for end in ("begin", "end")) for name in ("lesson", "minutes"))
INDEX, PLANS = (tuple(f"<!-- {name}: {end} -->" for end in ("begin", "end")) for name in ("pages", "plans"))
NEW = """{}
{}

**Aim:** ...

## What they must know before

...

## Minutes and exercises

{}
{}

## Where learners get stuck

...

## To discuss

...

## What may be cut

- **A heading of the lesson**: what that breaks later.
"""


def opening(lesson: Lesson) -> str:
    """Title, link and what helps first."""
    numbers = list(lesson.helps)
    first = f"{', '.join(numbers[:-1])} or {numbers[-1]}" if lesson.any_one and len(numbers) > 1 else ", ".join(numbers)
    helps = f" It helps to have read {first}." if first else ""
    return (f"# {lesson.number} · {lesson.title}\n\n"
            f"[The lesson](../../notebooks/{lesson.file}) takes about {lesson.minutes} minutes.{helps}\n")


def minutes(lesson: Lesson, computing: dict[str, int]) -> str:
    """How its minutes are made up, and its exercises."""
    text, work = lesson.of("section"), lesson.of("core", "good to know")
    words, lines, figures = (sum(getattr(part, name) for part in text) for name in ("words", "lines", "figures"))
    read, exercise = round(sum(part.reading for part in text)), sum(part.minutes for part in work)
    measured = computing.get(lesson.number)
    compute = 0 if measured is None else max(1, round(measured / 60))
    extra = sum(part.minutes for part in lesson.of("extra"))
    timed = "not measured" if measured is None else f"measured: {measured} s of one processor, `quick`"
    rows = [["reading", str(read), f"estimate: {words:,} words at {reading.WORDS} a minute, {lines} lines of code at "
             f"{reading.LINES}, {figures} figures at {reading.FIGURES}"],
            ["computing", str(compute), timed],
            ["exercises", str(exercise), "as their boxes say, without the extra ones"],
            ["guesses, looking again", str(lesson.minutes - read - compute - exercise), f"what is left of {lesson.minutes}"],
            *[["extra exercises", f"+{extra}", "on top"]] * bool(extra)]
    boxes = [[f"`{e.id}`", e.title, str(e.difficulty), f"{'+' * (e.kind == 'extra')}{e.minutes}", e.kind, f"{e.points:g}"]
             for e in lesson.of("core", "good to know", "extra")]
    head = ["exercise", "title", "difficulty", "minutes", "importance", "points"]
    return tables.as_markdown(["", "minutes", "where from"], rows) + "\n\n" + tables.as_markdown(head, boxes) + "\n"


def page(text: str, lesson: Lesson, computing: dict[str, int]) -> str:
    """A page for teachers with what is read from its lesson; ValueError without its marks."""
    name = f"docs/teaching/{lesson.number}.md"
    text = between(text, LESSON[0] + "\n", LESSON[1], opening(lesson), name)
    return between(text, MINUTES[0] + "\n", MINUTES[1], minutes(lesson, computing), name)


def index(there: dict[str, Lesson]) -> str:
    """A row for each page."""
    kinds = ("core", "good to know", "extra")
    rows = [[x.number, f"[{x.title}]({x.number}.md)", str(x.minutes),
             *(str(sum(part.minutes for part in x.of(kind))) for kind in kinds)] for x in there.values()]
    return tables.as_markdown(["", "page for teachers", "minutes", *(f"{kind} exercises" for kind in kinds)], rows) + "\n"


def overview(text: str, there: dict[str, Lesson]) -> str:
    """README.md of the folder with the table and the named plans; a plan of which no lesson is left stands without sessions."""
    made = []
    for name, wanted in plans.named().items():
        try:
            made.append(make_plan(wanted, there).as_markdown(3))
        except ValueError as error:
            made.append(f"### {name}\n\n{error}")
    text = between(text, INDEX[0] + "\n", INDEX[1], index(there), "docs/teaching/README.md")
    return between(text, PLANS[0] + "\n", PLANS[1], "\n\n".join(made) + "\n", "docs/teaching/README.md")


def pages() -> dict[Path, str]:
    """File -> text, of all of them."""
    there, computing = gather(ROOT / "notebooks"), plans.data()["computing"]
    made = {}
    for number, lesson in there.items():
        file = PAGES / f"{number}.md"
        old = file.read_text("utf-8") if file.exists() else NEW.format(*LESSON, *MINUTES)
        made[file] = page(old, lesson, computing)
    file = PAGES / "README.md"
    return {**made, file: overview(file.read_text("utf-8"), there)}


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text, "utf-8")
    print(f"{len(list(PAGES.glob('*.md')))} pages in {PAGES}")
