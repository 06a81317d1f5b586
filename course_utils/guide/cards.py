"""The card of a mechanism, put together: as Markdown, and below a cell with its drawing."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

import torch
from IPython.display import display

from .. import attention, cost, plots, tables
from ..studies import Study
from .counted import Price, module, price
from .docstring import Words, words
from .results import Contrast, Measured, Recorded, measured, shown

PAPER, PAPERS = re.compile(r"(?<=arXiv )\d{4}\.\d{5}"), "https://arxiv.org/abs/"
HEAD = ("task and study", "compared", "difference", "took off", "verdict", "on other seeds")
NONE = "Not measured by this course."
LESSON, RESULTS = "../notebooks/{}", "../data/results/{}.jsonl"      # as seen from docs/


def drawing(home: str):
    """The network of the course with that socket lit: a figure, whose alt text says which."""
    fig = plots.emblem(home, labels=False)
    fig.alt = "The network of the course. " + fig.alt[fig.alt.index("Lit: "):]      # what it looks like, a page says once
    return fig


@dataclass(frozen=True)
class Card:
    """All that the course can say of one mechanism. As the last line of a cell it appears with its drawing; `str` is Markdown.

    Args:
        name: of attention.REGISTRY.
        words, price, measured: what the parts of this package found.
        links: where lessons lie, number -> link; those that are not in it are named without one.
    """

    name: str
    words: Words
    price: Price | str
    measured: Measured
    links: dict[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """Label -> text in Markdown."""
        cls, w = attention.find(self.name), self.words
        built, channels = module(self.name)
        lesson = f"[lesson {w.lesson}]({self.links[w.lesson]})" if w.lesson in self.links else f"lesson {w.lesson}"
        return {"source": PAPER.sub(lambda m: f"[{m[0]}]({PAPERS}{m[0]})", w.source),
                "lesson": f"{'Taught' if w.taught else 'Named'} in {lesson}" if w.lesson else "In no lesson",
                "home": ", ".join(filter(None, (f"`{cls.home}`" + ", as its authors have it" * w.theirs, w.place))),
                "class, kind": f"`attention.{cls.__name__}`; {cls.kind}",
                "starts": ", ".join(f"`{start}`" for start in cls.starts),
                "options": "; ".join(self.options) or "none",
                "parameters": f"{w.parameters}. That is {cost.parameters(built):,} for {channels} channels",
                "price": str(self.price)}

    @property
    def options(self) -> list[str]:
        """Arguments with what they are when nothing is said, and what they mean: "`reduction=16`: r, at least 1"."""
        defaults = inspect.signature(attention.find(self.name)).parameters
        return [", ".join(f"`{name}={defaults[name].default!r}`" for name in names.split(", ")) + f": {said.rstrip('.')}"
                for names, said in self.words.options.items()]

    @property
    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows: the contrasts against a network without attention, or with a control in its place."""
        rows = [[f"{task(c)} ({', '.join(map(link, (c.study.name, *c.also)))})", compared(c),
                 outcome(c.study) + shown(c.verdict.difference), ", control ".join(c.solved or ()), c.verdict.word,
                 "; ".join(f"{v.word}, {shown(v.difference)} ({link(name)})" for name, v in c.again)]
                for c in self.measured.contrasts]
        used = [i for i in range(len(HEAD)) if any(row[i] for row in rows)]
        return [HEAD[i] for i in used], [[row[i] for i in used] for row in rows]

    @property
    def others(self) -> list[str]:
        """What was recorded without a contrast of its own, a line for each study and task."""
        return [f"`{b.task}` ({link(b.study.name)}, {b.seeds}): {outcome(b.study)}{grouped(b.arms)}"
                + f". Without: {b.plain}" * bool(b.plain) for b in self.measured.beside]

    @property
    def answers(self) -> list[str]:
        """The questions of the course's answer that it speaks to, but for those that are contrasts above."""
        above = {(f"{c.study.name}.jsonl", f"{c.verdict.ours} - {c.verdict.control}") for c in self.measured.contrasts}
        lines = []
        for question, pair, said, mean, interval, pairs, again, _, file in self.measured.answers:
            if (file, pair) not in above:
                asked = question.removeprefix("... ")
                numbers = f", {mean} ({interval}), n = {pairs}" if mean else ""
                lines.append(f"{asked[0].upper()}{asked[1:]} {pair}: {said}{numbers}" + f"; on other seeds {again}" * bool(again)
                             + f" ({link(file.removesuffix('.jsonl'))})")
        return lines

    def listed(self, title: str, lines: list[str]) -> list[str]:
        return [title + "\n\n" + "\n".join(f"- {line}" for line in lines)] * bool(lines)

    @property
    def results(self) -> list[str]:
        """What was measured, in pieces of Markdown."""
        if not self.measured:
            return [NONE]
        return [*([tables.as_markdown(*self.table)] if self.measured.contrasts else []),
                *self.listed("Between its places and settings, from the answer of the course:", self.answers),
                *self.listed("Recorded, without a contrast that was named beforehand:", self.others)]

    @property
    def notes(self) -> str:
        return f"**To know.** {self.words.notes}" if self.words.notes else ""

    def markdown(self, picture: str = "") -> str:
        """The whole card. `picture`: its drawing, as Markdown."""
        facts = tables.as_markdown(("", ""), self.facts.items())
        pieces = [f"### `{self.name}`", self.words.what, picture, f"```text\n{self.words.formula}\n```", facts,
                  "**Measured**", *self.results, self.notes]
        return "\n\n".join(filter(None, pieces)) + "\n"

    def __str__(self) -> str:
        return self.markdown()

    def _ipython_display_(self) -> None:
        plots.show(drawing(attention.find(self.name).home), f"{self.name}: {self.words.what}")
        text = self.markdown()
        display({"text/markdown": text, "text/plain": text}, raw=True)


