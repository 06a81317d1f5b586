"""What the tests of studies share: short trials, surroundings in which they are exact, and a stand-in for training."""

from unittest import mock

import pytest
import torch

from course_utils.studies import Result, Trial, run_study, run_trial
from course_utils.studies import trial as trial_module
from course_utils.train import predict

THREE = [Trial("what", seed=seed) for seed in range(3)]


def tiny(**settings):
    """A trial that takes a fraction of a second and is real nevertheless."""
    return Trial("twins", **{"steps": 2, "batch_size": 4, "test_size": 300, **settings})


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch):
    """No rehearsal, and the processor: there a trial gives the same to the last bit."""
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")       # for the processes that a test starts
    monkeypatch.setattr(trial_module, "best_device", lambda: torch.device("cpu"))


class Runner:
    """Stands in for training: remembers which trials it was given, and does to some of them what it is told."""

    def __init__(self, **does):
        self.does, self.given = {int(seed.removeprefix("seed")): value for seed, value in does.items()}, []

    def __call__(self, trial):
        self.given.append(trial)
        what = self.does.get(trial.seed)
        if isinstance(what, str):
            return Result(trial, error=what)
        if what is not None:
            raise what
        return Result(trial, accuracy=0.5 + trial.seed / 100, seconds=1.0, parameters=10)


def study_of(trials, path, run, executor=None, **more):
    return run_study(trials, path, executor, run=run, progress=False, **more)


def measured(results):
    """What must not depend on where and when a trial ran."""
    return [(r.trial, r.accuracy, r.parameters, r.error) for r in results]


def fingerprint(net, batch):
    """Two steps leave the accuracy near chance; the logits show whether the same network came out."""
    return predict(net, batch.x[:20]).double().square().sum().item()


def run_exactly(trial):
    """A real trial whose "accuracy" tells networks apart; importable, so that other processes can run it."""
    with mock.patch.object(trial_module, "evaluate", fingerprint):
        return run_trial(trial)
