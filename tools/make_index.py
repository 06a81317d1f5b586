"""Write docs/index_of_terms.md, where each mechanism, socket and word is taught and used: python tools/make_index.py

Everything comes from the lessons: headings, what is set in bold where it is explained, what the code builds, which sockets the
emblem lights. The lesson that teaches a mechanism is the one that its docstring names; that of a word, the glossary's.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from link_terms import BOLD, unlinked, uses  # noqa: E402
from make_glossary import lessons, terms  # noqa: E402

PAGE = ROOT / "docs" / "index_of_terms.md"
OFTEN = 7      # what is in more other lessons than this is everywhere
OPENING, LAST = "opening", "Exercises"
HEAD = """# Index

Where each mechanism, each socket and each word of the course is taught, and which other lessons use it. What a word means: the
[glossary](glossary.md). This page is made from the lessons: `python tools/make_index.py`.
"""
# How the texts call a mechanism, where that is not the name of its class.
CALLED = {
    "se": "SE|Squeeze-and-Excitation", "gct": "GCT|gated channel transformation", "ge": "gather-excite",
    "ge_learned": "gather-excite", "channel_gate": "CBAM", "ese": "effective SE|eSE",
    "spatial_gate": "spatial gates?", "sse": "sSE", "attention_gate": "attention gates?",
    "residual_mask": "residual attention(?: network)?", "lka": "large-kernel attention|LKA",
    "lska": "large separable kernel attention|LSKA", "scse": "scSE", "coordinate": "coordinate attention",
    "triplet": "triplet attention", "shuffle": "shuffle attention", "iaff": "iAFF|iterative attentional feature fusion",
    "aff": "AFF|attentional feature fusion", "non_local": "non-local(?: block)?", "gc": "GC",
    "efficient": "linear attention", "criss_cross": "criss-cross", "double": "double attention", "halo": "halo|HaloNet",
    "sk": "selective kernels?|SK", "split": "split attention", "dynamic_conv": "dynamic convolutions?",
    "deform_conv": "deformable convolutions?", "pixel_gate": "pixel gates?|gate on the pixels", "stn": "spatial transformer",
    "patches": "patch selection", "attention_pool": "attention pooling|pooling that chooses",
}


@dataclass(frozen=True)
class Section:
    """A part of a lesson under one heading: its words without links, and its code."""

    heading: str
    words: str
    code: str


def sections(path: Path) -> list[Section]:
    """Those of a lesson, its references left out; the first is what stands before the first heading, the emblem with it."""
    first, *cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [[OPENING, "", ""]]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] != "markdown":
            parts[-1][2] += source + "\n"
            continue
        before, *rest = re.split(r"^## (.+)$", unlinked(source), flags=re.M)
        parts[-1][1] += before
        parts += [[heading, words, ""] for heading, words in zip(rest[::2], rest[1::2], strict=True)]
    return [Section(*part) for part in parts if part[0] != "References"]


def mentions(pattern: str) -> Callable[[str], int]:
    """How often a text names it: as a whole word, also at the beginning of a sentence."""
    forms = (f"[{form[0].upper()}{form[0]}]{form[1:]}" if form[0].islower() else form for form in pattern.split("|"))
    found = re.compile(rf"(?<![\w-])(?:{'|'.join(forms)})(?![\w-])")
    return lambda text: len(found.findall(text))


def place(parts: list[Section], count: Callable[[str], int], bold_first: bool = False) -> str:
    """The heading under which it is taught: one that names it, or where it stands in bold, or where it comes up most.

    With `bold_first` bold counts most, as words are set where they are explained. Exercises come last.
    """
    def weight(part: Section) -> tuple[bool, int, int, int]:
        named = count(part.heading)
        bold = sum(count(words) for words in BOLD.findall(part.words) if not bold_first or len(words.split()) < 4)
        return part.heading != LAST, *((bold, named) if bold_first else (named, bold)), count(part.words)

    best = max((part for part in parts if any(weight(part)[1:])), key=weight, default=None)
    return best.heading if best else ""


def mechanisms(course: dict[str, list[Section]]) -> Iterator[tuple[str, str, str, list[str]]]:
    """(name, lesson, heading, other lessons) of each mechanism of the registry."""
    from course_utils import attention

    for name, cls in attention.REGISTRY.items():
        count = mentions(CALLED.get(name, cls.__name__))
        made = re.compile(rf'"{name}"|\battention\.{cls.__name__}\b')
        said = re.search(r"(?:Taught|Named) in lesson (\d\d)", cls.__doc__)
        lesson = said[1] if said else ""
        others = [number for number, parts in course.items() if number != lesson
                  and any(made.search(part.code) for part in parts) | (sum(count(part.words) for part in parts) > 1)]
        yield f"`{name}`", lesson, place(course.get(lesson, []), count), others


def lit(source: str) -> set[str]:
    """The sockets that the emblem of a lesson lights, from its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "emblem":
            for keyword in node.keywords:
                if keyword.arg == "lit":
                    names = ast.literal_eval(keyword.value)
                    found |= {names} if isinstance(names, str) else set(names)
    return found


