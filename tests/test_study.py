"""Studies: nothing that has finished is lost or run twice, and nothing is compared that is not comparable."""

import json
import math
import multiprocessing
import re
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from scipy import stats

from course_utils import study, tasks
from course_utils import trial as trial_module
from course_utils.study import (
    Result,
    Trial,
    accuracies,
    describe,
    difference,
    network,
    read,
    run_study,
    run_trial,
    write,
)
from course_utils.train import History, predict

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


def study_of(trials, path, run, executor=None):
    return run_study(trials, path, executor, run=run, progress=False)


def measured(results):
    """What must not depend on where and when a trial ran."""
    return [(r.trial, r.accuracy, r.parameters, r.error) for r in results]


# ---- trials

def test_the_key_of_a_trial_never_changes():
    """A key that changes makes every recorded result look as if it had not been run."""
    trial = Trial("what", host="small_host", mechanism="se", socket="pre", start="identity",
                  options={"reduction": 4}, seed=3, steps=100, batch_size=32, lr=0.01, test_size=2000)
    assert trial.key == (
        '{"batch_size": 32, "host": "small_host", "lr": 0.01, "mechanism": "se", "options": [["reduction", 4]], '
        '"seed": 3, "socket": "pre", "start": "identity", "steps": 100, "task": "what", "test_size": 2000}')


def test_the_order_and_the_kind_of_options_make_no_other_trial():
    forms = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, (("b", 2), ("a", 1)), [["a", 1], ["b", 2]]]
    trials = [Trial("what", mechanism="se", options=options) for options in forms]
    assert len(set(trials)) == len({trial.key for trial in trials}) == 1
    assert trials[0] != Trial("what", mechanism="se", options={"a": 2, "b": 1})


def test_equal_trials_have_equal_keys():
    for a, b in [({"lr": 1}, {"lr": 1.0}), ({"steps": 100}, {"steps": 100.0}), ({"options": ()}, {"options": {}})]:
        one, other = Trial("what", mechanism="se", **a), Trial("what", mechanism="se", **b)
        assert (one == other) == (one.key == other.key), f"{one.key} and {other.key}"


@pytest.mark.parametrize("change", [
    {"task": "where"}, {"host": "small_resnet"}, {"mechanism": "eca"}, {"socket": "pre"}, {"start": "identity"},
    {"options": {"reduction": 8}}, {"seed": 1}, {"steps": 11}, {"batch_size": 9}, {"lr": 0.17}, {"test_size": 13},
], ids=lambda change: next(iter(change)))
def test_every_setting_makes_another_trial(change):
    trial = Trial("what", mechanism="se")
    assert replace(trial, **change) != trial and replace(trial, **change).key != trial.key
    assert (replace(trial, **change).arm == trial.arm) == ("seed" in change)


def test_the_plain_host_is_one_trial_whatever_was_said_about_a_mechanism():
    plain = Trial("what", seed=2)
    same = Trial("what", seed=2, socket="pre", start="identity", options={"reduction": 4})
    assert same == plain and hash(same) == hash(plain) and same.key == plain.key and plain.socket == "none"
    assert len({Trial("what", mechanism=None, socket=s) for s in ("pre", "post", "both")}) == 1
    assert len({Trial("what", mechanism="se", socket=s) for s in ("pre", "post", "both")}) == 3


def test_a_trial_cannot_be_changed_and_refuses_an_unknown_host():
    with pytest.raises(FrozenInstanceError):
        THREE[0].seed = 4
    with pytest.raises(ValueError, match="unknown host 'resnet'. Known: small_host, small_resnet"):
        Trial("what", host="resnet")


