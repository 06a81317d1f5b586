"""The studies that the lessons show: what is compared is comparable, and each file of results is that of its study."""

import functools
from collections import Counter
from dataclasses import replace

import pytest

from course_utils import cost
from course_utils.studies import CATALOGUE, find, network, read
from course_utils.studies.answer import ANSWER, CONFIRMED
from course_utils.studies.dense import DENSE
from course_utils.studies.follow import FOLLOW
from course_utils.studies.study import RESULTS

each = pytest.mark.parametrize("name", CATALOGUE)
# Those of the answer and what follows them are long: while they run, what there is of them is committed, balanced by seed.
LONG = {study.name for study in (*ANSWER, *FOLLOW, *DENSE)}
recorded = pytest.mark.parametrize("name", [name for name, study in CATALOGUE.items() if study.path.exists() or name not in LONG])
AGAIN = {"02_confirmed": "02_channel", "03_confirmed": "03_spatial", "07_confirmed": "07_large", "09_again": "09_pre",
         "10_alike_again": "10_alike", "10_fashion_again": "10_fashion", "11_again": "11_both", "13_again": "13_swap",
         **{study.name: study.name.removesuffix("_again") for study in FOLLOW if study.name.endswith("_again")},
         "09_depth_relu_again": "09_depth_what"}
THIRD = tuple(range(600, 608))      # of what was itself run on the second set
SWAP_TIMES = {"13_swap", "13_again"}      # at once and after 100 steps, in one study


def test_a_study_is_found_by_its_name():
    assert find("02_channel") is CATALOGUE["02_channel"] and all(study.name == name for name, study in CATALOGUE.items())
    with pytest.raises(ValueError, match="unknown study '02_chanel'. Did you mean '02_channel'\\? Known: 00_what, "):
        find("02_chanel")


@each
def test_a_study_says_its_lesson(name):
    assert CATALOGUE[name].about.startswith(f"Lesson {name[:2]}: ") and CATALOGUE[name].about.endswith((".", "?"))


# ---- equal budgets

@each
def test_the_arms_of_a_contrast_have_equal_budgets_and_the_same_seeds(name):
    study = CATALOGUE[name]
    for ours, control in study.contrasts:
        a, b = study.trial(ours, 0), study.trial(control, 0)
        assert a != b
        for setting in ("task", "steps", "lr", "batch_size", "test_size", "before"):
            assert getattr(a, setting) == getattr(b, setting), f"{ours} and {control}: {setting}"


@each
def test_arms_on_one_task_have_equal_budgets_and_seeds(name):
    study = CATALOGUE[name]
    trials = study.trials(range(3))
    for task in {t.task for t in trials}:
        mine = [t for t in trials if t.task == task]
        assert len({(t.lr, t.batch_size, t.test_size, t.before) for t in mine}) == 1
        arms = {}
        for t in mine:
            arms.setdefault(replace(t, seed=0), set()).add(t.seed)
        assert {frozenset(seeds) for seeds in arms.values()} == {frozenset({0, 1, 2})}
        assert len({t.steps for t in mine}) == (2 if name in SWAP_TIMES else 1)


@each
def test_a_study_of_several_arms_names_what_is_compared(name):
    study = CATALOGUE[name]
    of_one_arm_each = name == "01_ceilings"      # tasks side by side; nothing is compared
    confirms = name in AGAIN and len(study.arms) < len(CATALOGUE[AGAIN[name]].arms)
    assert study.contrasts or len(study.arms) == 1 or of_one_arm_each or confirms


def test_every_second_run_is_compared_with_its_first():
    """Catches an `again` that AGAIN does not name: no test would see whether it is the same study."""
    assert {name for name, study in CATALOGUE.items() if "On other seeds" in study.about} == AGAIN.keys()