def sockets(course: dict[str, list[Section]]) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """(name, where it is, lessons whose emblem lights it, others whose code or words use it) of each socket."""
    from course_utils.plots.hosts import SOCKETS

    shining = {number: lit("\n".join(part.code for part in parts)) for number, parts in course.items()}
    for name, (_, where) in SOCKETS.items():
        lights = [number for number, names in shining.items() if name in names]
        others = [number for number, parts in course.items() if number not in lights and any(
            f'at="{name}"' in part.code for part in parts) | (sum(part.words.count(f"`{name}`") for part in parts) > 1)]
        yield f"`{name}`", where, lights, others


def words(course: dict[str, list[Section]]) -> Iterator[tuple[str, str, str, list[str]]]:
    """(name, lesson, heading, other lessons) of each term of the glossary, in the order of the alphabet."""
    for term in sorted(terms(), key=lambda term: term.name):
        def count(text: str, term=term) -> int:
            return len(uses(term, text))

        call = f"attention.{term.name.split()[0]}("
        others = [number for number, parts in course.items() if number != term.lesson
                  and any(count(part.words) or call in part.code for part in parts if part.heading != LAST)]
        parts = course.get(term.lesson, [])
        heading = place(parts, count, bold_first=True)
        if not heading:      # "frozen gate" is `attention.frozen` there
            word = mentions(term.name.split()[0])
            heading = place(parts, lambda text, word=word: word(text)) or place(
                [Section(part.heading, part.code, "") for part in parts], word)
        yield f"[{term.name}](glossary.md#{term.anchor})", term.lesson, heading, others


def page() -> str:
    """The whole page."""
    files = lessons()
    course = {number: sections(ROOT / "notebooks" / name) for number, name in files.items()}

    def link(numbers: list[str]) -> str:
        return ", ".join(f"[{n}](../notebooks/{files[n]})" if n in files else n for n in numbers)

    def others(numbers: list[str]) -> str:
        return link(numbers) if len(numbers) <= OFTEN else f"{len(numbers)} others"

    def taught(lesson: str, heading: str, otherwise: str = "its docstring") -> str:
        return f"{link([lesson])}, {heading}" if heading else f"no lesson: see {otherwise}"

    blocks = [HEAD, "## Mechanisms", "", "| mechanism | taught in | also in |", "| --- | --- | --- |"]
    blocks += [f"| {name} | {taught(lesson, heading)} | {others(rest)} |" for name, lesson, heading, rest in mechanisms(course)]
    blocks += ["", "## Sockets", "", "What the emblem of a lesson lights is its subject.", "",
               "| socket | where | subject of | also in |", "| --- | --- | --- | --- |"]
    blocks += [f"| {name} | {where} | {link(lights)} | {others(rest)} |" for name, where, lights, rest in sockets(course)]
    blocks += ["", "## Words", "", "| word | explained in | also in |", "| --- | --- | --- |"]
    blocks += [f"| {name} | {taught(lesson, heading, 'the glossary')} | {others(rest)} |"
               for name, lesson, heading, rest in words(course)]
    return "\n".join(blocks) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
