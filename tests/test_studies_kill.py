"""Nothing that finished is lost or doubled: processes that are killed, two runs on one file, a full disk."""

import importlib.util
import subprocess
import sys

import kill_runs
import pytest
from trials import THREE, Runner, plain_surroundings, study_of  # noqa: F401  (plain_surroundings is a fixture)

from course_utils.studies import Processes, Result, Trial, read, run_study
from course_utils.studies import run as module
from course_utils.studies.ledger import Ledger
from course_utils.studies.results import lock, write

needs_dask = pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="needs the extra `cluster`")


@pytest.mark.full      # half a minute each; 20 times with: python tests/kill_runs.py
@pytest.mark.parametrize("kind", ["pool", pytest.param("dask", marks=needs_dask)])
def test_kill_9_of_workers_and_runs_loses_and_doubles_nothing(kind):
    assert kill_runs.main(kind, times=3, number=30, seed=1) == {"worker": 1, "run": 1, "both": 1}


# ---- a pool whose worker dies

def die_once(trial):
    """Seed 1 takes its process with it the first time; the file beside the results remembers that."""
    import os
    from pathlib import Path
    mark = Path(os.environ["MARK"])
    if trial.seed == 1 and not mark.exists():
        mark.touch()
        os._exit(9)
    return Result(trial, accuracy=trial.seed / 10, seconds=0.0)


def die_always(trial):
    import os
    if trial.seed == 1:
        os._exit(9)
    return Result(trial, accuracy=trial.seed / 10, seconds=0.0)


@pytest.mark.full
def test_a_pool_is_made_anew_and_the_trial_is_given_in_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    with Processes(1) as pool:
        results = study_of(THREE, tmp_path / "r.jsonl", die_once, pool)
        assert pool.made == 2
    assert [(r.accuracy, r.error) for r in results] == [(0.0, None), (0.1, None), (0.2, None)]
    assert len(read(tmp_path / "r.jsonl")) == 3


@pytest.mark.full
def test_a_trial_that_kills_its_worker_every_time_fails_and_no_other_with_it(tmp_path):
    with Processes(2) as pool:
        results = study_of([*THREE, Trial("what", seed=3)], tmp_path / "r.jsonl", die_always, pool)
    assert [r.error is None for r in results] == [True, False, True, True] and "BrokenProcessPool" in results[1].error


def test_who_died_beside_the_culprit_is_not_counted_as_failed(tmp_path):
    """A pool dies whole: after two deaths a trial runs with nothing beside it, so that the next one is its own."""
    from concurrent.futures import BrokenExecutor, Future

    class Broken:
        workers = 2

        def submit(self, fn, trial):
            future = Future()
            if self.together(trial):
                future.set_exception(BrokenExecutor("a worker died"))
            else:
                future.set_result(fn(trial))
            return future

        def __init__(self):
            self.asked = []

        def together(self, trial):
            self.asked.append(trial.seed)
            return trial.seed == 1 or (trial.seed == 0 and self.asked.count(0) <= 2)
    executor = Broken()
    results = study_of(THREE, tmp_path / "r.jsonl", Runner(), executor)
    assert [r.error is None for r in results] == [True, False, True]
    assert executor.asked.count(1) == module.DEATHS and executor.asked.count(0) == 3


# ---- two runs on one file