@pytest.mark.parametrize("name", AGAIN)
def test_a_second_run_has_other_seeds_and_the_same_arms(name):
    again, first = CATALOGUE[name], CATALOGUE[AGAIN[name]]
    wanted = (CONFIRMED, THIRD) if name in LONG else ((300, 301, 302, 303, 304),)
    assert again.seeds in wanted and not set(again.seeds) & set(first.seeds)
    assert {t.arm for t in again.trials()} <= {t.arm for t in first.trials()}
    assert set(again.contrasts) <= set(first.contrasts)


@pytest.mark.parametrize("name, host", [("09_pre", "wide_host"), ("10_alike", "wide_resnet"), ("10_fashion", "wide_resnet")])
def test_the_controls_have_more_parameters_than_any_arm(name, host):
    counts = {}
    for t in CATALOGUE[name].trials([0]):
        counts.setdefault(t.host == host, []).append(cost.parameters(network(t)))
    assert min(counts[True]) > max(counts[False])


def as_built(trial):
    """The trial whose network is, without any training, that of a trial which goes on from a trained host."""
    same = {"steps": 1, "lr": 0.1, "batch_size": 1, "test_size": 1, "settle": 0, "seed": 0}      # say nothing of the network
    return replace(trial, mechanism=trial.mechanism or trial.had, before=0, had=None, **same)


@functools.cache
def built(trial):
    """Parameters of its network, and whether there is attention in it; many studies have the same arms."""
    net = network(trial)
    return cost.parameters(net), any("attention_" in name for name, _ in net.named_modules())


# Every arm of every study once: a setting that plug_in refuses would be found after hours of running the others.
ARMS = {(t.host, t.mechanism, t.at, t.start, t.options, t.stages, t.layers, t.times, t.task): t
        for study in CATALOGUE.values() for t in map(as_built, study.trials([0]))}


@pytest.mark.parametrize("trial", ARMS.values(), ids=lambda t: f"{t.task}-{t.host}-{t.mechanism}-{t.at}-{t.start}")
def test_every_arm_can_be_built(trial):
    assert built(trial)[1] == (trial.mechanism is not None)


# ---- files

def test_every_file_of_results_is_that_of_a_study():
    stems = {path.stem for path in RESULTS.glob("*.jsonl")}
    assert set(CATALOGUE) - LONG <= stems <= set(CATALOGUE)
    assert all(study.path == RESULTS / f"{name}.jsonl" for name, study in CATALOGUE.items())


@recorded
def test_a_file_holds_trials_of_its_study_only_and_none_twice(name):
    study = CATALOGUE[name]
    found = Counter(r.trial for r in read(study.path))
    assert set(found) <= set(study.trials()) and set(found.values()) <= {1}


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in LONG])
def test_a_file_holds_all_trials_of_its_study(name):
    done = {r.trial for r in read(CATALOGUE[name].path) if r.error is None}
    missing = [t for t in CATALOGUE[name].trials() if t not in done]
    assert not missing, f"{len(missing)} outstanding: python -m course_utils.studies run {name}"


@pytest.mark.filterwarnings("error:.* is cut off")
@recorded
def test_no_line_of_a_file_is_broken(name):
    """Catches half a line that a killed run left behind the finished ones: every reader would be warned of it."""
    assert read(CATALOGUE[name].path)


@recorded
def test_a_result_says_what_it_is_and_what_it_was_made_on(name):
    for r in read(CATALOGUE[name].path):
        assert r.error is None and 0 <= r.accuracy <= 1 and r.seconds >= 0 and r.parameters > 0
        assert r.device and r.torch and len(r.date) == 10


@recorded
def test_the_recorded_number_of_parameters_is_that_of_the_network_of_today(name):
    """Another network under the same key would be shown as if it had been measured. Catches one wrong line of an arm too."""
    counts = {}
    for r in read(CATALOGUE[name].path):
        counts.setdefault(as_built(r.trial.arm), set()).add(r.parameters)
    for trial, recorded in counts.items():
        assert recorded == {built(trial)[0]}, trial
