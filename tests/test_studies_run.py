"""Executors and failures: one trial that fails takes no other with it, and processes give what one after the other gives."""

import multiprocessing
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from trials import (  # noqa: F401  (plain_surroundings is a fixture)
    THREE,
    Runner,
    fingerprint,
    measured,
    plain_surroundings,
    run_exactly,
    study_of,
    tiny,
)

from course_utils.studies import Result, Trial, accuracies, describe, read, run_study
from course_utils.studies import trial as trial_module
from course_utils.studies.results import write


def assert_recorded_and_tried_again_when_asked(path, failing, executor=None):
    results = study_of(THREE, path, failing, executor)
    assert [r.error is None for r in results] == [True, False, True]
    assert "out of memory" in results[1].error and results[1].trial == THREE[1]
    assert sorted(measured(read(path)), key=str) == sorted(measured(results), key=str)
    again = Runner()
    assert study_of(THREE, path, again, executor) == results and again.given == [], "tried again without being asked"
    mended = study_of(THREE, path, again, executor, retry=True)
    assert again.given == [THREE[1]] and all(r.error is None for r in mended)
    assert study_of(THREE, path, again, executor) == mended and len(again.given) == 1


def test_a_failed_trial_is_recorded_and_tried_again(tmp_path):
    assert_recorded_and_tried_again_when_asked(tmp_path / "r.jsonl", Runner(seed1="RuntimeError: out of memory"))


@pytest.mark.parametrize("error", [None, "ValueError: again"])
def test_runs_that_try_again_share_the_work_too(tmp_path, error):
    path, tried = tmp_path / "r.jsonl", []
    study_of(THREE, path, Runner(seed0="ValueError: no", seed1="ValueError: no", seed2="ValueError: no"))

    def run(trial):
        tried.append(trial)
        if trial == THREE[0]:      # meanwhile another run tries the others
            for other in THREE[1:]:
                write(Result(other, None if error else 0.5, 1.0, error=error), path)
        return Result(trial, 0.6, 1.0)
    found = study_of(THREE, path, run, retry=True)
    assert tried == THREE[:1] and [r.error for r in found] == [None, error, error]


def test_two_runs_that_end_together_may_both_take_the_reservations_away(tmp_path, monkeypatch):
    """The other one was quicker: the folder is gone after this one has asked whether it is there."""
    def gone(self):
        raise FileNotFoundError(2, "No such file or directory", str(self))
    monkeypatch.setattr(Path, "iterdir", gone)
    assert len(study_of(THREE, tmp_path / "r.jsonl", Runner())) == 3


def test_a_trial_that_raises_is_recorded_and_tried_again(tmp_path):
    """Whatever `run` is: it need not be `run_trial`, which turns errors into results itself."""
    assert_recorded_and_tried_again_when_asked(tmp_path / "r.jsonl", Runner(seed1=RuntimeError("out of memory")))


class LosesOne(Executor):
    """Runs everything at once, but the worker of one trial dies, as a process does that was killed."""

    def __init__(self, seed):
        self.seed = seed

    def submit(self, fn, trial):
        future = Future()
        if trial.seed == self.seed:
            future.set_exception(RuntimeError("worker ran out of memory"))
        else:
            future.set_result(fn(trial))
        return future


def test_a_worker_that_dies_takes_one_trial_with_it_and_no_more(tmp_path):
    path = tmp_path / "r.jsonl"
    results = study_of(THREE, path, Runner(), LosesOne(seed=0))
    assert [r.error is None for r in results] == [False, True, True] and "out of memory" in results[0].error
    assert len(read(path)) == 3


def test_a_real_trial_that_fails_lets_the_others_go_on(tmp_path):
    trials = [tiny(mechanism="se", options={"no_such_option": 1}), tiny()]
    results = run_study(trials, tmp_path / "r.jsonl", progress=False)
    assert "no_such_option" in results[0].error and results[1].error is None
    with pytest.raises(ValueError, match="no finished result"):
        accuracies(results, mechanism="se")


def test_threads_give_what_one_after_the_other_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_module, "evaluate", fingerprint)      # for all threads at once
    trials = [tiny(seed=seed, mechanism=m) for seed in range(2) for m in (None, "se")]
    serial = run_study(trials, tmp_path / "serial.jsonl", progress=False)
    with ThreadPoolExecutor(2) as pool:
        threads = run_study(trials, tmp_path / "threads.jsonl", pool, progress=False)
    assert measured(threads) == measured(serial) and all(r.error is None for r in serial)
    assert len({r.accuracy for r in serial}) == 4


@pytest.mark.full      # each process imports torch anew
def test_processes_give_what_one_after_the_other_gives(tmp_path):
    trials = [tiny(seed=seed, mechanism=m) for seed in range(2) for m in (None, "se")]
    serial = study_of(trials, tmp_path / "serial.jsonl", run_exactly)
    assert len({r.accuracy for r in serial}) == 4
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        processes = study_of(trials, tmp_path / "processes.jsonl", run_exactly, pool)
    assert measured(processes) == measured(serial) and all(r.error is None for r in serial)
    assert sorted(measured(read(tmp_path / "processes.jsonl")), key=str) == sorted(measured(serial), key=str)


def test_results_come_in_the_order_of_the_trials_not_of_their_ends(tmp_path):
    def slow_first(trial):
        time.sleep(0.1 if trial.seed == 0 else 0)
        return Result(trial, accuracy=0.5, seconds=1.0)
    with ThreadPoolExecutor(3) as pool:
        results = study_of(THREE, tmp_path / "r.jsonl", slow_first, pool)
    assert [r.trial for r in results] == THREE
    assert read(tmp_path / "r.jsonl")[-1].trial == THREE[0], "not recorded as they finish"


def test_an_interrupted_study_does_not_go_on_in_the_pool(tmp_path):
    """Trials that nobody will record would keep the machine busy, and the `with` block waiting."""
    given, go = [], threading.Event()

    def run(trial):
        given.append(trial)
        if trial.seed == 0:
            raise KeyboardInterrupt
        go.wait(0.1)
        return Result(trial, accuracy=0.5, seconds=1.0)
    trials = [Trial("what", seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        study_of(trials, tmp_path / "r.jsonl", run, pool)
    assert len(given) < 4


def test_progress_says_what_is_there_and_what_came(tmp_path, capsys):
    run_study(THREE[:2], tmp_path / "r.jsonl", run=Runner(seed1="ValueError: no"))
    out = capsys.readouterr().out
    assert "2 trials, 0 of them in r.jsonl already" in out
    assert "what, plain host, seed 0: 0.500 in 1 s" in out and "seed 1: failed: ValueError: no" in out
    assert "0.500 in 1 s; 1 left, 0 s" in out and out.rstrip().endswith("; 0 left")
    run_study(THREE[:2], tmp_path / "r.jsonl", run=Runner())
    out = capsys.readouterr().out
    assert "2 trials, 2 of them" in out and "1 of them failed; to try them again: retry=True, or --retry." in out
    run_study(THREE[:2], tmp_path / "r.jsonl", run=Runner(), retry=True)
    assert "2 trials, 1 of them" in capsys.readouterr().out
    study_of(THREE, tmp_path / "r.jsonl", Runner())
    assert capsys.readouterr().out == ""


def test_a_result_without_a_time_can_be_described():
    assert "0.250" in describe(Result(Trial("what"), accuracy=0.25))
