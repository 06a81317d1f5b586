"""A study as data: a base, arms that differ from it, seeds, and what is to be compared, said before the first run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import names
from ..paths import RESULTS, shipped
from ..stats import difference
from ..train import CHECK_EVERY
from .results import STUDY, read
from .run import run_study
from .scoring import NAMES
from .trial import Result, Trial

SEEDS = tuple(range(200, 205))      # not used while tasks and budgets were chosen; but 200 was, for the kernel of 03_spatial
OTHER_SEEDS = tuple(range(300, 305))      # for a second run of the same


PAIRS = ("contrasts", "same", "trends")      # the fields of a study that name arms together


def take_off(result: Result, study: Study) -> float:
    """The step at which a run first reached 90 % of the ceiling; infinity if it never did."""
    reached = (CHECK_EVERY * (i + 1) for i, seen in enumerate(result.curve) if seen >= 0.9 * study.ceiling)
    return next(reached, math.inf)


# Outcome -> how it is read off a result.
OUTCOMES: dict[str, Callable[[Result, Study], float]] = {
    **{field: (lambda result, study, field=field: getattr(result, field))
       for field in ("accuracy", "balanced", "seconds", "parameters")},
    **{name: (lambda result, study, name=name: result.scores.get(name)) for name in NAMES},
    "take_off": take_off,
}


class Differences(dict):
    """(arm, other arm) -> difference of the two. Printed, a line for each."""

    def __str__(self) -> str:
        wide = max((len(arm) for arm, _ in self), default=0)
        return "\n".join(f"{arm:{wide}} - {other}: {gain}" for (arm, other), gain in self.items())


@dataclass(frozen=True, eq=False)
class Study:
    """A set of trials: every arm with every seed.

        study = Study("mine", "SE, before and after", base={"task": "what", "mechanism": "se"},
                      arms={"pre": {"at": "pre"}, "post": {"at": "post"}}, contrasts=[("pre", "post")])
        run_study(study.trials(), "mine.jsonl")

    Args:
        name: of its file of results, without the ending.
        about: the lesson that shows it, and what it asks.
        base: the settings of `Trial` that all arms share.
        arms: the name of an arm in figures -> the settings in which it differs.
        contrasts: pairs of arms whose difference the study is about.
        outcomes: what is read off each trial: fields of a `Result`, of its `scores`, or "take_off".
        seeds: every arm runs with each, so that arms can be compared in pairs.
        ceiling: the accuracy that the task allows; a run has taken off when it first reaches 90 % of it.
        same: pairs of arms that should do the same, within `margin`.
        trends: (a, b, c, d): is a - b larger than c - d? A difference of differences, compared by seed too.

    Raises:
        ValueError: an arm that says nothing a trial knows, two arms that are the same, or a contrast of arms that are not there.
    """

    name: str
    about: str
    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    contrasts: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[str, ...] = ("accuracy",)
    seeds: tuple[int, ...] = SEEDS
    ceiling: float | None = None
    same: tuple[tuple[str, str], ...] = ()
    margin: float = 0.02
    trends: tuple[tuple[str, str, str, str], ...] = ()

    def __post_init__(self):
        # A copy that cannot be written to: a study is what it was when it was made.
        object.__setattr__(self, "base", MappingProxyType(dict(self.base)))
        object.__setattr__(self, "arms", MappingProxyType({arm: MappingProxyType(dict(s)) for arm, s in self.arms.items()}))
        for pairs in PAIRS:
            object.__setattr__(self, pairs, tuple(map(tuple, getattr(self, pairs))))
        known = Trial.__dataclass_fields__.keys()
        for settings in (self.base, *self.arms.values()):
            for setting in settings:
                if setting not in known:
                    raise names.unknown("setting of a trial", setting, known)
        for arm in (arm for pairs in PAIRS for pair in getattr(self, pairs) for arm in pair):
            if arm not in self.arms:
                raise names.unknown("arm", arm, self.arms)
        for outcome in self.outcomes:
            names.find("outcome", outcome, OUTCOMES)
            if outcome == "take_off" and not self.ceiling:
                raise ValueError(f"study {self.name!r}: a take-off is 90 % of a ceiling; give the accuracy that the task allows, "
                                 "ceiling=...")
        trials = [self.trial(arm, 0) for arm in self.arms]
        if len(set(trials)) < len(trials):
            raise ValueError(f"study {self.name!r}: two arms are the same trial; each needs a setting of its own")

    def trial(self, arm: str, seed: int) -> Trial:
        """One trial of an arm."""
        return Trial(**{**self.base, **names.find("arm", arm, self.arms), "seed": seed})

    def trials(self, seeds: Iterable[int] | None = None) -> list[Trial]:
        """All trials, in the order of the seeds: a run that is interrupted has every arm as often, give or take one."""
        return [self.trial(arm, seed) for seed in (self.seeds if seeds is None else seeds) for arm in self.arms]

    def again(self, name: str, only: Iterable[str] = (), seeds: Iterable[int] = OTHER_SEEDS) -> Study:
        """The same study once more, on seeds that were not used to find what it found; `only` some of its arms, or all."""
        arms = {arm: names.find("arm", arm, self.arms) for arm in only} or self.arms
        said = f", {len(arms)} of the arms" if len(arms) < len(self.arms) else ""
        return replace(self, name=name, about=f"{self.about} On other seeds{said}.", arms=arms, seeds=tuple(seeds),
                       **{pairs: tuple(pair for pair in getattr(self, pairs) if set(pair) <= arms.keys())
                          for pairs in PAIRS})

    @property
    def definition(self) -> dict[str, Any]:
        """What must not change once it has been run; seeds may be added."""
        return {"arms": {arm: self.trial(arm, 0).key for arm in self.arms}, "outcomes": list(self.outcomes),
                **{pairs: [list(arms) for arms in getattr(self, pairs)] for pairs in PAIRS},
                "ceiling": self.ceiling, "margin": self.margin}

    def run(self, path: str | Path | None = None, executor: Executor | None = None, seeds: Iterable[int] | None = None,
            **options: Any) -> list[Result]:
        """Run what the file does not hold yet; see `run_study`. The first run writes down what the study is.

        Raises:
            ValueError: the study is not what it was when the file was begun.
        """
        return run_study(self.trials(seeds), path or self.path, executor, definition={STUDY: self.name, **self.definition},
                         **options)

    @property
    def path(self) -> Path:
        """The file of its recorded results."""
        return RESULTS / f"{self.name}.jsonl"

    def recorded(self) -> list[Result]:
        """Its finished results, and one printed line that says what they were made on.

        Raises:
            FileNotFoundError: the file is not there; the message says how to get it back.
        """
        wanted = set(self.trials())
        results = [r for r in read(shipped(self.path)) if r.error is None and r.trial in wanted]
        made = sorted({f"{r.device}, torch {r.torch}, {r.date}" for r in results})
        print(f"{len(results)} recorded trials ({'; '.join(made)}). "
              f"To make them anew: python -m course_utils.studies run {self.name}")
        return results

    def runs(self, results: Iterable[Result] | None = None, of: str = "",
             outcome: str | None = None) -> dict[str, dict[int, float]]:
        """Arm -> seed -> outcome of its finished trials, in the order of the arms.

        Args:
            results: None: the recorded ones.
            of: only arms whose names begin with this; it is cut off.
            outcome: one of `outcomes`; None: the first.

        Raises:
            ValueError: an unknown outcome, or one that a result does not hold.
        """
        outcome = outcome or self.outcomes[0]
        read_off = names.find("outcome", outcome, {name: OUTCOMES[name] for name in self.outcomes})
        found = {r.trial: read_off(r, self) for r in (self.recorded() if results is None else results) if r.error is None}
        seeds = sorted({trial.seed for trial in found})
        runs = {arm.removeprefix(of): {s: found[t] for s in seeds if (t := self.trial(arm, s)) in found}
                for arm in self.arms if arm.startswith(of)}
        if lacking := [(arm, s) for arm, values in runs.items() for s, value in values.items() if value is None]:
            raise ValueError(f"study {self.name!r}: the result of {lacking[0][0]!r}, seed {lacking[0][1]}, holds no {outcome!r}: "
                             "it was not measured, or there was nothing to measure, such as no object of that size.")
        return runs

    def so_far(self, results: Iterable[Result]) -> str:
        """For the title of a figure: nothing once all seeds have run, else " (2 of 8 seeds so far)"."""
        done = {r.trial for r in results if r.error is None}
        whole = sum(all(trial in done for trial in self.trials([seed])) for seed in self.seeds)
        return "" if whole == len(self.seeds) else f" ({whole} of {len(self.seeds)} seeds so far)"

    def curves(self, results: Iterable[Result] | None = None,
               arms: Iterable[str] = ()) -> dict[str, tuple[list[int], list[list[float]]]]:
        """Arm -> (steps, one curve on unseen pictures for each seed), as `plots.curves` and `plots.panels` draw them.

        `results`: None for those that are recorded; `arms`: some, or all.
        """
        found = {r.trial: r.curve for r in (self.recorded() if results is None else results) if r.error is None}
        drawn = {}
        for arm in arms or self.arms:
            seen = [list(found[t]) for t in self.trials() if t == self.trial(arm, t.seed) and found.get(t)]
            if seen:
                points = min(map(len, seen))
                drawn[arm] = ([CHECK_EVERY * (i + 1) for i in range(points)], [curve[:points] for curve in seen])
        return drawn

    def differences(self, runs: Mapping[str, Mapping[int, float]] | None = None) -> Differences:
        """The paired difference of each contrast: (arm, other arm) -> arm - other arm. Printed, a line for each."""
        runs = self.runs() if runs is None else runs
        return Differences({(ours, control): difference(runs[ours], runs[control]) for ours, control in self.contrasts})
