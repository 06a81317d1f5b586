"""Running trials: results that survive an interruption, one line each in a file.

    trials = [Trial("what", mechanism=m, seed=s) for s in range(5) for m in (None, "eca")]
    results = run_study(trials, "results.jsonl")
    print(stats.difference(accuracies(results, mechanism="eca"), accuracies(results, mechanism=None)))
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..runtime import rehearsing
from .trial import Result, Trial, failed, run_trial, stable_options


def write(result: Result, path: Path) -> None:
    """Append one line, and put it on the disk before anything else happens."""
    line = json.dumps(asdict(result), sort_keys=True)
    with open(path, "ab+") as file:
        # A run that was killed may have left half a line: begin a new one, so that only that half is lost.
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else "\n" + line
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> list[Result]:
    """The results in a file, in order; a line that cannot be read is left out, with a warning that names it.

    Raises:
        FileNotFoundError: no such file.
    """
    results = []
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            settings = entry.pop("trial")
            settings["options"] = [tuple(pair) for pair in settings.get("options", ())]
            entry["curve"] = tuple(entry.get("curve", ()))
            results.append(Result(Trial(**settings), **entry))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            warnings.warn(f"{path}, line {number} is broken ({type(error).__name__}) and was left out; its trial counts "
                          "as not run. This happens when a run is killed while it writes.", stacklevel=2)
    return results


def run_study(trials: Iterable[Trial], results: str | Path, executor: Executor | None = None,
              run: Callable[[Trial], Result] = run_trial, progress: bool = True) -> list[Result]:
    """Run the trials that the file does not hold yet, one JSON line each as it finishes.

    A trial that failed is recorded with its error, the others go on; calling again tries it again. Stopped or killed, the
    study goes on from the file: call it again. A rehearsal (two steps of training) records nothing.

    Args:
        trials: repeated trials are run once.
        results: the file; made, with its folder, if it is not there.
        executor: any concurrent.futures.Executor; None runs the trials here, one after the other.
        run: what to do with a trial.

    Returns:
        One Result per different trial, in the order of `trials`.
    """
    wanted = list(dict.fromkeys(trials))
    path = Path(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {r.trial: r for r in read(path) if r.error is None} if path.exists() else {}
    todo = [t for t in wanted if t not in done]
    if progress:
        print(f"{len(wanted)} trials, {len(wanted) - len(todo)} of them in {path.name} already.")

    def finished(result: Result) -> None:
        if not rehearsing():
            write(result, path)
        done[result.trial] = result
        if progress:
            print(describe(result), flush=True)

    if executor is None:
        for trial in todo:
            finished(outcome(trial, run, trial))
        return [done[t] for t in wanted]
    futures = {executor.submit(run, trial): trial for trial in todo}
    try:
        for future in as_completed(futures):
            finished(outcome(futures[future], future.result))
    finally:
        for future in futures:      # after an interruption nobody records what is still waiting
            future.cancel()
    return [done[t] for t in wanted]


def outcome(trial: Trial, call: Callable[..., Result], *args: Any) -> Result:
    """What `call` returns, or the error that it, or the worker that ran it, ended with."""
    try:
        return call(*args)
    except Exception as error:
        return failed(trial, error)


def describe(result: Result) -> str:
    t = result.trial
    name = "plain host" if t.mechanism is None else f"{t.mechanism} at {t.at}, start {t.start}"
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
    if "options" in settings:
        settings["options"] = stable_options(settings["options"])
    chosen = [r for r in results if r.error is None and all(getattr(r.trial, k) == v for k, v in settings.items())]
    if not chosen:
        raise ValueError(f"no finished result with {settings}")
    if len({r.trial.arm for r in chosen}) > 1:
        raise ValueError(f"{settings} leaves {len({r.trial.arm for r in chosen})} configurations: name more settings")
    return {r.trial.seed: r.accuracy for r in sorted(chosen, key=lambda r: r.trial.seed)}
