"""What a study says: its arms, its contrasts, and a sentence for each, made from the results and from nothing else.

A difference is clear when the t test, adjusted by Holm for all contrasts of the study, is below 0.05, and the sign-flip test
is too where there are pairs enough for it (six). Where it is not clear, the sentence says how large a difference would have been
seen. Before all seeds of a study have run there is no verdict: whoever looks as they come in, and stops when it pleases, finds
too much.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median, stdev

from .. import names, stats
from ..stats import Difference, Share
from .study import Study
from .trial import Result

CLEAR = 0.05
UNCLEAR = "no clear difference"
WIDTH = 100      # of the lines of a sentence: more is broken in the middle of a word on a page


def shown(p: float) -> str:
    """= 0.031, or < 0.001."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


@dataclass(frozen=True)
class Verdict:
    """One contrast: `ours` minus `control`, seed by seed."""

    ours: str
    control: str
    difference: Difference
    adjusted: float     # p of the t test, by Holm over the contrasts of the study
    flipped: float      # p of the sign-flip test
    visible: float      # the smallest difference that so many pairs with this spread show with power 0.8, among all contrasts
    planned: int        # seeds of the study

    @property
    def clear(self) -> bool:
        fewest = 2 / 2 ** self.difference.n      # no p of the sign-flip test is smaller
        return self.adjusted < CLEAR and (self.flipped < CLEAR or fewest > CLEAR)

    @property
    def word(self) -> str:
        if self.difference.n < self.planned:
            return f"open, {self.difference.n} of {self.planned} seeds"
        if not self.clear:
            return UNCLEAR
        return "higher" if self.difference.mean > 0 else "lower"

    def __str__(self) -> str:
        d = self.difference
        unclear = self.word == UNCLEAR
        tail = f"; a difference of {self.visible:.3f} would have been seen with power 0.8" if unclear else ""
        return (f"{self.ours} - {self.control}: {self.word}, {d.mean:+.3f} (95 % interval {d.low:+.3f} to {d.high:+.3f}, {d.n} "
                f"pairs, p {shown(self.adjusted)} after Holm, sign-flip {shown(self.flipped)}){tail}.")


@dataclass(frozen=True)
class Equivalence:
    """Two arms that should do the same: is the difference within the margin?"""

    one: str
    other: str
    difference: Difference      # with the 90 % interval: inside the margin means equivalent at 5 %
    margin: float
    planned: int

    @property
    def same(self) -> bool:
        return -self.margin < self.difference.low and self.difference.high < self.margin

    def __str__(self) -> str:
        d = self.difference
        word = "the same" if self.same else "not shown to be the same"
        if d.n < self.planned:
            word = f"open, {d.n} of {self.planned} seeds"
        return (f"{self.one} and {self.other}, within {self.margin:.2f}: {word} ({d.mean:+.3f}, 90 % interval {d.low:+.3f} to "
                f"{d.high:+.3f}, {d.n} pairs).")


@dataclass(frozen=True)
class Arm:
    """One arm at the end of training: its accuracies, or where the study has none its first outcome."""

    name: str
    values: tuple[float, ...]
    arrived: Share | None          # how many took off; None where the study has no ceiling
    step: float | None             # median take-off of those that did
    of_those: float | None         # the mean of their values


def arms(study: Study, results: Iterable[Result]) -> list[Arm]:
    """The arms that have been run, in the order of the study."""
    results = list(results)
    ends = study.runs(results, outcome="accuracy") if "accuracy" in study.outcomes else study.runs(results)
    starts = study.runs(results, outcome="take_off") if "take_off" in study.outcomes else {}
    found = []
    for name, seeds in ends.items():
        if not seeds:
            continue
        if not starts:
            found.append(Arm(name, tuple(seeds.values()), None, None, None))
            continue
        there = {seed: step for seed, step in starts[name].items() if math.isfinite(step)}
        found.append(Arm(name, tuple(seeds.values()), stats.share(len(there), len(seeds)),
                         median(there.values()) if there else None,
                         sum(seeds[s] for s in there) / len(there) if there else None))
    return found


def less(ours: Mapping[int, float], control: Mapping[int, float]) -> dict[int, float]:
    """Seed -> ours - control, over the seeds that both have.

    Raises:
        ValueError: one of them is not finite, as the take-off of a run that had none.
    """
    seeds = sorted(ours.keys() & control.keys())
    if endless := [seed for seed in seeds if not (math.isfinite(ours[seed]) and math.isfinite(control[seed]))]:
        raise ValueError(f"seed {endless[0]}: {ours[endless[0]]} and {control[endless[0]]} have no difference. Where runs do not "
                         "take off, compare how many do: verdict.arms, or k of n by stats.share.")
    return {seed: ours[seed] - control[seed] for seed in seeds}


