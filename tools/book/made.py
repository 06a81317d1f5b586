"""Pages and parts of pages that the book makes from data: the decision table, the claims, the questions on a lesson."""

from __future__ import annotations

from pathlib import Path

from course_utils import paths, tables
from course_utils.studies import decide
from course_utils.studies.claims import Claim, claims, foot, rows

ANSWER = """\
# The decision table

Every question that the course asks about places, the contrast that was named for it before the first run, and what came out.
"Open" means that not all seeds of a study have run yet, so that there is no verdict. "On other seeds" is the same contrast again,
on seeds that were not used to find it; "weights more" are the parameters of ours minus those of the control. The table is made
from the files of results, by the code that prints it in a terminal: `python -m course_utils.studies answer`.
"""
CLAIMS = """\
# What others have claimed

Published claims about the place of attention in a CNN, in our own words: what was compared with what, where each number was
read, and what could make the difference noise. The same from a terminal: `python -m course_utils.studies claims`; the file is
[claims.toml](data/claims.toml). What our studies found is in the [decision table](answer.md).
"""


def pages(root: Path) -> dict[str, str]:
    """Name -> text."""
    return {"answer": answer(root), "claims": register()}


def answer(root: Path) -> str:
    rows = [[*cells, f"[{file}](data/results/{file})" if (root / "data/results" / file).exists() else file]
            for *cells, file in decide.table()]
    return f"{ANSWER}\n{tables.as_markdown(decide.HEAD, rows)}\n"


def linked(paper: str) -> str:
    """A paper's number as a link; in Markdown a bare address is none."""
    kind, _, number = paper.partition(" ")
    if paper.startswith("github.com/"):
        return f"[{paper}](https://{paper})"
    return f"[{paper}](https://{'arxiv.org/abs' if kind == 'arXiv' else 'doi.org'}/{number})"


def register() -> str:
    found = claims()
    head, cells = rows(found)
    table = tables.as_markdown(head, [[name, linked(paper), *rest] for name, paper, *rest in cells])
    return "\n\n".join([f"{CLAIMS}\n{table}", foot(found), *map(section, found)]) + "\n"


def section(claim: Claim) -> str:
    arms = [[arm.arm, claim.shown(arm.value, arm.metric) if arm.metric else "none read", arm.metric] for arm in claim.compared]
    facts = [f"- **Source:** {claim.source}; {linked(claim.paper)}, {claim.where}.", f"- **Read:** {claim.read}.",
             f"- **Host, data:** {claim.host}; {claim.data}; runs per cell: {claim.n}; {claim.interval or 'no interval'}.",
             f"- **But:** {claim.caution}", *([f"- **Our study:** `{claim.asks}`"] if claim.asks else [])]
    return "\n\n".join([f"## {claim.name}", claim.says, tables.as_markdown(["arm", "value", "metric"], arms), "\n".join(facts)])


def questions(notebook: str) -> str:
    """The questions on a lesson as Markdown, its answers folded; "" where there are none."""
    number = Path(notebook).name[:2]
    if not (paths.DATA / "quiz" / f"{number}.toml").exists():
        return ""
    from course_utils import quiz

    return f"## Questions\n\n{quiz.folded(number)}"