@pytest.mark.full      # each process imports torch anew
def test_two_runs_on_one_file_share_the_work(tmp_path):
    path = tmp_path / "r.jsonl"
    script = ("import sys; from kill_runs import short, trials; from course_utils.studies import run_study\n"
              "run_study(trials(12), sys.argv[1], run=short)")
    command = [sys.executable, "-c", script, str(path)]
    runs = [subprocess.Popen(command, env=kill_runs.environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    kill_runs.check(path, 12)
    assert sum(text.count("what, plain host") for text in said) == 12, "a trial was run by both"


def test_what_another_run_is_at_is_left_to_it_and_taken_when_it_was_killed(tmp_path):
    path, other = tmp_path / "r.jsonl", Ledger(tmp_path / "r.jsonl", retry=False)
    assert other.take(THREE[0])
    mine = Ledger(path, retry=False)
    assert not mine.take(THREE[0]) and mine.take(THREE[1])
    other.held[THREE[0]].release()      # as the system does when a process is killed
    assert mine.take(THREE[0])
    mine.close()


def test_a_result_that_another_run_has_just_written_is_not_written_again(tmp_path):
    path = tmp_path / "r.jsonl"
    mine = Ledger(path, retry=False)
    assert mine.take(THREE[0])
    write(Result(THREE[0], accuracy=0.25), path)
    mine.record(Result(THREE[0], accuracy=0.75))
    assert [r.accuracy for r in read(path)] == [0.25] and mine.done[THREE[0]].accuracy == 0.25
    mine.close()
    assert not list(tmp_path.glob("*.running")), "the reservations stay behind"


def test_what_was_finished_meanwhile_by_another_run_is_not_run_again(tmp_path):
    path, run = tmp_path / "r.jsonl", Runner()

    def and_another(trial):
        if trial.seed == 0:
            write(Result(THREE[1], accuracy=0.25), path)
        return run(trial)
    results = study_of(THREE, path, and_another)
    assert [t.seed for t in run.given] == [0, 2] and results[1].accuracy == 0.25


# ---- a full disk

@pytest.mark.full      # each process imports torch anew
def test_a_full_disk_says_so_and_loses_nothing_that_had_finished(tmp_path):
    path = tmp_path / "r.jsonl"
    study_of(THREE[:2], path, Runner())
    whole = path.read_bytes()
    script = ("import sys, resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
              "from course_utils.studies import run_study; from trials import THREE, Runner\n"
              f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 40}, {len(whole) + 40}))\n"
              "run_study(THREE, sys.argv[1], run=Runner(), progress=False)")
    pytest.importorskip("resource")
    run = subprocess.run([sys.executable, "-c", script, str(path)], env=kill_runs.environment(), capture_output=True, text=True)
    assert run.returncode == 1 and "a result could not be written" in run.stderr and "Make room on the disk" in run.stderr
    assert '"seed": 2' in run.stderr.splitlines()[-1], "the line that is lost is said"
    assert path.read_bytes() == whole, "half a line was left"
    again = Runner()
    study_of(THREE, path, again)
    assert again.given == THREE[2:]


def test_a_lock_keeps_two_lines_apart(tmp_path):
    """A writer waits for the lock: without it two lines at once could become one."""
    from threading import Thread
    path = tmp_path / "r.jsonl"
    with lock(path):
        other = Thread(target=write, args=(Result(THREE[0], accuracy=0.5), path))
        other.start()
        other.join(0.2)
        assert other.is_alive() and not path.exists()
    other.join(10)
    assert len(read(path)) == 1


# ---- executors

def test_a_pool_needs_a_worker():
    with pytest.raises(ValueError, match="workers must be at least 1, got 0; the processor has"):
        Processes(0)


@pytest.mark.full
@needs_dask
def test_a_scheduler_that_is_not_there_is_named_with_what_to_do():
    from course_utils.studies import dask
    with pytest.raises(ConnectionError, match="no Dask scheduler answered at 'tcp://127.0.0.1:9' within 1 s .*`dask scheduler"):
        dask("tcp://127.0.0.1:9", seconds=1)


@needs_dask
def test_the_client_of_a_cluster_closes_with_its_executor():
    """Catches one that stays: the cluster then warns of lost results as it ends, and the client looks for it in vain."""
    from distributed import LocalCluster

    from course_utils.studies import dask
    settings = dict(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
                    dashboard_address=None)
    with LocalCluster(**settings) as cluster:
        with dask(cluster.scheduler_address) as executor:
            assert executor.submit(pow, 2, 3).result() == 8
        assert executor._client.status == "closed"


def test_without_dask_the_extra_is_named(monkeypatch):
    from course_utils.studies import dask
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match='pip install -e ".\\[cluster\\]"'):
        dask("tcp://127.0.0.1:8786")


def test_an_executor_that_has_gone_says_where_the_results_are(tmp_path):
    from concurrent.futures import Future

    class Gone:
        def submit(self, fn, trial):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future
    with pytest.raises(ConnectionError, match="what had finished is in the file"):
        run_study(THREE, tmp_path / "r.jsonl", Gone(), run=Runner(), progress=False)
