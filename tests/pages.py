"""The code blocks of a page in docs/, and running them as they stand there."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).resolve().parents[1] / "docs"
OURS = {"course_utils", "torch", "torchvision"}      # what is always there
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@functools.cache
def sections(page: str) -> dict[str, str]:
    """Title -> text, of the sections of a page."""
    _, *rest = re.split(r"^## ", (DOCS / page).read_text("utf-8"), flags=re.M)
    return {title: text for title, _, text in (part.partition("\n") for part in rest)}


def code(page: str, title: str, language: str = "python") -> list[str]:
    """The blocks of a section in this language."""
    return [block for name, block in FENCE.findall(sections(page)[title]) if name == language]


def strangers(source: str) -> set[str]:
    """The packages that it imports and the course does not need."""
    lines = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in lines}
    return {name.partition(".")[0] for name in names} - OURS


def run(page: str, title: str) -> dict:
    """Run the blocks of a section one after the other, as one reader would; returns their names. Skips what is not installed."""
    source = "\n".join(code(page, title))
    for package in sorted(strangers(source)):
        pytest.importorskip(package)
    torch.manual_seed(0)
    names: dict = {"__name__": "page"}
    exec(compile(source, f"docs/{page}, {title}", "exec"), names)
    return names


def untested(page: str, tests: str) -> set[str]:
    """Sections with code that this file of tests does not name."""
    text = Path(tests).read_text("utf-8")
    return {title for title in sections(page) if code(page, title) and f'"{title}"' not in text}


def table(page: str, title: str) -> list[list[str]]:
    """The rows of the table of a section, without its head."""
    lines = [line for line in sections(page)[title].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]