def link(study: str) -> str:
    return f"[{study}]({RESULTS.format(study)})"


def task(line: Contrast) -> str:
    """The task, and the host where it is not the small one."""
    host = line.study.trial(line.verdict.ours, 0).host
    return f"`{line.task}`" + f", {host}" * (host != "small_host")


def grouped(arms: dict[str, str]) -> str:
    """Arms by what came out, which is said once; counts from many to few."""
    found: dict[str, list[str]] = {}
    for arm, came in arms.items():
        found.setdefault(came, []).append(f"`{arm}`")
    if all(" of " in came for came in found):
        found = dict(sorted(found.items(), key=lambda item: int(item[0].partition(" of ")[0]), reverse=True))
    return "; ".join(f"{came}: {', '.join(names)}" for came, names in found.items())


def compared(line: Contrast) -> str:
    """Ours - control. What both are under is said once, and the task not again."""
    ours, control = line.verdict.ours, line.verdict.control
    under = ours.partition(": ")[0] + ": "
    if control.startswith(under):
        control = control.removeprefix(under)
    return f"{ours.removeprefix(f'{line.task}: ')} - {control}"


def outcome(study: Study) -> str:
    """Its name before the number, where it is not the accuracy."""
    return "" if study.outcomes[0] == "accuracy" else f"{study.outcomes[0]} "


def card(name: str, found: Recorded | None = None, links: dict[str, str] | None = None) -> Card:
    """The card of that mechanism, made now: it is counted and the files of results are read, which takes some seconds.

        card("se")

    Args:
        name: of attention.REGISTRY.
        found: what `measured.recorded()` gave, where more than one card is made.
        links: of the lessons, number -> link.

    Raises:
        ValueError: no such mechanism; the message lists the names and the closest one.
    """
    with torch.random.fork_rng(devices=[]):      # what is made to be counted is not to shift the numbers of a cell below
        return Card(name, words(name), price(name), measured(name, found), links or {})