def gained(study: Study, results: Iterable[Result], outcome: str | None = None,
           over: str = "plain") -> dict[str, dict[int, float]]:
    """Arm -> seed -> how much more than the arm `over` with the same seed; arms that have no pair yet are left out.

    `outcome`: one of the study's; None: the first.
    """
    runs = study.runs(list(results), outcome=outcome)
    control = names.find("arm", over, runs)
    return {arm: more for arm in runs if arm != over and (more := less(runs[arm], control))}


def verdicts(study: Study, results: Iterable[Result], outcome: str | None = None) -> list[Verdict]:
    """A verdict for each contrast of which at least two pairs have run. Holm counts all contrasts and trends, run or not."""
    runs = study.runs(list(results), outcome=outcome)
    # A contrast compares two arms, a trend two differences.
    sides = {pair: (runs[pair[0]], runs[pair[1]]) for pair in study.contrasts}
    sides |= {(f"({a} - {b})", f"({c} - {d})"): (less(runs[a], runs[b]), less(runs[c], runs[d])) for a, b, c, d in study.trends}
    pairs = {pair: list(less(*both).values()) for pair, both in sides.items() if len(less(*both)) >= 2}
    p = {pair: stats.t_test(values) for pair, values in pairs.items()}
    missing = len(sides) - len(pairs)
    adjusted = dict(zip(p, stats.holm([*p.values(), *[1.0] * missing]), strict=False))
    level = 1 - CLEAR / max(1, len(sides))      # Bonferroni's: that of one contrast alone would promise more than Holm keeps
    return [Verdict(*pair, stats.difference(*sides[pair]), adjusted[pair],
                    stats.sign_flip(values), stats.visible(stdev(values), len(values), level=level), len(study.seeds))
            for pair, values in pairs.items()]


def equivalences(study: Study, results: Iterable[Result]) -> list[Equivalence]:
    """For the pairs of arms that should do the same."""
    runs = study.runs(list(results))
    return [Equivalence(one, other, stats.difference(runs[one], runs[other], level=0.9), study.margin,
                        len(study.seeds))
            for one, other in study.same if len(runs[one].keys() & runs[other].keys()) >= 2]


def sentences(study: Study, results: Iterable[Result]) -> str:
    """All that the study was made to say, one line each."""
    results = list(results)
    lines = [str(found) for found in (*verdicts(study, results), *equivalences(study, results))]
    said = "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)
    return said or f"{study.name}: no contrast has two pairs of runs yet."


def arm_rows(study: Study, results: Iterable[Result]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of arms.

    Where runs take off or do not, their values fall in clumps, of which an interval of the mean says nothing: the lowest and the
    highest stand there instead.
    """
    found = arms(study, results)
    counted = any(arm.arrived for arm in found)
    what = "accuracy" if "accuracy" in study.outcomes else study.outcomes[0]
    head = ["arm", "n", f"{what} at the end", "lowest to highest" if counted else "95 % interval",
            "took off", "95 % interval", "median step", "of those"]
    rows = []
    for arm in found:
        mean, low, high = stats.t_interval(arm.values)
        if counted:
            low, high = min(arm.values), max(arm.values)
        row = [arm.name, str(len(arm.values)), f"{mean:.3f}", "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"]
        if arm.arrived:
            row += [f"{arm.arrived.k} of {arm.arrived.n}", f"{arm.arrived.low:.2f} to {arm.arrived.high:.2f}",
                    "" if arm.step is None else f"{arm.step:.0f}", "" if arm.of_those is None else f"{arm.of_those:.3f}"]
        rows.append(row)
    return head[:max(map(len, rows), default=4)], rows


def solved_rows(runs: Mapping[str, Mapping[int, float]], level: float) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of arms whose seeds solve a task or do not: how many end at `level` or above, and where."""
    rows = []
    for arm, seeds in runs.items():
        there = [accuracy for accuracy in seeds.values() if accuracy >= level]
        found = stats.share(len(there), len(seeds))
        rows.append([arm, f"{found.k} of {found.n}", f"{found.low:.2f} to {found.high:.2f}",
                     f"{sum(there) / len(there):.3f}" if there else "", f"{min(seeds.values()):.3f}"])
    return ["arm", f"{level:g} or more", "95 % interval", "mean of those", "lowest of all"], rows