def test_the_mechanism_is_plugged_in_as_the_trial_says():
    trial = Trial("relate", mechanism="se", socket="both", start="identity", options={"reduction": 2})
    modules = [m for m in network(trial).modules() if type(m).__name__ == "SE"]
    assert len(modules) == 8 and modules[-1].squeeze.out_channels == modules[-1].squeeze.in_channels // 2
    gate = modules[-1].gate(torch.rand(2, modules[-1].squeeze.in_channels, 3, 3))
    assert torch.equal(gate, torch.ones_like(gate))
    assert network(trial).classify.out_features == 2
    plain = network(Trial("relate"))
    assert sum(p.numel() for p in plain.parameters()) < sum(p.numel() for p in network(trial).parameters())


def test_the_seed_of_a_trial_decides_its_weights():
    first, again, other = (list(network(Trial("what", seed=seed)).parameters()) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_two_threads_do_not_mix_up_their_seeds(monkeypatch):
    """The generator of torch belongs to the whole process: seeding and drawing must not be interleaved."""
    class SlowHost(torch.nn.Module):
        def __init__(self, *_):
            super().__init__()
            time.sleep(0.05)
            self.weight = torch.nn.Parameter(torch.rand(4))
            time.sleep(0.05)

    monkeypatch.setitem(study.HOSTS, "slow", SlowHost)
    trials = [Trial("what", host="slow", seed=seed) for seed in range(4)]
    expected = [network(trial).weight for trial in trials]
    with ThreadPoolExecutor(4) as pool:
        together = [net.weight for net in pool.map(network, trials)]
    assert all(torch.equal(a, b) for a, b in zip(expected, together, strict=True))


# ---- one trial

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
    expected = tasks.make("twins", 300, "test", study.TEST_SEED, trial_module.best_device()).x
    assert torch.equal(tested_on[0], expected), "not the scans that no training picture holds"


def test_the_budget_of_the_trial_is_the_one_that_is_trained_with(monkeypatch):
    seen = {}

    def fit(net, stream, lr, progress):
        seen.update(lr=lr, steps=len(stream), batch=len(next(iter(stream)).y), task=stream.name)
        return History(seconds=1.234)
    monkeypatch.setattr(trial_module, "fit", fit)
    result = run_trial(tiny(lr=0.003, steps=7))
    assert seen == {"lr": 0.003, "steps": 7, "batch": 4, "task": "twins"} and result.seconds == 1.23


def test_a_result_says_what_it_ran_on():
    result = run_trial(tiny())
    assert result.trial == tiny() and result.error is None and 0 <= result.accuracy <= 1
    assert result.parameters == sum(p.numel() for p in network(tiny()).parameters())
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


# ---- the file

def test_a_result_comes_back_from_the_file_as_it_was(tmp_path):
    path = tmp_path / "results.jsonl"
    results = [
        run_trial(tiny(mechanism="se", socket="pre", options={"reduction": 2}, seed=5)),
        run_trial(tiny()),
        Result(Trial("what"), error="ValueError: größer als π\nand a second line"),
        Result(Trial("what", lr=0.1 + 0.2), accuracy=1 / 3, seconds=0.1, parameters=7, device="a GPU", date="2030-01-01"),
    ]
    for result in results:
        write(result, path)
    assert read(path) == results
    assert read(str(path)) == results
    text = path.read_text("utf-8")
    assert text.count("\n") == 4 and text.endswith("\n") and all(json.loads(line) for line in text.splitlines())


def test_options_with_several_numbers_come_back_too(tmp_path):
    """JSON knows no tuples: a list in a frozen trial cannot be looked up, and the whole study stops."""
    trial = Trial("what", mechanism="se", options={"sizes": (3, 5)})
    run = Runner()
    first = study_of([trial], tmp_path / "r.jsonl", run)
    assert study_of([trial], tmp_path / "r.jsonl", run) == first and len(run.given) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.jsonl"):
        read(tmp_path / "nothing.jsonl")


def test_an_older_file_without_a_setting_means_its_default(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"trial": {"task": "what", "seed": 4}, "accuracy": 0.5}\n\n')
    assert read(path) == [Result(Trial("what", seed=4), accuracy=0.5)]


def test_a_setting_of_a_newer_version_is_not_dropped_in_silence(tmp_path):
    """Without it two different configurations would count as the same trial."""
    path, run = tmp_path / "results.jsonl", Runner()
    study_of([Trial("what")], path, run)
    entry = json.loads(path.read_text("utf-8"))
    entry["trial"]["stages"] = [1]
    path.write_text(json.dumps(entry) + "\n", "utf-8")
    with pytest.warns(UserWarning, match="line 1"):
        assert read(path) == []


@pytest.mark.parametrize("broken", [
    '{"trial": {"task": "what", "se', "\x00\x00\x00", "3", "[]", "null", "{}", '{"trial": 3}', '{"trial": {}}',
    '{"trial": {"task": "what", "host": "lost"}}', '{"trial": {"task": "what"}, "colour": 1}',
    '{"trial": {"task": "what", "options": [1]}}',
])
def test_a_broken_line_is_left_out_with_its_number(broken, tmp_path):
    path = tmp_path / "results.jsonl"
    good = [Runner()(trial) for trial in THREE[:2]]
    write(good[0], path)
    with open(path, "a", encoding="utf-8") as file:
        file.write(broken + "\n")
    write(good[1], path)
    with pytest.warns(UserWarning, match=r"results\.jsonl, line 2 is broken"):
        assert read(path) == good


def test_half_a_letter_at_the_end_does_no_harm(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(json.dumps({"trial": {"task": "what"}}).encode() + b"\n" + '{"trial": {"task": "é'.encode()[:-1])
    with pytest.warns(UserWarning, match="line 2"):
        assert len(read(path)) == 1


# ---- restart

def test_finished_trials_are_not_run_again(tmp_path):
    run, path = Runner(), tmp_path / "new folder" / "results.jsonl"
    first = study_of(THREE, path, run)
    assert [r.trial for r in first] == THREE == run.given
    more = [Trial("what", seed=seed) for seed in (4, 1, 3, 0)]
    again = study_of(more, path, run)
    assert run.given == [*THREE, more[0], more[2]]
    assert [r.trial for r in again] == more and again[1] == first[1] and again[3] == first[0]
    assert len(path.read_text("utf-8").splitlines()) == 5
    assert read(path) == first + [again[0], again[2]]


def test_repeated_trials_are_run_once(tmp_path):
    run = Runner()
    results = study_of([THREE[0], THREE[1], THREE[0]], tmp_path / "r.jsonl", run)
    assert run.given == THREE[:2] and [r.trial for r in results] == THREE[:2]


def test_trials_may_come_from_a_generator(tmp_path):
    assert len(study_of((trial for trial in THREE), tmp_path / "r.jsonl", Runner())) == 3


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_killed_run_loses_the_line_that_it_was_writing_and_no_other(cut, tmp_path):
    path = tmp_path / "results.jsonl"
    study_of(THREE, path, Runner())
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])          # 1: only the end of the line is missing, and the result is all there
    again, lost = Runner(), THREE[2:] if cut > 1 else []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = study_of(THREE, path, again)
    assert again.given == lost and [r.trial for r in results] == THREE
    assert [f"{path}, line 3 is broken" in str(w.message) for w in caught] == [True] * len(lost)
    more = Trial("what", seed=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study_of([more], path, again)
        assert [r.trial for r in read(path)] == [*THREE, more], "a line was glued to the broken one"
        assert study_of([*THREE, more], path, Runner(seed0=AssertionError("run again")))


def test_interrupt_keeps_the_finished_trials(tmp_path):
    path = tmp_path / "results.jsonl"
    with pytest.raises(KeyboardInterrupt):
        study_of(THREE, path, Runner(seed2=KeyboardInterrupt()))
    assert [r.trial for r in read(path)] == THREE[:2]
    run = Runner()
    assert len(study_of(THREE, path, run)) == 3 and run.given == THREE[2:]


def test_every_result_is_in_the_file_before_the_next_trial_begins(tmp_path):
    path, lines = tmp_path / "results.jsonl", []

    def run(trial):
        lines.append(len(path.read_bytes().splitlines()) if path.exists() else 0)
        return Result(trial, accuracy=0.5, seconds=1.0)
    study_of(THREE, path, run)
    assert lines == [0, 1, 2]


def test_a_rehearsal_leaves_nothing_behind_that_counts_as_measured(tmp_path, monkeypatch):
    """Two steps of training under the name of six hundred."""
    path, given = tmp_path / "results.jsonl", []

    def run(trial):
        given.append(trial)
        return run_trial(trial)
    trial = tiny(steps=5)
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    assert len(study_of([trial], path, run)) == 1
    monkeypatch.delenv("COURSE_REHEARSE")
    study_of([trial], path, run)
    assert len(given) == 2, "the result of the rehearsal was taken for that of the trial"


# ---- failures

def assert_recorded_and_tried_again(path, failing, executor=None):
    results = study_of(THREE, path, failing, executor)
    assert [r.error is None for r in results] == [True, False, True]
    assert "out of memory" in results[1].error and results[1].trial == THREE[1]
    assert sorted(measured(read(path)), key=str) == sorted(measured(results), key=str)
    again = Runner()
    mended = study_of(THREE, path, again, executor)
    assert again.given == [THREE[1]] and all(r.error is None for r in mended)
    assert study_of(THREE, path, again, executor) == mended and len(again.given) == 1


def test_a_failed_trial_is_recorded_and_tried_again(tmp_path):
    assert_recorded_and_tried_again(tmp_path / "r.jsonl", Runner(seed1="RuntimeError: out of memory"))


def test_a_trial_that_raises_is_recorded_and_tried_again(tmp_path):
    """Whatever `run` is: it need not be `run_trial`, which turns errors into results itself."""
    assert_recorded_and_tried_again(tmp_path / "r.jsonl", Runner(seed1=RuntimeError("out of memory")))


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


# ---- executors

def test_threads_give_what_one_after_the_other_gives(tmp_path, monkeypatch):
    def finer(net, batch):
        """Two steps leave the accuracy near chance; the logits show whether the same network came out."""
        return predict(net, batch.x[:20]).double().square().sum().item()
    monkeypatch.setattr(trial_module, "evaluate", finer)
    trials = [tiny(seed=seed, mechanism=m) for seed in range(2) for m in (None, "se")]
    serial = run_study(trials, tmp_path / "serial.jsonl", progress=False)
    with ThreadPoolExecutor(2) as pool:
        threads = run_study(trials, tmp_path / "threads.jsonl", pool, progress=False)
    assert measured(threads) == measured(serial) and all(r.error is None for r in serial)
    assert len({r.accuracy for r in serial}) == 4


def test_processes_give_what_one_after_the_other_gives(tmp_path):
    trials = [tiny(seed=seed) for seed in range(3)]
    serial = run_study(trials, tmp_path / "serial.jsonl", progress=False)
    assert len({r.accuracy for r in serial}) > 1, "too coarse to see a difference"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        processes = run_study(trials, tmp_path / "processes.jsonl", pool, progress=False)
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
    run_study(THREE[:2], tmp_path / "r.jsonl", run=Runner())
    assert "2 trials, 1 of them" in capsys.readouterr().out
    study_of(THREE, tmp_path / "r.jsonl", Runner())
    assert capsys.readouterr().out == ""


def test_a_result_without_a_time_can_be_described():
    assert "0.250" in describe(Result(Trial("what"), accuracy=0.25))


# ---- what is compared

def results_of(**arms):
    """name=(mechanism, {seed: accuracy}) -> results."""
    return [Result(Trial("what", mechanism=m, seed=seed), accuracy=a, seconds=1.0)
            for m, values in arms.values() for seed, a in values.items()]


OURS, CONTROL = {0: 0.9, 1: 0.7, 2: 0.95, 3: 0.6}, {0: 0.3, 1: 0.5, 2: 0.4, 3: 0.45}


def test_accuracies_are_those_of_one_configuration_by_seed():
    results = results_of(plain=(None, CONTROL), se=("se", dict(reversed(OURS.items()))))
    results.append(Result(Trial("what", mechanism="se", seed=9), error="ValueError: no"))
    assert accuracies(results, mechanism="se") == OURS and list(accuracies(results, mechanism="se")) == [0, 1, 2, 3]
    assert accuracies(results, mechanism=None) == CONTROL
    assert accuracies(results, mechanism="se", seed=2) == {2: 0.95}


def test_options_are_asked_for_as_they_were_given():
    results = [Result(Trial("what", mechanism="se", options={"reduction": r, "bias": True}, seed=s), accuracy=s + r / 100)
               for r in (4, 16) for s in (0, 1)]
    for form in ({"bias": True, "reduction": 4}, (("bias", True), ("reduction", 4)), [("reduction", 4), ("bias", True)]):
        assert accuracies(results, options=form) == {0: 0.04, 1: 1.04}


def test_accuracies_of_several_configurations_are_not_mixed():
    results = results_of(plain=(None, CONTROL), se=("se", OURS))
    with pytest.raises(ValueError, match="2 configurations"):
        accuracies(results)
    results.append(Result(Trial("what", mechanism="se", seed=7, steps=10), accuracy=0.2))
    with pytest.raises(ValueError, match="2 configurations"):
        accuracies(results, mechanism="se")
    assert accuracies(results, mechanism="se", steps=10) == {7: 0.2}


def test_what_cannot_be_compared_is_refused_with_the_reason():
    results = results_of(plain=(None, CONTROL))
    with pytest.raises(ValueError, match="unknown setting mechansim. Known: task, host, mechanism"):
        accuracies(results, mechansim="se")
    with pytest.raises(ValueError, match="no finished result with {'mechanism': 'gct'}"):
        accuracies(results, mechanism="gct")
    for control in ({}, {3: 0.1}, {7: 0.1, 8: 0.2}):
        with pytest.raises(ValueError, match="at least two seeds"):
            difference(OURS, control)


def test_difference_is_the_paired_t_interval():
    found = difference(OURS, CONTROL)
    reference = stats.ttest_rel(list(OURS.values()), list(CONTROL.values()))
    low, high = reference.confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (sum(OURS.values()) / 4 - sum(CONTROL.values()) / 4, low, high), abs=1e-5)
    assert found.n == 4
    unpaired = stats.ttest_ind(list(OURS.values()), list(CONTROL.values())).confidence_interval(0.95)
    assert not math.isclose(found.low, unpaired.low, abs_tol=1e-3)


def test_seeds_are_paired_by_their_number_not_by_their_place():
    shuffled = {seed: CONTROL[seed] for seed in (2, 0, 3, 1)}
    assert difference(OURS, shuffled) == difference(OURS, CONTROL)
    assert difference({**OURS, 17: 0.0}, {**CONTROL, 18: 1.0}) == difference(OURS, CONTROL)


def test_no_clear_difference_is_said_in_words():
    clear = difference({0: 0.9, 1: 0.91, 2: 0.92}, {0: 0.3, 1: 0.3, 2: 0.3})
    worse = difference({0: 0.3, 1: 0.3, 2: 0.3}, {0: 0.9, 1: 0.91, 2: 0.92})
    unclear = difference({0: 0.9, 1: 0.3}, {0: 0.5, 1: 0.5})
    assert clear.clear and worse.clear and not unclear.clear
    assert clear.mean == -worse.mean and clear.low == pytest.approx(-worse.high)
    assert "no clear difference" in str(unclear) and "no clear" not in str(clear)
    assert str(clear).startswith("+0.610 (95 % interval +0.5") and "3 pairs" in str(clear)


def test_equal_arms_give_a_difference_of_exactly_nothing():
    nothing = difference(OURS, OURS)
    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0) and not nothing.clear
