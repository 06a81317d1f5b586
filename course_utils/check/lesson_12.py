"""Checks of lesson 12, each with the wrong answers that it rejects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..stats import holm
from .report import Mistake, Report, exercise, rough_number


@exercise("Seeds for half the difference", [
    Mistake("the interval shrinks with the square root of the number of pairs: twice as many make it 1.4 times as narrow.", 2),
    Mistake("that is how much narrower two times as many pairs make the interval; asked is how many it takes.", 2 ** 0.5),
    Mistake("the number of pairs grows with the square of what is to be seen, not with its third power.", 8),
    Mistake("that is fewer pairs for a smaller difference; it takes more.", 0.25),
    Mistake("that is half as many for half the difference; a smaller difference takes more.", 0.5),
    Mistake("one more for each half is not enough: think of the square root in the interval.", 3),
])
def seed_factor(report: Report, answer: float) -> None:
    """The interval is as wide as 1 / sqrt(n): half the difference takes four times the pairs."""
    rough_number(report, answer, 4, "times as many pairs", 1e-6)


def common(ours: dict, control: dict) -> list:
    return sorted(ours.keys() & control.keys())


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def number_from(report: Report, call: str, got: Any, wanted: float, wrong: Callable[[Any], float]) -> None:
    """A single number, or the known mistake that gives it."""
    if isinstance(got, bool) or not isinstance(got, int | float):
        report.wrong(f"{call}: a number was expected, got {type(got).__name__} {got!r}")
    if not math.isclose(got, wanted, abs_tol=1e-9):
        report.wrong(f"{call}: got {got:.4f}, expected {wanted:.4f}", cause(report, got, wrong))
    report.right(f"{call}: {got:.4f}")


def cause(report: Report, got: Any, wrong: Callable[[Any], Any]) -> str:
    """That of the known mistake which gives exactly this."""
    for mistake in report.mistakes:
        try:
            value = wrong(mistake.answer)
        except Exception:      # this mistake cannot be made on this input
            continue
        pairs = zip(value, got, strict=True) if isinstance(got, list) and len(got) == len(value) else [(value, got)]
        if all(isinstance(a, int | float) and isinstance(b, int | float) and math.isclose(a, b, abs_tol=1e-9) for a, b in pairs):
            return mistake.cause
    return ""


RUNS = [({0: 0.91, 1: 0.82, 2: 0.87}, {0: 0.90, 1: 0.80, 2: 0.85}),
        ({3: 0.5, 1: 0.9}, {9: 0.1, 1: 0.85, 3: 0.55}),      # in another order, and with a seed that the other lacks
        ({4: 0.6, 5: 0.6, 8: 0.2}, {5: 0.7, 4: 0.8})]


@exercise("A paired gain", [
    Mistake("these are the means over all seeds of each arm; only seeds that both arms have make pairs.",
            lambda ours, control: mean(list(ours.values())) - mean(list(control.values()))),
    Mistake("the values were paired by their place in the dict; pair them by the seed, which is the key.",
            lambda ours, control: mean([a - b for a, b in zip(ours.values(), control.values(), strict=False)])),
    Mistake("that is control - ours; the gain is ours - control.",
            lambda ours, control: mean([control[s] - ours[s] for s in common(ours, control)])),
    Mistake("that is the sum of the differences; divide by the number of pairs.",
            lambda ours, control: sum(ours[s] - control[s] for s in common(ours, control))),
    Mistake("a seed that one arm lacks counts as 0 there; leave it out.",
            lambda ours, control: mean([ours.get(s, 0) - control.get(s, 0) for s in ours.keys() | control.keys()])),
    Mistake("the sign of the differences is gone; keep it: a loss is a negative gain.",
            lambda ours, control: mean([abs(ours[s] - control[s]) for s in common(ours, control)])),
    Mistake("the sum of the pairs is divided by all seeds of the first arm; divide by the number of pairs.",
            lambda ours, control: sum(ours[s] - control[s] for s in common(ours, control)) / len(ours)),
])
def paired_gain(report: Report, answer) -> None:
    """(ours, control), both seed -> accuracy: the mean difference over the seeds that both have."""
    for ours, control in RUNS:
        got = report.call(answer, dict(ours), dict(control))
        wanted = mean([ours[s] - control[s] for s in common(ours, control)])
        number_from(report, f"{len(common(ours, control))} pairs", got, wanted, lambda wrong, a=ours, b=control: wrong(a, b))


def step_down(p: Sequence[float], factor: Callable[[int, int], float], cap: bool = True, climb: bool = True) -> list[float]:
    """Holm's steps, or something like them: factor(rank, m)."""
    order, highest, out = sorted(range(len(p)), key=lambda i: p[i]), 0.0, [0.0] * len(p)
    for rank, i in enumerate(order):
        value = factor(rank, len(p)) * p[i]
        value = min(1.0, value) if cap else value
        highest = max(highest, value) if climb else value
        out[i] = highest
    return out


P_VALUES = [[0.01, 0.04, 0.03, 0.2], [0.5, 0.02], [0.7, 0.6], [0.03], [0.012, 0.9, 0.011, 0.4, 0.02]]


@exercise("Holm's correction", [
    Mistake("every p is multiplied by m, their number: that is Bonferroni's. Holm's factors are m for the smallest, m - 1, ...",
            lambda p: [min(1.0, len(p) * q) for q in p]),
    Mistake("an adjusted p may not be smaller than that of a smaller p: carry the largest so far along.",
            lambda p: step_down(p, lambda rank, m: m - rank, climb=False)),
    Mistake("these are in the order of size; give them back in the order in which they came.",
            lambda p: sorted(step_down(p, lambda rank, m: m - rank))),
    Mistake("a p is never above 1.", lambda p: step_down(p, lambda rank, m: m - rank, cap=False)),
    Mistake("the smallest is multiplied by m - 1; begin with m.",
            lambda p: step_down(p, lambda rank, m: m - rank - 1)),
    Mistake("the smallest has the smallest factor; it is the other way round: m for the smallest, 1 for the largest.",
            lambda p: step_down(p, lambda rank, m: rank + 1)),
    Mistake("that is Benjamini and Hochberg's factor, m / rank, which limits something else: the share of false findings.",
            lambda p: step_down(p, lambda rank, m: m / (rank + 1))),
    Mistake("nothing has been adjusted.", lambda p: list(p)),
])
def holm_adjusted(report: Report, answer) -> None:
    """A list of p values -> the adjusted ones, in the same order."""
    for p in P_VALUES:
        given = list(p)
        got = report.call(answer, given)
        if given != p:
            report.wrong("your function changed the list that it was given",
                         "p.sort() sorts in place; sorted(p) makes a new list.")
        if not isinstance(got, list | tuple) or len(got) != len(p):
            report.wrong(f"{p}: a list of {len(p)} numbers was expected, got {got!r}")
        got, wanted = list(got), holm(p)
        if not all(isinstance(a, int | float) and math.isclose(a, b, abs_tol=1e-9) for a, b in zip(got, wanted, strict=True)):
            report.wrong(f"{p}: got {got}, expected {[round(v, 6) for v in wanted]}",
                         cause(report, got, lambda wrong, p=p: wrong(p)))
        report.right(f"{p}: {[round(v, 6) for v in wanted]}")
