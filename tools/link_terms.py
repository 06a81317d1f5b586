"""Link a word of the glossary where a lesson uses it first:

    python tools/link_terms.py [NOTEBOOK ...]           all lessons, if none is named
    python tools/link_terms.py --check [NOTEBOOK ...]   changes nothing; exit code 1 if something would change

Only the text of a lesson is touched, from its first cell to its exercises; in it no code, formula, heading, table, folded
part or other link. A word that is explained where it stands, which is where it is **bold** by itself, gets no link, nor has it
one further down. Links to the glossary that are there already are taken out first, so a second run changes nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from make_glossary import ROOT, Term, terms

GLOSSARY = "../docs/glossary.md"
OURS = re.compile(r"\[([^\[\]]*)\]\(" + re.escape(GLOSSARY) + r"#([a-z0-9-]+)\)")
EXERCISES = re.compile(r"^## Exercises\s*$", re.M)
# What is left alone. Inline code comes last: a form in `backticks` may stand for all of one.
SEALED = [re.compile(p, flags) for p, flags in (
    (r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.M | re.S),      # code
    (r"<details>.*?</details>", re.S),
    (r"<!--.*?-->", re.S),
    (r"^ {0,3}#{1,6} .*$", re.M),                        # headings
    (r"^ {0,3}\|.*$", re.M),                             # tables
    (r"\$\$.*?\$\$", re.S),
    (r"(?<![\\$])\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)", 0),   # formulas
    (r"\[!\[.*?\]\(.*?\)\]\(.*?\)", 0),                  # badges
    (r"!?\[[^\[\]]*\]\([^()\s]*\)", 0),                  # links, pictures
    (r"<[a-zA-Z/][^>]*>", 0),
    (r"https?://\S+", 0),
)]
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.S)
BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", re.S)


def pattern(phrases: tuple[str, ...]) -> re.Pattern | None:
    """Any of the phrases, as whole words, the longest first; a star stands for letters, a space for any white space."""
    if not phrases:
        return None
    words = sorted((re.escape(p).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for p in phrases), key=len, reverse=True)
    return re.compile(r"(?<![\w`-])(?:" + "|".join(words) + r")(?![\w`]|-\w)", re.I)


def inside(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Does it touch one of them?"""
    return any(a < span[1] and span[0] < b for a, b in others)


def uses(term: Term, text: str) -> list[tuple[int, int]]:
    """Where the text uses the term in the sense of the glossary."""
    sealed = [m.span() for kind in SEALED for m in kind.finditer(text)]
    code = [m.span() for m in CODE.finditer(text) if not inside(m.span(), sealed)]
    others = [m.span() for m in (pattern(term.excluded).finditer(text) if term.excluded else ())]
    found = []
    for m in pattern(term.forms).finditer(text):
        a, b = m.span()
        covered = [span for span in code if inside((a, b), [span])]
        whole = all(a <= c and d <= b for c, d in covered)
        if whole and not inside((a, b), sealed) and not any(c <= a and b <= d for c, d in others):
            found.append((a, b))
    return found


def explained(span: tuple[int, int], text: str) -> bool:
    """Is it by itself in bold? Lessons set a word in bold where they say what it means."""
    for m in BOLD.finditer(text):
        if m.start(1) <= span[0] and span[1] <= m.end(1):
            return not re.search(r"\w", text[m.start(1):span[0]] + text[span[1]:m.end(1)])
    return False


def prose(nb: dict) -> dict[int, tuple[str, str]]:
    """Of each cell with text, by its number: what may be changed, and the rest, from the exercises on."""
    found = {}
    for i, cell in enumerate(nb["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        text = "".join(cell["source"])
        end = EXERCISES.search(text)
        found[i] = (text[:end.start()], text[end.start():]) if end else (text, "")
        if end:
            break
    return found


def unlinked(text: str) -> str:
    return OURS.sub(r"\1", text)


def first_uses(texts: dict[int, str], words: list[Term]) -> list[tuple[int, int, int, Term]]:
    """(cell, from, to, term) of what is to be linked: the first use of each term, unless it is explained there."""
    taken: dict[int, list[tuple[int, int]]] = {}
    chosen = []
    for term in sorted(words, key=lambda t: -max(map(len, t.forms))):
        places = ((i, *span) for i, text in texts.items() for span in uses(term, text)
                  if not inside(span, taken.get(i, [])))
        if (place := next(places, None)) is None:
            continue
        i, a, b = place
        taken.setdefault(i, []).append((a, b))
        if not explained((a, b), texts[i]):
            chosen.append((i, a, b, term))
    return sorted(chosen, key=lambda c: c[:2])


def link(nb: dict, words: list[Term]) -> list[str]:
    """Link the first uses, in place; returns the names of the terms that have a link now."""
    parts = prose(nb)
    texts = {i: unlinked(text) for i, (text, _) in parts.items()}
    chosen = first_uses(texts, words)
    for i, a, b, term in reversed(chosen):
        texts[i] = f"{texts[i][:a]}[{texts[i][a:b]}]({GLOSSARY}#{term.anchor}){texts[i][b:]}"
    for i, text in texts.items():
        nb["cells"][i]["source"] = (text + parts[i][1]).splitlines(keepends=True)
    return [term.name for *_, term in chosen]


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing")
    asked = parser.parse_args(args)
    words, changed = terms(), 0
    for path in asked.notebooks or sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        before = path.read_text(encoding="utf-8")
        nb = json.loads(before)
        linked = link(nb, words)
        after = json.dumps(nb, indent=1, ensure_ascii=False) + "\n"
        if after != before:
            changed += 1
            if not asked.check:
                path.write_text(after, encoding="utf-8")
        print(f"{path.name}: {'would change' if asked.check and after != before else 'linked'}: {', '.join(linked) or 'nothing'}")
    return int(asked.check and changed > 0)


if __name__ == "__main__":
    sys.exit(main())
