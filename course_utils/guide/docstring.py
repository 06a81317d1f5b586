"""What the docstring of a mechanism says, taken apart."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from ..attention import find, formula

PARAGRAPHS = re.compile(r"\n\s*\n")
TAUGHT = re.compile(r"(.*\.) (?:(Taught|Named) in lesson (\d\d)|In no lesson)\b")
PLACE = re.compile(r"Parameters: .*?\. (Authors' s|S)ocket: `\w+`([^.]*)\.(.*)")
OPTION = re.compile(r"(?m)^    (\w[\w, ]*): ")


@dataclass(frozen=True)
class Words:
    """Of one mechanism: texts in one line each, but for the formula, which keeps its lines."""

    what: str                   # its first line: what it is for
    source: str                 # authors, venue, arXiv number
    lesson: str                 # "02"; "" where no lesson names it
    taught: bool                # else it is at most named there
    formula: str
    parameters: str             # their number as a formula
    place: str                  # more about its socket
    theirs: bool                # is that where its authors put it? Else it is the course that did
    options: dict[str, str]     # argument -> what it is, without `channels` and `start`
    notes: str                  # what differs from public code, and what else to know


def line(text: str) -> str:
    """The text in one line, single spaces."""
    return " ".join(text.split())


def options(text: str) -> dict[str, str]:
    """The paragraph of the arguments -> name -> what it is."""
    _, *cut = OPTION.split(text)
    return {names: line(said) for names, said in zip(cut[::2], cut[1::2], strict=True) if names not in ("channels", "start")}


def words(name: str) -> Words:
    """What the docstring of that mechanism says.

    Raises:
        ValueError: no such mechanism, or a docstring without one of the parts; the message says which.
    """
    what, source, *rest = PARAGRAPHS.split(inspect.getdoc(find(name)))
    parts: dict[str, str] = {}
    notes = []
    for text in rest:
        head = re.match(r"(Args|Raises|Parameters):", text)
        key = head[1] if head else "formula" if text.startswith("    ") and "formula" not in parts else ""
        if key:
            parts[key] = text
        else:
            notes.append(line(text))
    taught, place = TAUGHT.match(line(source)), PLACE.match(line(parts.get("Parameters", "")))
    for part, there in {"... in lesson NN. (or In no lesson.)": taught, "a formula, indented": "formula" in parts,
                        "Args:": "Args" in parts, "Parameters: ... socket: `...`": place}.items():
        if not there:
            raise ValueError(f"the docstring of {name!r} lacks {part!r}; see that of attention.SE")
    return Words(line(what), taught[1], taught[3] or "", taught[2] == "Taught", inspect.cleandoc("\n" + parts["formula"]),
                 formula(name), place[2].strip(" ,;"), place[1] != "S", options(parts["Args"]),
                 " ".join([*notes, place[3].strip()]).strip())
