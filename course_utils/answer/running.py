"""Run the plan, seed by seed, against the clock; stopped or killed, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import Any

from .. import stats
from ..runtime import rehearsing, use_data_folder
from ..sockets import doctor
from ..sockets.trials import LEAST as FOR_DOCTOR
from ..studies import Result, Trial, read, run_trial, verdict
from ..studies.controls import CONTROLS
from ..studies.run import spoken
from ..tasks import Batch
from ..train import device_of, predict
from .arms import PLAIN as PLAIN_HOST
from .arms import attention
from .measure import SHOWN_TO_DOCTOR, balanced_accuracy
from .plan import LEAST_SEEDS, MOST_SEEDS, Plan, seed_seconds

RESULTS, PLAN = "results.jsonl", "plan.json"
ASSUMED = 2
LATE, TOO_LATE = 1.04, 1.22      # of the minutes: a further seed may end so late; one of the first three


def asks_doctor(net, batch: Batch, spread: float) -> str:
    """What the doctor says of a trained network: the one place where it is called."""
    x, y = (part[:SHOWN_TO_DOCTOR].to(device_of(net)) for part in (batch.x, batch.y))
    try:
        return str(doctor(net, x, y if len(y) >= FOR_DOCTOR else None, spread=spread))
    except Exception as error:  # a run that has been trained is not lost for want of these words
        return f"The doctor could not look: {type(error).__name__}: {error}"


def after(net, test: Batch, balanced: bool, ask: bool, spread: float) -> dict[str, Any]:
    """What a result of this study holds besides that of any trial."""
    more: dict[str, Any] = {"balanced": balanced_accuracy(predict(net, test.x), test.y)} if balanced else {}
    return {**more, "words": asks_doctor(net, test, spread)} if ask else more


def one(trial: Trial, balanced: bool, first: int, root: str | None, spread: float) -> Result:
    """One trial, in whatever process; of the first seed the doctor looks at what was plugged in."""
    if root:
        use_data_folder(root)
    ask = bool(trial.mechanism) and trial.mechanism not in CONTROLS and trial.seed == first
    return run_trial(trial, partial(after, balanced=balanced, ask=ask, spread=spread))


def whole_seeds(plan: Plan, results: Sequence[Result]) -> list[int]:
    """The seeds that every arm has run, failed or not: what is compared is balanced."""
    done = {r.trial for r in results}
    seeds = sorted({r.trial.seed for r in results})
    study = plan.study(seeds)
    return [seed for seed in seeds if all(trial in done for trial in study.trials([seed]))]


class Clock:
    """How much of the time is used, how long a seed takes, and whether there is time for one more."""

    def __init__(self, plan: Plan, results: Sequence[Result]):
        self.plan, self.began, self.walls = plan, time.monotonic(), []
        # What an earlier run used, as far as it got into the file.
        self.before = plan.spent + seed_seconds([r.wall or 0.0 for r in results], plan.workers)

    @property
    def used(self) -> float:
        return self.before + time.monotonic() - self.began

    def saw(self, seconds: float, seeds: int) -> None:
        self.walls += [seconds / seeds] * seeds

    @property
    def per_seed(self) -> float:
        """As measured, once there is a whole seed; the last three count."""
        return fmean(self.walls[-3:]) if self.walls else self.plan.per_seed

    def more(self, done: int) -> bool:
        """Is there time for one more seed? Two are needed for any interval; what came out is not asked."""
        limit = TOO_LATE if done < LEAST_SEEDS else LATE
        return done < 2 or done < MOST_SEEDS and self.used + self.per_seed <= limit * self.plan.seconds


def carry_out(plan: Plan, out: str | Path, executor: Executor | None = None, root: str | None = None,
              tell: Callable[[str], None] = print) -> list[Result]:
    """Run what the folder does not hold yet, until the time is used; returns all results.

        results = carry_out(plan, "report")

    Seeds are whole: a seed that has begun is finished, and one that is not whole is not used. A rehearsal (two steps of
    training) ends after the first, and records nothing. A plan that is made anew has other steps, so what was begun goes on
    with its own: plan, _ = Plan.read("report/plan.json").

    Raises:
        ValueError: the folder holds another plan. Nothing in it is changed.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / RESULTS
    results = of_plan(plan, path)
    if not (out / PLAN).exists():
        plan.write(out / PLAN)
    else:
        there, more = Plan.read(out / PLAN)
        if there.study().trials() != plan.study().trials():
            raise ValueError(f"{out} holds another plan. To go on with that one: plan, _ = Plan.read({str(out / PLAN)!r}); for "
                             "this one give another folder. What is there stays as it is.")
        if "finished" in more:
            return results
    clock = Clock(plan, results)
    if results:
        tell(f"Going on: {len(results)} runs are in {path} already; {spoken(clock.used)} of {plan.asked['minutes']:g} min are "
             "used.")
    run = partial(one, balanced=plan.outcome == "balanced", first=plan.first, root=root, spread=plan.spread)
    block = max(1, -(-plan.workers // len(plan.arms)))      # seeds at a time: nobody waits for work
    while clock.more(done := len(whole_seeds(plan, results))):
        seeds = range(plan.first + done, plan.first + done + block)
        begun = sum(r.trial.seed in seeds for r in results)
        since = time.monotonic()
        ran = plan.study(seeds).run(path, executor, seeds, run=run, tell=partial(line, plan, clock, tell))
        if not begun:
            clock.saw(time.monotonic() - since, block)
        if rehearsing():      # of which nothing is recorded
            return ran
        results = of_plan(plan, path)
        if done + block >= LEAST_SEEDS > done:
            tell(so_far(plan, results))
    used = clock.used
    plan.write(out / PLAN, finished=whole_seeds(plan, results), used=round(used, 1))
    return results


def of_plan(plan: Plan, path: Path) -> list[Result]:
    """What the file holds of this plan."""
    if not path.exists():
        return []
    arms = {plan.study().trial(arm, 0) for arm in plan.arms}
    return [r for r in read(path) if r.trial.arm in arms]


def line(plan: Plan, clock: Clock, tell: Callable[[str], None], result: Result, left: int) -> None:
    """One finished run, and how long the whole still takes."""
    name = next(arm for arm in plan.arms if plan.study().trial(arm, 0) == result.trial.arm)
    value = getattr(result, plan.outcome)
    came = f"failed: {result.error}" if result.error else f"{100 * value:.1f} % in {result.wall:.0f} s"
    seeds = max(plan.seeds, LEAST_SEEDS) - (result.trial.seed - plan.first + 1)
    rest = max(0.0, left / len(plan.arms) + seeds) * clock.per_seed
    tell(f"  seed {result.trial.seed}, {name}: {came}; " + (f"about {spoken(rest)} left" if rest else "the planned seeds are "
                                                                                                      "done"))


def so_far(plan: Plan, results: Sequence[Result]) -> str:
    """The spread as measured, and what it means for what can be seen."""
    spread = measured_spread(plan, results)
    least = stats.visible(spread, max(2, plan.seeds), level=plan.level)
    return (f"After {LEAST_SEEDS} seeds: a difference spreads by {100 * spread:.1f} points (assumed were "
            f"{100 * plan.spread:.1f}), so {plan.seeds} seeds show {100 * least:.1f} points or more.")


def measured_spread(plan: Plan, results: Sequence[Result]) -> float:
    """The standard deviation of a difference to the plain host, from all comparisons with attention together.

    The one that was assumed counts as much as ASSUMED pairs: a few pairs that happen to agree say little.
    """
    good = [r for r in results if r.error is None]
    runs = plan.study().runs(good)
    pairs = [list(verdict.less(runs[arm], runs[PLAIN_HOST]).values()) for arm in attention(plan.arms)]
    squares = [(len(values) - 1) * variance(values) for values in pairs if len(values) >= 2]
    free = sum(len(values) - 1 for values in pairs if len(values) >= 2)
    return sqrt((ASSUMED * plan.spread ** 2 + sum(squares)) / (ASSUMED + free))
