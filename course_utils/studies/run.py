"""Running trials: results that survive an interruption, one line each in a file.

    trials = [Trial("what", mechanism=m, seed=s) for s in range(5) for m in (None, "eca")]
    results = run_study(trials, "results.jsonl")
    print(stats.difference(accuracies(results, mechanism="eca"), accuracies(results, mechanism=None)))
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import fields
from pathlib import Path
from typing import Any

from .ledger import Ledger
from .results import finished
from .trial import Result, Trial, failed, places, run_trial, stable_options

AHEAD = 2      # trials given to an executor for each of its workers: none waits, and few are lost with a pool
DEATHS = 4      # so often the worker of a trial may die, the last times with nothing beside it, until the trial counts as failed


def run_study(trials: Iterable[Trial], results: str | Path, executor: Executor | None = None,
              run: Callable[[Trial], Result] = run_trial, progress: bool = True, retry: bool = False,
              definition: Mapping[str, Any] | None = None, tell: Callable[[Result, int], None] | None = None) -> list[Result]:
    """Run the trials that the file does not hold yet, one JSON line each as it finishes.

    A trial that failed is recorded with its error, and the others go on. Stopped or killed, the study goes on from the file:
    call it again. Several runs may share a file, and then they share the work. A rehearsal (two steps of training) records
    nothing.

    Args:
        trials: repeated trials are run once.
        results: the file; made, with its folder, if it is not there.
        executor: any concurrent.futures.Executor, `Processes(2)` or that of a cluster; None runs the trials here, one after the
            other. A trial whose worker died is given in again.
        run: what to do with a trial.
        retry: run the trials again that have failed.
        definition: of the study that they are of; the file remembers it. `Study.run` gives it.
        tell: is called with each result and the number of trials that are left, instead of the line that is printed.

    Returns:
        One Result per different trial, in the order of `trials`.

    Raises:
        ValueError: the file is not one of results, or its study has changed.
        OSError: the disk is full; nothing that had finished is lost.
    """
    wanted = list(dict.fromkeys(trials))
    path = Path(results)
    ledger = Ledger(path, retry)
    if definition:
        ledger.sign(definition)
    todo = [t for t in wanted if not ledger.settled(t)]
    report = Report(len(wanted), len(todo), path, progress and tell is None)
    broken = [r for t in wanted if (r := ledger.done.get(t)) and r.error is not None and ledger.settled(t)]
    if progress and broken and tell is None:
        print(f"{len(broken)} of them failed; to try them again: retry=True, or --retry.")

    def finish(result: Result) -> None:
        ledger.record(result)
        (tell or report.one)(ledger.done[result.trial], sum(not ledger.settled(t) for t in todo))
    try:
        if executor is None:
            run_here(todo, ledger, run, finish)
        else:
            run_in(executor, todo, ledger, run, finish)
    finally:
        ledger.close()
    return [ledger.done[t] for t in wanted]


def run_here(todo: list[Trial], ledger: Ledger, run: Callable[[Trial], Result], finish: Callable[[Result], None]) -> None:
    waiting = deque(todo)
    passed_by = 0
    while waiting:
        trial = waiting.popleft()
        if ledger.settled(trial):
            continue
        if ledger.take(trial):
            finish(outcome(trial, run, trial))
            passed_by = 0
        elif not ledger.settled(trial):
            waiting.append(trial)
            passed_by += 1
            if passed_by >= len(waiting):      # nothing is left but what others are at
                time.sleep(0.5)
                ledger.look()


def run_in(executor: Executor, todo: list[Trial], ledger: Ledger, run: Callable[[Trial], Result],
           finish: Callable[[Result], None]) -> None:
    """Keep an executor busy, with a few trials at a time, until all are settled."""
    room = AHEAD * getattr(executor, "workers", getattr(executor, "_max_workers", 32))
    waiting, at_work, deaths = deque(todo), {}, Counter()

    def submit() -> bool:
        """One trial more, if there is one that nobody else is at."""
        for _ in range(len(waiting)):
            if deaths[waiting[0]] >= DEATHS // 2 and at_work:
                return False      # its worker has died before: with nothing beside it the next death is its own
            trial = waiting.popleft()
            if ledger.settled(trial):
                continue
            if ledger.take(trial):
                at_work[executor.submit(run, trial)] = trial
                return True
            if not ledger.settled(trial):
                waiting.append(trial)
        return False

    try:
        while waiting or at_work:
            alone = any(deaths[t] >= DEATHS // 2 for t in at_work.values())
            while not alone and len(at_work) < room and submit():
                alone = any(deaths[t] >= DEATHS // 2 for t in at_work.values())
            if not at_work:
                time.sleep(0.5)      # others are at what is left
                ledger.look()
                continue
            ended, _ = wait(at_work, return_when=FIRST_COMPLETED)
            again = []
            for future in ended:
                trial = at_work.pop(future)
                error = death(future)
                if error is None:
                    finish(outcome(trial, future.result))
                    continue
                deaths[trial] += 1
                ledger.give(trial)
                if deaths[trial] >= DEATHS:
                    finish(failed(trial, error))
                else:
                    again.append(trial)
            waiting.extendleft(sorted(again, key=todo.index, reverse=True))
    finally:
        for future in at_work:      # after an interruption nobody records what is still waiting
            future.cancel()


def death(future: Future) -> BaseException | None:
    """The error of a worker that died, as against that of a trial."""
    try:
        error = future.exception()
    except CancelledError as gone:
        raise ConnectionError("the executor has gone: what had finished is in the file of results. Run again when it is "
                              "back.") from gone
    # Dask gives a task to three more workers before it says so.
    return error if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker" else None


def outcome(trial: Trial, call: Callable[..., Result], *args: Any) -> Result:
    """What `call` returns, or the error that it, or the worker that ran it, ended with."""
    try:
        return call(*args)
    except Exception as error:
        return failed(trial, error)


class Report:
    """A line for each trial that has finished, with the time that is left at this pace."""

    def __init__(self, wanted: int, todo: int, path: Path, show: bool):
        self.count, self.began, self.show = 0, time.monotonic(), show
        if show:
            print(f"{wanted} trials, {wanted - todo} of them in {path.name} already.", flush=True)

    def one(self, result: Result, left: int) -> None:
        self.count += 1
        if self.show:
            seconds = (time.monotonic() - self.began) / self.count * left
            print(f"{describe(result)}; {left} left" + (f", {spoken(seconds)}" if left else ""), flush=True)


def spoken(seconds: float) -> str:
    """A time as one says it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def describe(result: Result) -> str:
    t = result.trial
    name = "plain host" if t.mechanism is None else f"{t.mechanism} at {t.at}"
    name += f" {', '.join(t.layers)}" if t.layers else ""
    name += "" if t.mechanism is None else f", start {t.start}"
    name += "" if t.host == "small_host" else f" ({t.host})"
    time = "" if result.seconds is None else f" in {result.seconds:.0f} s"
    outcome = f"failed: {result.error}" if result.error else f"{result.accuracy:.3f}{time}"
    return f"  {t.task}, {name}, seed {t.seed}: {outcome}"


def accuracies(results: Sequence[Result], **settings: Any) -> dict[int, float]:
    """Seed -> accuracy of the finished results whose trial has these settings: accuracies(r, mechanism="eca").

    Raises:
        ValueError: an unknown setting; no such result; more than one configuration left for the same seed.
    """
    if unknown := settings.keys() - {f.name for f in fields(Trial)}:
        raise ValueError(f"unknown setting {', '.join(sorted(unknown))}. Known: {', '.join(f.name for f in fields(Trial))}")
    for name, form in (("options", stable_options), ("stages", places), ("layers", places)):      # as a trial keeps them
        if name in settings:
            settings[name] = form(settings[name])
    chosen = [r for r in finished(results).values() if all(getattr(r.trial, k) == v for k, v in settings.items())]
    if not chosen:
        raise ValueError(f"no finished result with {settings}")
    if len({r.trial.arm for r in chosen}) > 1:
        raise ValueError(f"{settings} leaves {len({r.trial.arm for r in chosen})} configurations: name more settings")
    return {r.trial.seed: r.accuracy for r in sorted(chosen, key=lambda r: r.trial.seed)}
