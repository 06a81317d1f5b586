"""Which pages the book has, in which order, and the folder that Sphinx reads them from.

The folder has the layout of the repository, so that links between pages stay as they are. Notebooks and pages are copied
unchanged, `links.py` mends their links while they are read; a few pages are made here, from the README and from data.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import made

FRONT = ("The answer, so far", "The lessons")      # sections of the README that make the first page
OWN = {"The mechanisms": "mechanisms", "For teachers": "teaching"}      # and those that have a page of their own
REST = "use"      # all others, so that no new section is lost
TITLES = {"mechanisms": "Every mechanism", "teaching": "For teachers", REST: "Install and use"}
LOOK_UP, TEACH = "Look it up", "Teach it, change it"
# Parts of the table of contents after the lessons. A page that is not there is left out; a new one in docs/ goes to LOOK_UP,
# in a folder of docs/ to TEACH.
PARTS = {
    "Use it": (REST, "docs/field_guide", "docs/recipes", "docs/elsewhere", "docs/doctor", "docs/scale", "docs/export"),
    "What was measured, what is claimed": ("answer", "claims"),
    LOOK_UP: ("mechanisms", "docs/sockets", "docs/sockets_timm", "docs/glossary", "docs/references"),
    TEACH: ("teaching", "docs/teaching/README", "CONTRIBUTING", "CHANGELOG", "data/README"),
}

# In the form that re.X reads; fenced code may hold anything, lines with ## and [what](looks like) links too.
FENCE = r"""^\ {0,3} (?P<fence>`{3,}|~{3,}) [^\n]* \n .*? ^\ {0,3} (?P=fence) [`~]* [^\S\n]* $"""
HEADING = re.compile(FENCE + r"| ^\#\#\ (?P<title>[^\n]+)", re.M | re.S | re.X)


@dataclass(frozen=True)
class Part:
    """One part of the table of contents: its title, and its pages as Sphinx names them, without ending."""

    title: str
    pages: tuple[str, ...]


def sections(text: str) -> dict[str, str]:
    """Title of a second-level heading -> its text with the heading; what is above the first one under ""."""
    heads = [found for found in HEADING.finditer(text) if found["title"]]
    starts = [0, *(found.start() for found in heads), len(text)]
    titles = ["", *(found["title"].strip() for found in heads)]
    return {title: text[start:end] for title, start, end in zip(titles, starts, starts[1:], strict=False)}


def page_of(title: str) -> str:
    """The page that holds this section of the README."""
    return "index" if title in ("", *FRONT) else OWN.get(title, REST)


def from_readme(readme: str) -> dict[str, str]:
    """Name -> text of the pages that the README is divided into; none of its sections is lost."""
    texts: dict[str, str] = {}
    for title, text in sections(readme).items():
        name = page_of(title)
        if title in OWN:      # the page has the title already
            text = text.partition("\n")[2]
        texts[name] = texts.get(name, "" if name == "index" else f"# {TITLES[name]}\n\n") + text
    return texts


def lessons(root: Path) -> list[str]:
    return [f"notebooks/{path.stem}" for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]


def documents(root: Path) -> list[str]:
    return [path.relative_to(root).with_suffix("").as_posix() for path in sorted((root / "docs").rglob("*.md"))]


def contents(root: Path, generated: tuple[str, ...]) -> list[Part]:
    """The table of contents, from what is there; `generated` are the pages that have no file in the repository."""
    named = {page for pages in PARTS.values() for page in pages}
    there = {*documents(root), *generated, *(page for page in named if (root / f"{page}.md").exists())}
    extra = [page for page in documents(root) if page not in named]
    more = {LOOK_UP: [p for p in extra if p.count("/") == 1], TEACH: [p for p in extra if p.count("/") > 1]}
    parts = [Part("Lessons", tuple(lessons(root)))]
    for title, pages in PARTS.items():
        new = more.get(title, [])
        first = 2 if title == TEACH else len(pages)      # pages for a lesson stand behind those for teachers
        parts.append(Part(title, tuple(p for p in (*pages[:first], *new, *pages[first:]) if p in there or p in new)))
    return [part for part in parts if part.pages]


def toctree(part: Part) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {part.title}", "", *part.pages, "```", ""])


def stage(root: Path, folder: Path) -> list[Part]:
    """Put all that Sphinx reads into an empty folder; returns the table of contents."""
    texts = from_readme((root / "README.md").read_text("utf-8")) | made.pages(root)
    parts = contents(root, tuple(name for name in texts if name != "index"))
    texts["index"] += "\n" + "\n".join(map(toctree, parts))
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    copied = [page for part in parts for page in part.pages if page not in texts]
    paths = [root / f"{page}{'.ipynb' if page.startswith('notebooks/') else '.md'}" for page in copied]
    for path in (*paths, *(root / "docs").rglob("*.png"), *(p for p in (root / "data").rglob("*") if p.is_file())):
        to = folder / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    return parts
