"""From minutes to a study: how many steps, seeds and arms fit, and what size of effect they can show."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, stdev
from typing import Any

from .. import stats, tables
from ..studies import CATALOGUE, Study, read, verdict
from ..tasks import DATA_SETS
from .arms import PLAIN, contrasts, what_is_wider
from .measure import Timing
from .survey import Survey

SHARE = 0.93      # of the minutes are planned; what is left is for the page, and for a machine that is a little slower
LEAST_SEEDS, GOOD_SEEDS, MANY_SEEDS, MOST_SEEDS = 3, 5, 8, 20
LEAST_STEPS, GOOD_STEPS = 100, 400
EPOCHS = {False: 60, True: 20}      # pretrained or not: more teaches little
ENOUGH = 3      # epochs: in fewer nothing has been learnt to the end
TESTED = 0.15      # the share of a trial's time that testing may take
FEWEST_TESTS = 500
RECORDED_ON = 10_000      # test pictures
APART = 0.2      # of the pictures two networks of the same accuracy answer differently: for the spread that is assumed


@dataclass(frozen=True)
class Plan:
    """What will be run, how long it takes, and what it can show. Printed, the words that stand before the first run."""

    asked: Mapping[str, Any]      # as the command was given
    survey: Survey
    base: Mapping[str, Any]      # settings of a trial that all arms share
    arms: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]      # arm -> why
    timings: Mapping[str, Timing]
    outcome: str      # "accuracy" or "balanced"
    seeds: int
    spent: float      # seconds before the first run: looking and measuring
    workers: int
    spread: float      # of a difference between pairs, assumed
    spread_from: str
    notes: tuple[str, ...] = ()
    machine: str = ""

    @property
    def first(self) -> int:
        return self.asked["seed"]

    @property
    def seconds(self) -> float:
        """What was promised."""
        return 60 * self.asked["minutes"]

    @property
    def per_seed(self) -> float:
        """Seconds that all arms of one seed take, with all workers."""
        trials = [t.trial(self.base["steps"], self.base["test_size"]) for a, t in self.timings.items() if a in self.arms]
        return seed_seconds(trials, self.workers)

    @property
    def ends(self) -> float:
        """When it ends, in seconds from the start."""
        return self.spent + self.seeds * self.per_seed

    @property
    def level(self) -> float:
        """Of an interval that leaves out zero where Holm's first step would: 1 - 0.05 / comparisons."""
        return 1 - 0.05 / max(1, len(self.arms) - 1)

    def study(self, seeds: Sequence[int] = ()) -> Study:
        """The study as data; its seeds, or those that have run."""
        return Study("answer", f"Which attention, where, on {self.survey.source}?", self.base, self.arms, contrasts(self.arms),
                     (self.outcome,), tuple(seeds) or tuple(range(self.first, self.first + self.seeds)))

    @property
    def rows(self) -> tuple[list[str], list[list[str]]]:
        plain = self.timings[PLAIN]
        rows = [[arm, f"{t.parameters:,}", f"{t.multiply_adds / max(plain.multiply_adds, 1):.2f}", f"{1000 * t.step:.0f}",
                 f"{t.trial(self.base['steps'], self.base['test_size']):.1f}"]
                for arm, t in self.timings.items() if arm in self.arms]
        return ["arm", "parameters", "multiply-adds, ratio", "ms a step", "s a run"], rows

    @property
    def epochs(self) -> float:
        """How many times a run sees all pictures."""
        return self.base["steps"] * self.base["batch_size"] / max(1, self.survey.total - self.survey.tests)

    @property
    def short(self) -> str:
        """What must be said of a budget in which not even all pictures are seen; else nothing."""
        return "" if self.epochs >= ENOUGH else (
            f"In this time a run sees all pictures only {self.epochs:.1f} times: what is compared is how fast the networks learn "
            "at first. With more minutes it is where they end.")

    @property
    def words(self) -> list[str]:
        b, least = self.base, stats.visible(self.spread, self.seeds, level=self.level)
        said = [*self.notes,
                f"Planned: {len(self.arms)} arms, {self.seeds} seeds, {b['steps']} steps of {b['batch_size']} pictures "
                f"({self.epochs:.1f} times all of them), tested on {b['test_size']:,} after the last step; "
                f"{len(self.arms) * self.seeds} runs of about {self.per_seed * self.workers / len(self.arms):.0f} s, to the "
                f"end in {self.ends / 60:.1f} of {self.asked['minutes']:g} minutes.",
                self.short,
                what_is_wider(b["host"]).capitalize() + "." if "wider" in self.arms else "",
                *left_out(self.left_out),
                f"What this can show: with {self.seeds} seeds a difference of {100 * least:.1f} points or more, four times in "
                f"five, after correction for {comparisons(len(self.arms) - 1)}; smaller ones it cannot. That assumes a spread of "
                f"{100 * self.spread:.1f} points ({self.spread_from}); after {LEAST_SEEDS} seeds it is measured too.",
                "Seeds are added or left out by the clock alone, never by what came out."]
        return [line for line in said if line]

    def __str__(self) -> str:
        return "\n".join([tables.as_text(*self.rows), *self.words])

    def _repr_html_(self) -> str:
        return tables.as_html(*self.rows, " ".join(self.words))

    # ---- as a file

    def write(self, path: Path, **more: Any) -> None:
        """Into a draft first: there is never half a plan."""
        entry = {"version": 1, **asdict(self), **more}
        draft = path.with_name(f"{path.name}.draft")
        draft.write_text(json.dumps(entry, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(draft, path)

    @classmethod
    def read(cls, path: Path) -> tuple[Plan, dict[str, Any]]:
        """The plan, and what else was written beside it.

        Raises:
            ValueError: the file is none of ours.
        """
        try:
            entry = json.loads(path.read_text("utf-8"))
            more = {k: entry.pop(k) for k in list(entry) if k not in cls.__dataclass_fields__}
            entry["survey"] = Survey.from_dict(entry["survey"])
            entry["timings"] = {arm: Timing(**t) for arm, t in entry["timings"].items()}
            return cls(**{**entry, "notes": tuple(entry["notes"])}), more
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} cannot be read as a plan ({type(error).__name__}: {error}). Nothing was changed: give "
                             "another --out, or take the file away.") from error


