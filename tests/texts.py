"""What a reader reads of the course, without its code: of lessons, pages, tables, and comments and messages in Python."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
# Code, formulas, addresses, tags and invisible remarks. The lines stay, so that a complaint names the right one.
FIELD = re.compile(r"\{[^{}]*\}")      # an expression in an f-string
CODE = re.compile(r"```.*?```|~~~.*?~~~|(`+)(?!`).*?(?<!`)\1(?!`)|\$\$.*?\$\$|(?<![\\$])\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)"
                  r"|https?://\S+|\]\([^()\s]*\)|<!--.*?-->|<[a-zA-Z/][^>\n]*>", re.S)
# The titles of papers are spelled as they are: in a reference, in the table of references, in the register of claims.
TITLE = re.compile(r"(?<=: )\*[^*]+\*|^\| \[\d{4}\.\d{5}[^|]*\|[^|]*\||^source = .*$", re.M)


def blank(found: re.Match) -> str:
    return " " + "\n" * found[0].count("\n") + " "


def plain(text: str) -> str:
    """A text without its code."""
    return CODE.sub(blank, text)


def remarks(source: str) -> str:
    """The comments, docstrings and messages of Python source: strings without a space are names."""
    strings = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or token.type in strings and " " in token.string:
            formatted = re.match(r"(?i)[rb]?f[rb]?[\"']", token.string)
            words = FIELD.sub(blank, token.string) if formatted else token.string
            for number, line in enumerate(plain(words).split("\n"), token.start[0]):
                lines[number - 1] += f" {line}"
    return "\n".join(lines)


def texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """(name, text) of everything that is read: each cell of a lesson, each page, each table, each Python file."""
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
            read = plain if cell["cell_type"] == "markdown" else remarks
            yield f"{path.stem}, cell {number}", read("".join(cell["source"]))
    for pattern in ("*.md", "docs/**/*.md", "data/*.md", "data/**/*.toml"):
        for path in sorted(root.glob(pattern)):
            yield str(path.relative_to(root)), plain(path.read_text("utf-8"))
    for pattern in ("course_utils/**/*.py", "tools/*.py"):
        for path in sorted(root.glob(pattern)):
            yield str(path.relative_to(root)), remarks(path.read_text("utf-8"))


def untitled(text: str) -> str:
    """A text without the titles of papers."""
    return TITLE.sub(blank, text)
