"""Kill -9 at random moments: does a study lose or double a trial that had finished?

usage: python tests/kill_runs.py [pool|dask] [--times 20] [--trials 80] [--seed 0]

Starts a run of short trials, kills a worker, the run itself or both, in turn and at random moments, and starts it again where it
was killed; at the end the file must hold each trial once, with the result that a run without any of that gives. A Dask cluster is
two workers on loopback, each with the nanny that brings it back.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
TURNS = ("worker", "run", "both")


def short(trial):
    """Stands in for training: takes a moment, and gives a number that only this trial has."""
    from course_utils.studies import Result
    time.sleep(0.05 + 0.01 * (trial.seed % 7))
    return Result(trial, accuracy=round(1 / (2 + trial.seed), 6), seconds=0.1, parameters=trial.seed + 1)


def trials(number):
    from course_utils.studies import Trial
    return [Trial("what", seed=seed) for seed in range(number)]


def work(path: str, number: int, where: str) -> None:
    """The run that is killed: to be called as a command."""
    from kill_runs import short as task  # by this name the workers find it

    from course_utils.studies import Processes, dask, run_study
    executor = Processes(2) if where == "pool" else dask(where, 60)
    print("running", flush=True)
    with executor:
        run_study(trials(number), path, executor, run=task, progress=False)


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]), "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore:resource_tracker"}      # what a killed run leaves, it clears away, and says so


def start(path: Path, number: int, where: str) -> subprocess.Popen:
    run = subprocess.Popen([sys.executable, str(HERE / "kill_runs.py"), "work", str(path), str(number), where], env=environment(),
                           stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "running\n"
    return run


class Pool:
    """The processes of the run itself."""

    where = "pool"

    def workers(self, run: subprocess.Popen) -> list[psutil.Process]:
        try:
            return [p for p in psutil.Process(run.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def close(self) -> None:
        pass


class Dask:
    """A cluster that outlives the run."""

    def __init__(self):
        from distributed import LocalCluster
        os.environ.update(environment())      # what the workers start with
        # A worker that hosted a task when it was killed counts against the task: here nobody but us kills them.
        import dask
        dask.config.set({"distributed.scheduler.allowed-failures": 100})
        self.cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
        self.where = self.cluster.scheduler_address

    def workers(self, run: subprocess.Popen) -> list[psutil.Process]:
        # Only those that have come up: a nanny whose worker is killed while it starts gives up.
        there = self.cluster.scheduler.workers
        pids = [nanny.pid for nanny in self.cluster.workers.values() if nanny.worker_address in there]
        return [psutil.Process(pid) for pid in pids if pid and psutil.pid_exists(pid)]

    def close(self) -> None:
        self.cluster.close()


def kill(process: psutil.Process | subprocess.Popen) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        pass


def main(kind: str, times: int, number: int, seed: int) -> dict:
    """Kill so many times; returns what was done. AssertionError: a trial was lost, doubled or changed."""
    chance, done, seen = random.Random(seed), dict.fromkeys(TURNS, 0), set()
    cluster = Pool() if kind == "pool" else Dask()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        run, turn, rounds = start(path, number, cluster.where), 0, 0
        try:
            while sum(done.values()) < times:
                time.sleep(chance.uniform(0.05, 1.5))
                if run.poll() is not None:      # it has finished before we had killed enough: once more, in a new file
                    assert run.returncode == 0
                    check(path, number)
                    rounds += 1
                    path = Path(folder) / f"results{rounds}.jsonl"
                    run = start(path, number, cluster.where)
                    continue
                what = TURNS[turn % 3]
                workers = cluster.workers(run)
                if what != "run" and not workers:
                    continue
                seen |= {p.pid for p in workers}
                if what != "run":
                    kill(chance.choice(workers))
                if what != "worker":
                    kill(run)
                    run.wait()
                    run = start(path, number, cluster.where)
                done[what] += 1
                turn += 1
            assert run.wait(120) == 0
            check(path, number)
            if kind == "pool":      # workers whose run was killed must not stay behind
                end = time.monotonic() + 20
                while left := [pid for pid in seen if psutil.pid_exists(pid)]:
                    assert time.monotonic() < end, f"workers stayed behind: {left}"
                    time.sleep(0.2)
        finally:
            kill(run)
            cluster.close()
    return done


def check(path: Path, number: int) -> None:
    """Each trial once, and as in a run that nobody disturbed."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}") and line.startswith("{")]
    seeds = [line["trial"]["seed"] for line in lines]
    assert sorted(seeds) == list(range(number)), f"lost or doubled: {sorted(set(range(number)) ^ set(seeds))}, {len(seeds)} lines"
    assert all(line["error"] is None for line in lines), [line["error"] for line in lines if line["error"]]
    assert {line["trial"]["seed"]: line["accuracy"] for line in lines} == {s: round(1 / (2 + s), 6) for s in range(number)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
        parser.add_argument("kind", nargs="?", choices=("pool", "dask"), default="pool")
        parser.add_argument("--times", type=int, default=20)
        parser.add_argument("--trials", type=int, default=80)
        parser.add_argument("--seed", type=int, default=0)
        given = parser.parse_args()
        print(f"{given.kind}: killed {main(given.kind, given.times, given.trials, given.seed)}; nothing lost, nothing doubled")
