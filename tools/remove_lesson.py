"""Take lessons out of a copy of the course, and every trace that would point at nothing.

    python tools/remove_lesson.py 05 07           the notebooks go, with their rows, links, quizzes and pages for teachers
    python tools/remove_lesson.py 05 --dry-run    says what would change, and changes nothing

A link to a lesson that is gone becomes plain words; where a command or a badge names it, the first lesson that is left takes its
place. Checks, studies and terms of the glossary stay: other lessons use them. Undo it with git.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md")
BESIDE = ("data/quiz/{}.toml", "docs/teaching/{}.md")      # what belongs to one lesson
# What is made from the lessons that are there.
REMAKE = ("make_glossary.py", "make_map.py", "make_recall.py", "make_index.py")
LAST = ("make_teaching.py",)      # counts the words as they stand in the end


class Mistake(Exception):
    """Something in the input that the user can put right."""


def lessons(root: Path) -> dict[str, Path]:
    """Number -> notebook."""
    return {path.name[:2]: path for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def without(text: str, name: str, first: str) -> str:
    """A text in Markdown that no longer leads to the notebook `name`; `first` is the first lesson that is left."""
    file = re.escape(name)
    text = re.sub(rf"(?m)^\| \d\d \| \[[^\]]*\]\(notebooks/{file}\).*\n", "", text)      # its row in the table of lessons
    text = re.sub(rf"\[([^\[\]]+)\]\((?:[^()\s:]*/)?{file}(?:#[^()\s]*)?\)", r"\1", text)
    return text.replace(name, first)


def rewritten(path: Path, change: Callable[[str], str]) -> str:
    """The text of a page or of a notebook with `change` made in its words; in a notebook code and outputs stay."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return change(text)
    book = json.loads(text)
    for cell in book["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = change("".join(cell["source"])).splitlines(True)
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def remove(root: Path, numbers: list[str], dry_run: bool = False) -> list[str]:
    """Take them out; what was done, a line each.

    Raises:
        Mistake: no such lesson, or none would be left. Nothing is changed then.
    """
    there = lessons(root)
    if unknown := [n for n in numbers if n not in there]:
        raise Mistake(f"there is no lesson {', '.join(unknown)}. There are: {', '.join(there)}")
    left = [path for n, path in there.items() if n not in numbers]
    if not left:
        raise Mistake("no lesson would be left")
    gone = [there[n] for n in dict.fromkeys(numbers)]
    gone += [path for n in dict.fromkeys(numbers) for form in BESIDE if (path := root / form.format(n)).exists()]
    pages = [path for form in PAGES for path in sorted(root.glob(form)) if path not in gone]
    said = [f"removed {path.relative_to(root)}" for path in gone]
    names = [path.name for path in gone if path.suffix == ".ipynb"]

    beside = [path.name for path in gone if path.suffix == ".md"]

    def change(text: str) -> str:
        for name in names:
            text = without(text, name, left[0].name)
        for name in beside:      # a link to its page for teachers becomes plain words
            text = re.sub(rf"\[([^\[\]]+)\]\((?:[^()\s:]*/)?{re.escape(name)}(?:#[^()\s]*)?\)", r"\1", text)
        return text

    texts = {path: rewritten(path, change) for path in (*pages, *left)
             if any(name in path.read_text("utf-8") for name in (*names, *beside))}
    said += [f"changed {path.relative_to(root)}" for path in texts]
    if not dry_run:
        for path, text in texts.items():
            path.write_text(text, "utf-8")
        for path in gone:
            path.unlink()
        # A word may have its first use elsewhere now: in what was a link.
        changed = [str(path) for path in texts if path.suffix == ".ipynb"]
        for command in (*([tool] for tool in REMAKE), *(["link_terms.py", path] for path in changed),
                        *([tool] for tool in LAST)):
            subprocess.run([sys.executable, str(root / "tools" / command[0]), *command[1:]], cwd=root, check=True,
                           stdout=subprocess.DEVNULL)
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description="Take lessons out of a copy of the course.")
    parser.add_argument("numbers", nargs="+", metavar="NN", help="two digits, as the notebook's name begins")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    args = parser.parse_args()
    try:
        print("\n".join(remove(ROOT, args.numbers, args.dry_run)))
    except Mistake as mistake:
        print(f"remove_lesson: {mistake}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
