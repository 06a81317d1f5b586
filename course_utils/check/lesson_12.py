"""Checks of lesson 12, each with the wrong answers that it rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from torch import Tensor

from ..stats import holm
from .core import shown
from .report import Mistake, Report, exercise, rough_number, untouched


@exercise("Seeds for half the difference", [
    Mistake("the interval shrinks with the square root of the number of pairs: twice as many make it 1.4 times as narrow.", 2),
    Mistake("that is how much narrower two times as many pairs make the interval; asked is how many it takes.", 2 ** 0.5),
    Mistake("the number of pairs grows with the square of what is to be seen, not with its third power.", 8),
    Mistake("that is the number of seeds; asked is how many times as many as before.", 32),
    Mistake("that is how many seeds more; asked is how many times as many.", 24),
    Mistake("that is fewer pairs for a smaller difference; it takes more.", 0.25),
    Mistake("that is half as many for half the difference; a smaller difference takes more.", 0.5),
    Mistake("one more for each half is not enough: think of the square root in the interval.", 3),
])
def seed_factor(report: Report, answer: float) -> None:
    """The interval is as wide as 1 / sqrt(n): half the difference takes four times the pairs.

    About: with few pairs t is larger, so that `stats.seeds_needed` asks for 3.25 times 8, and for 3.8 times 34.
    """
    rough_number(report, answer, 4, "times as many pairs", 0.8)


def common(ours: dict, control: dict) -> list:
    return sorted(ours.keys() & control.keys())


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


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
        given = [dict(ours), dict(control)]
        got = report.call(answer, *given)
        untouched(report, given, [ours, control])
        wanted = mean([ours[s] - control[s] for s in common(ours, control)])
        call = f"{len(common(ours, control))} pairs"
        report.agree(report.number(got, call), wanted, call)


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
    Mistake("that is Benjamini and Hochberg's way, from the largest p down, which limits the share of false findings.",
            lambda p: [min([1.0, *(len(p) * q / sum(r <= q for r in p) for q in p if q >= one)]) for one in p]),
    Mistake("the factors were given in the order in which the p values came: m is for the smallest p, wherever it stands.",
            lambda p: list(accumulate((min(1.0, (len(p) - k) * q) for k, q in enumerate(p)), max))),
    Mistake("the smallest has the smallest factor; it is the other way round: m for the smallest, 1 for the largest.",
            lambda p: step_down(p, lambda rank, m: rank + 1, climb=False)),
    Mistake("nothing has been adjusted.", lambda p: list(p)),
])
def holm_adjusted(report: Report, answer) -> None:
    """A list of p values -> the adjusted ones, in the same order."""
    for p in P_VALUES:
        given = list(p)
        got = report.call(answer, given)
        untouched(report, [given], [p])
        if not isinstance(got, Sequence | np.ndarray | Tensor) or isinstance(got, str) or len(got) != len(p):
            report.wrong(f"{p}: a list of {len(p)} numbers was expected, got {shown(got)}")
        report.agree([report.number(value, f"each of the results for {p}") for value in got], holm(p), str(p))
