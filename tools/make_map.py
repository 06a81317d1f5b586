"""Write into README.md which lessons help with which, and draw docs/lessons.png, from the lessons: python tools/make_map.py

The names and questions of the table are those that stand there; what helps, and the minutes, are what the lessons say.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from marks import between  # noqa: E402

from course_utils.teach.lessons import helps  # noqa: E402

README, PICTURE = ROOT / "README.md", ROOT / "docs" / "lessons.png"
BEGIN, END = "<!-- lessons: begin -->\n", "<!-- lessons: end -->"
HEAD = "| | lesson | question | helps first | minutes |\n| --- | --- | --- | --- | --- |"
ROW = re.compile(r"^\| (\d\d) \| \[([^\]]+)\]\(notebooks/([^)]+)\) \| ([^|]+?) \|.*\|$", re.M)


def opening(path: Path) -> str:
    """The first cell of a lesson."""
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])


def lessons(root: Path = ROOT) -> dict[str, Path]:
    return {path.name[:2]: path for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def rows(readme: str) -> dict[str, tuple[str, str]]:
    """Number -> (name, question), as the table in the README has them.

    Raises:
        ValueError: a lesson has no row.
    """
    found = {number: (name, question) for number, name, _, question in ROW.findall(readme)}
    if missing := [path.name for number, path in lessons().items() if number not in found]:
        raise ValueError(f"README.md has no row for {', '.join(missing)}: add | NN | [name](notebooks/...) | question | | 0 |")
    return found


def first(numbers: list[str], any_one: bool) -> str:
    """A cell of the table: what helps first."""
    if any_one and len(numbers) > 1:
        return f"{', '.join(numbers[:-1])} or {numbers[-1]}"
    return ", ".join(numbers)


def table(readme: str) -> str:
    """The table of lessons, anew."""
    lines = [HEAD]
    for number, path in lessons().items():
        name, question = rows(readme)[number]
        text = opening(path)
        minutes = re.search(r"^About (\d+) minutes", text, re.M)[1]
        lines.append(f"| {number} | [{name}](notebooks/{path.name}) | {question} | {first(*helps(text))} | {minutes} |")
    return "\n".join(lines)


def picture(readme: str):
    """The same as a drawing."""
    from course_utils import plots

    said = {number: helps(opening(path)) for number, path in lessons().items()}
    there = {number: [n for n in numbers if n in said] for number, (numbers, _) in said.items()}
    return plots.lesson_map({n: rows(readme)[n][0] for n in said}, there, any_of=[n for n, (_, one) in said.items() if one])


def with_map(text: str, alt: str) -> str:
    """The README with table and picture between its two marks; ValueError without them."""
    return between(text, BEGIN, END, f"{table(text)}\n\n![{alt}](docs/{PICTURE.name})")


if __name__ == "__main__":
    readme = README.read_text(encoding="utf-8")
    drawn = picture(readme)
    README.write_text(with_map(readme, drawn.alt), encoding="utf-8")
    from course_utils import plots

    PICTURE.write_bytes(plots.to_png(drawn))
    print(f"{README} and {PICTURE}")
