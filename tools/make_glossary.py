"""Write docs/glossary.md from data/glossary.toml: python tools/make_glossary.py"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
SOURCE, PAGE = ROOT / "data" / "glossary.toml", ROOT / "docs" / "glossary.md"
HEAD = """# Glossary

The words that the lessons use in a sense of their own. A lesson links here where it uses such a word before it explains it.
This page is made from `data/glossary.toml`: change that, then run `python tools/make_glossary.py`.
"""


@dataclass(frozen=True)
class Term:
    """A word of the course: what it means, where that is explained, and how it is recognised in a text."""

    name: str
    part: str
    means: str
    lesson: str
    forms: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Of its heading, the same in JupyterLab, on a code-hosting page and in a book."""
        return self.name.replace(" ", "-")


def terms(source: Path = SOURCE) -> list[Term]:
    """All of them, in the order of the file.

    Raises:
        ValueError: a name that is no anchor, a part that comes back, a word that is there twice.
    """
    found = [Term(t["name"], t["part"], t["means"], t["lesson"], tuple(t["forms"]), tuple(t["not"]))
             for t in tomllib.loads(source.read_text(encoding="utf-8"))["term"]]
    for term in found:
        if not re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", term.name):
            raise ValueError(f"{term.name!r} makes no anchor: lower-case letters, digits, single spaces and hyphens")
        if not term.forms:
            raise ValueError(f"{term.name!r} has no forms: how does it stand in a text?")
    parts = [term.part for i, term in enumerate(found) if i == 0 or found[i - 1].part != term.part]
    for words in (parts, [term.anchor for term in found], [form.lower() for term in found for form in term.forms]):
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"twice in {source.name}: {', '.join(twice)}")
    return found


def page(found: list[Term], lessons: dict[str, str]) -> str:
    """The page; `lessons` are the files of the lessons by number. A lesson that is not written yet has no link."""
    lines, part = [HEAD], ""
    for term in found:
        if term.part != part:
            part = term.part
            lines.append(f"## {part}\n")
        number = term.lesson
        where = f"[Lesson {number}](../notebooks/{lessons[number]})" if number in lessons else f"Lesson {number}"
        lines.append(f"### {term.name}\n\n{term.means} {where}.\n")
    return "\n".join(lines)


def lessons() -> dict[str, str]:
    return {path.name[:2]: path.name for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


if __name__ == "__main__":
    PAGE.write_text(page(terms(), lessons()), encoding="utf-8")
