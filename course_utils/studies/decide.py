"""The answer of the course in a table, made from the files of results: what was asked, what came out, with how many seeds.

`python -m course_utils.studies answer` prints it. A row whose study has not run, or not with all its seeds, says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..tables import as_html, as_text
from . import verdict
from .answer import apart, both, clutter, longer, nearest, norms, relate, shuffled, subtle, what
from .catalogue import CATALOGUE
from .follow import clothes, equal_reach, one_summary, photographs, residual
from .results import read
from .study import Study
from .trial import Result
from .verdict import UNCLEAR, Verdict


@dataclass(frozen=True)
class Row:
    """One line of the answer: a question, and the contrast that speaks to it."""

    question: str
    study: Study
    ours: str
    control: str
    first: bool = False     # among those of the README

    @property
    def again(self) -> Study | None:
        """The same study on other seeds, where there is one."""
        return CATALOGUE.get(f"{self.study.name}_again")


ROWS = (
    Row("A choice between channels: early rather than late?", what, "ECA, post 1", "ECA, post 4", first=True),
    Row("A choice between places, gate of 15x15: late rather than early?", nearest, "15x15, post 4", "15x15, post 1",
        first=True),
    Row("... and early with the same weights spread out, to reach as far?", nearest,
        "15x15, every 2nd, post 1", "15x15, post 1", first=True),
    Row("... and for a small window, spread out?", nearest, "7x7, every 2nd, post 2", "7x7, post 2"),
    Row("... and early against late, where both see equally far?", equal_reach, "sees 63, early", "sees 63, late"),
    Row("Two places compared, pair by pair (non-local): late rather than early?", relate, "non-local, post 3",
        "non-local, post 1"),
    Row("Two places compared by one summary of the picture (GC): late rather than early?", one_summary, "GC, post 4",
        "GC, post 1", first=True),
    Row("Late channel gate, colours kept apart: does it work again?", apart, "apart: SE, post 4", "mixed: SE, post 4"),
    Row("Late channel gate: better where the colours stay apart than in as small a host that mixes them?", shuffled,
        "apart: SE, post 4", "shuffled: SE, post 4", first=True),
    Row("Channels, three times the steps: early rather than late?", longer, "ECA, input", "ECA, post 3"),
    Row("Channels, in a residual host: early rather than late?", residual, "SE, post 1", "SE, post 3"),
    Row("Before and after, against before alone?", both, "SE, both", "SE, pre, picture left out"),
    Row("Before and after, against after alone?", both, "SE, both", "SE, post", first=True),
    Row("... against before alone, with ECA?", both, "ECA, both", "ECA, pre, picture left out"),
    Row("... against after alone, with ECA?", both, "ECA, both", "ECA, post"),
    Row("Near-identical objects: after rather than before?", subtle, "SE, post", "SE, pre", first=True),
    Row("Much clutter, large picture: before rather than after?", clutter, "96, 60: spatial gate, pre",
        "96, 60: spatial gate, post", first=True),
    Row("Clothes (Fashion-MNIST): SE after rather than before?", clothes, "SE, post", "SE, pre"),
    Row("Photographs (small CIFAR-10): SE after, against nothing?", photographs, "SE, post", "plain", first=True),
    Row("A fresh gate in a trained host, norms not settled?", norms, "SE, as made", "nothing", first=True),
    Row("... after the norms have seen 100 batches?", norms, "SE, as made, norms 100", "nothing"),
)
HEAD = ("question", "compared", "answer", "difference", "95 % interval", "pairs", "on other seeds", "weights more", "file")


def found(row: Row, study: Study | None) -> tuple[Verdict | None, list[Result]]:
    """What a study says of the contrast, as far as it has run, and its results."""
    results = [r for r in read(study.path) if r.error is None] if study and study.path.exists() else []
    said = [v for v in verdict.verdicts(study, results) if (v.ours, v.control) == (row.ours, row.control)] if results else []
    return (said[0] if said else None), results


def weights(row: Row, results: Sequence[Result]) -> str:
    """Parameters of ours minus those of the control."""
    ours, control = (fmean(r.parameters for r in results if r.trial.arm == row.study.trial(arm, 0).arm)
                     for arm in (row.ours, row.control))
    return f"{ours - control:+,.0f}"


def word(said: Verdict) -> str:
    """The verdict; of one that is not clear, also what the study could have shown, with power 0.8."""
    return f"{said.word} ({said.visible:.3f} would have been seen)" if said.word == UNCLEAR else said.word


def answer(row: Row) -> list[str]:
    """The cells of one row; no verdict before all seeds of the study have run."""
    compared, file = f"{row.ours} - {row.control}", f"{row.study.name}.jsonl"
    said, results = found(row, row.study)
    if said is None:
        return [row.question, compared, "not run yet", "", "", "0", "", "", file]
    d, again = said.difference, found(row, row.again)[0]
    return [row.question, compared, word(said), f"{d.mean:+.3f}", f"{d.low:+.3f} to {d.high:+.3f}", str(d.n),
            word(again) if again else "not run yet" if row.again else "", weights(row, results), file]


def table(rows: Sequence[Row] = ROWS) -> list[list[str]]:
    """All rows."""
    return [answer(row) for row in rows]


@dataclass(frozen=True)
class Answer:
    """The table, as text for a terminal and as HTML for a notebook."""

    rows: list[list[str]]

    def __str__(self) -> str:
        return as_text(HEAD, self.rows)

    def _repr_html_(self) -> str:
        open_rows = sum(row[2].startswith(("not run", "open")) for row in self.rows)
        return as_html(HEAD, self.rows, f"{len(self.rows)} questions, {open_rows} of them open.")


def show(rows: Sequence[Row] = ROWS) -> Answer:
    return Answer(table(rows))