def left_out(whys: Mapping[str, str]) -> list[str]:
    """A sentence for each reason, with the arms that it concerns."""
    of_why: dict[str, list[str]] = {}
    for arm, why in whys.items():
        of_why.setdefault(why, []).append(arm)
    return [f"Left out: {', '.join(arms)}; {why}." for why, arms in of_why.items()]


def comparisons(number: int) -> str:
    return f"{number} comparison{'s' * (number != 1)}"


def seed_seconds(trials: Sequence[float], workers: int) -> float:
    """All arms of a seed on so many workers, which take them in turn."""
    if not trials:
        return 0.0
    return math.ceil(len(trials) / workers) * sum(trials) / len(trials)


def choose(seconds: float, timings: Mapping[str, Timing], workers: int, most: int, tests: int) -> tuple[list[str], int, int, int]:
    """(arms, seeds, steps, pictures to test on) that take so many seconds.

    First all arms with eight down to five seeds, if there is time for enough steps; then down to three seeds; then arms are
    dropped, the least important first. What is left goes into steps.

    Raises:
        ValueError: not even two arms fit; the message says how long they take.
    """
    arms = list(timings)

    def steps_for(chosen: Sequence[str], seeds: int) -> tuple[int, int]:
        per_seed = seconds / seeds * workers * len(chosen) / (math.ceil(len(chosen) / workers) * workers)
        picture = sum(timings[a].picture for a in chosen)
        shown = min(tests, max(min(FEWEST_TESTS, tests), math.floor(TESTED * per_seed / picture)))
        fixed = sum(timings[a].trial(0, shown) for a in chosen)
        slope = sum(timings[a].trial(1000, shown) - timings[a].trial(0, shown) for a in chosen) / 1000
        return min(most, math.floor((per_seed - fixed) / slope)), shown

    least, good = min(LEAST_STEPS, most), min(GOOD_STEPS, most)
    wishes = [(arms, seeds, good) for seeds in range(MANY_SEEDS, GOOD_SEEDS - 1, -1)]
    wishes += [(arms, seeds, least) for seeds in range(GOOD_SEEDS, LEAST_SEEDS - 1, -1)]
    wishes += [(arms[:count], LEAST_SEEDS, least) for count in range(len(arms) - 1, 1, -1)]
    for chosen, seeds, wanted in wishes:
        steps, shown = steps_for(chosen, seeds)
        if steps >= wanted:
            per_seed = seed_seconds([timings[a].trial(steps, shown) for a in chosen], workers)
            return chosen, max(seeds, min(MOST_SEEDS, math.floor(seconds / per_seed))), steps, shown
    two = seed_seconds([timings[a].trial(least, min(tests, FEWEST_TESTS)) for a in arms[:2]], workers) * LEAST_SEEDS
    raise ValueError(f"too little time: {' and '.join(arms[:2])} with {LEAST_SEEDS} seeds and {least} steps take about "
                     f"{two / 60:.1f} minutes, and there are {max(0.0, seconds) / 60:.1f}. Give more minutes, about "
                     f"{math.ceil(two / 60 / SHARE + 0.5)}, a smaller host, or a smaller size.")


def assumed_spread(tests: int) -> tuple[float, str]:
    """The standard deviation of a difference between pairs: that of recorded contrasts, and what so few test pictures add."""
    spreads = []
    for study in CATALOGUE.values():
        if study.base.get("task") in DATA_SETS and study.path.exists():
            runs = study.runs([r for r in read(study.path) if r.error is None])
            pairs = [list(verdict.less(runs[a], runs[b]).values()) for a, b in study.contrasts]
            spreads += [stdev(values) for values in pairs if len(values) >= LEAST_SEEDS]
    known = median(spreads) if spreads else 0.007
    says = f"the median of {len(spreads)} recorded contrasts on real pictures" if spreads else "that of the recorded contrasts"
    more = max(0.0, APART / tests - APART / RECORDED_ON)
    adds = f", {100 * known:.1f}, and what no more than {tests:,} test pictures add" if more else ""
    return math.hypot(known, more ** 0.5), says + adds


def needed(plan: Plan, spread: float, per_seed: float, difference: float = 0.01) -> tuple[int, float] | None:
    """Seeds and seconds that it would take to see a difference, four times in five; None: more than 10,000 seeds."""
    try:
        seeds = stats.seeds_needed(difference, max(spread, 1e-4), level=plan.level)
    except ValueError:
        return None
    return seeds, seeds * per_seed

