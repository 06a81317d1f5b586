"""Running one trial: its own pictures, its own budget, and an error that becomes part of the result."""

import re

import pytest
import torch
from trials import plain_surroundings, run_exactly, tiny  # noqa: F401  (plain_surroundings is a fixture)

from course_utils import cost, tasks
from course_utils.studies import TEST_SEED, network, run_trial
from course_utils.studies import trial as trial_module
from course_utils.train import History


def test_trials_of_one_seed_see_the_same_pictures_and_all_the_same_test(monkeypatch):
    trained_on, tested_on = [], []

    def fit(net, stream, **_):
        trained_on.append(torch.cat([batch.x for batch in stream]))
        return History()
    monkeypatch.setattr(trial_module, "fit", fit)
    monkeypatch.setattr(trial_module, "evaluate", lambda net, batch: tested_on.append(batch.x) or 0.5)
    for trial in (tiny(), tiny(mechanism="se"), tiny(seed=1)):
        assert run_trial(trial).error is None
    assert torch.equal(trained_on[0], trained_on[1]) and not torch.equal(trained_on[0], trained_on[2])
    assert len(trained_on[0]) == 2 * 4
    assert torch.equal(tested_on[0], tested_on[1]) and torch.equal(tested_on[0], tested_on[2])
    expected = tasks.make("twins", 300, "test", TEST_SEED, trial_module.best_device()).x
    assert torch.equal(tested_on[0], expected), "not the scans that no training picture holds"


def test_the_budget_of_the_trial_is_the_one_that_is_trained_with(monkeypatch):
    seen = {}

    def fit(net, stream, lr, progress, unseen):
        seen.update(lr=lr, steps=len(stream), batch=len(next(iter(stream)).y), task=stream.name, looks_at=len(unseen.y))
        return History(seconds=1.234, unseen=[0.25, 1 / 3])
    monkeypatch.setattr(trial_module, "fit", fit)
    result = run_trial(tiny(lr=0.003, steps=7))
    assert seen == {"lr": 0.003, "steps": 7, "batch": 4, "task": "twins", "looks_at": 300} and result.seconds == 1.23
    assert result.curve == (0.25, 0.3333)
    run_trial(tiny(lr=0.003, steps=7, test_size=700))
    assert seen["looks_at"] == 500, "the curve is of the first 500: all of them would cost as much as the training"


def test_a_result_says_what_it_ran_on():
    result = run_trial(tiny())
    assert result.trial == tiny() and result.error is None and 0 <= result.accuracy <= 1
    assert result.parameters == cost.parameters(network(tiny()))
    assert result.device and result.torch == torch.__version__ and result.date.count("-") == 2


@pytest.mark.parametrize("trial, message", [
    (tiny(mechanism="se", options={"no_such_option": 1}), "TypeError.*no_such_option"),
    (tiny(steps=0), "ValueError.*no batches"),
])
def test_an_error_becomes_part_of_the_result(trial, message):
    result = run_trial(trial)
    assert result.accuracy is None and re.search(message, result.error)
    assert re.search(r"\(\w+, line \d+\)$", result.error), "where?"


def test_an_interrupted_trial_is_no_result(monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr(tasks, "make", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_trial(tiny())


def test_settling_gives_the_norms_new_statistics_and_learns_nothing():
    from course_utils.studies.trial import settle
    trial = tiny(settle=3)
    before, after = network(trial), network(trial)
    settle(after, trial, torch.device("cpu"))
    changed = [key for key, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[key])]
    assert changed and all("running_" in key or "num_batches" in key for key in changed)
    assert {key.split(".")[-1] for key in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    untouched = network(tiny())
    settle(untouched, tiny(), torch.device("cpu"))
    assert not [k for k, v in untouched.state_dict().items() if not torch.equal(v, before.state_dict()[k])]


def test_a_trial_settles_after_its_training_and_has_a_key_of_its_own():
    plain, settled = tiny(before=2, steps=0), tiny(before=2, steps=0, settle=2)
    assert plain.key != settled.key and "settle" not in plain.key
    results = [run_exactly(trial) for trial in (plain, settled)]
    assert results[0].accuracy != results[1].accuracy, "the norms were not asked"
