"""A study is data: base, arms, seeds, contrasts. It says all before the first run, and cannot be changed afterwards."""

from collections import Counter
from dataclasses import FrozenInstanceError

import pytest
from trials import Runner, plain_surroundings, study_of  # noqa: F401  (plain_surroundings is a fixture)

from course_utils.stats import difference
from course_utils.studies import Result, Study, Trial, read, run_study
from course_utils.studies import study as module

BASE = {"task": "what", "mechanism": "se", "steps": 7}
ARMS = {"plain": {"mechanism": None}, "pre": {"at": "pre"}, "post": {"at": "post"}}


def made(name="mine", about="SE, before and after.", base=None, arms=None, contrasts=(("pre", "post"), ("pre", "plain")), **more):
    return Study(name, about, BASE if base is None else base, ARMS if arms is None else arms, contrasts, **more)


def results_for(study, seeds=(1, 2, 3)):
    """Accuracy 0.1 for each position of the arm, and a hundredth of the seed squared."""
    return [Result(study.trial(arm, s), accuracy=i / 10 + s * s / 100 * i, seconds=float(s), parameters=i)
            for s in seeds for i, arm in enumerate(study.arms)]


# ---- trials

def test_an_arm_is_the_base_and_what_it_changes():
    study = made()
    assert study.trial("pre", 3) == Trial("what", mechanism="se", at="pre", steps=7, seed=3)
    assert study.trial("plain", 3) == Trial("what", steps=7, seed=3)
    over = made(arms={"short": {"steps": 2}, "base": {}}, contrasts=())
    assert over.trial("short", 0).steps == 2 and over.trial("base", 0).steps == 7, "an arm wins over the base"


def test_all_arms_of_a_seed_come_before_the_next_seed():
    study = made(seeds=(5, 3))
    assert study.trials() == [study.trial(arm, seed) for seed in (5, 3) for arm in ("plain", "pre", "post")]
    assert study.trials([9]) == [study.trial(arm, 9) for arm in ARMS]
    assert [t.seed for t in study.trials(s for s in (1, 2))] == [1, 1, 1, 2, 2, 2], "seeds may come from a generator"
    assert [t.seed for t in made().trials()] == [s for s in range(200, 205) for _ in ARMS], "the seeds of the course"


@pytest.mark.parametrize("done", range(1, 9))
def test_an_interrupted_study_is_balanced(done, tmp_path):
    """Every arm has run as often as the others, give or take one, wherever it was stopped."""
    class Stopped(Runner):
        def __call__(self, trial):
            if len(self.given) == done:
                raise KeyboardInterrupt
            return super().__call__(trial)
    study = made(seeds=(1, 2, 3))
    with pytest.raises(KeyboardInterrupt):
        study_of(study.trials(), tmp_path / "r.jsonl", Stopped())
    found = read(tmp_path / "r.jsonl")
    counts = Counter(r.trial.arm for r in found)
    times = [counts[study.trial(arm, 0)] for arm in study.arms]
    assert sum(times) == done and max(times) - min(times) <= 1


# ---- once more

def test_again_is_the_same_study_on_other_seeds():
    first = made()
    again = first.again("mine_again")
    assert again.name == "mine_again" and again.path.name == "mine_again.jsonl" != first.path.name
    assert again.seeds == tuple(range(300, 305)) and not set(again.seeds) & set(first.seeds)
    assert {t.arm for t in again.trials()} == {t.arm for t in first.trials()} and again.contrasts == first.contrasts
    assert again.about == "SE, before and after. On other seeds."
    assert first.again("x", seeds=[7]).seeds == (7,)


def test_again_with_some_of_the_arms_keeps_the_contrasts_between_them():
    some = made().again("some", only=("post", "pre"))
    assert list(some.arms) == ["post", "pre"] and some.contrasts == (("pre", "post"),)
    assert some.about == "SE, before and after. On other seeds, 2 of the arms."
    with pytest.raises(ValueError, match="unknown arm 'psot'. Did you mean 'post'\\? Known: plain, pre, post"):
        made().again("x", only=("psot",))


# ---- what is read off it

def test_runs_are_arm_seed_and_outcome():
    study = made(outcomes=("accuracy", "seconds"))
    results = results_for(study, (8, 1))      # a set of these two would come out in this order
    results.append(Result(study.trial("pre", 9), error="ValueError: no"))
    runs = study.runs(results)
    assert list(runs) == ["plain", "pre", "post"] and list(runs["pre"]) == [1, 8], "in the order of arms and seeds"
    assert runs == {"plain": {1: 0, 8: 0}, "pre": {1: pytest.approx(0.11), 8: pytest.approx(0.74)},
                    "post": {1: pytest.approx(0.22), 8: pytest.approx(1.48)}}
    assert study.runs(results, outcome="seconds")["post"] == {1: 1.0, 8: 8.0}
    with pytest.raises(ValueError, match="unknown outcome 'parameters'.* Known: accuracy, seconds"):
        study.runs(results, outcome="parameters")


def test_runs_of_one_setting_lose_its_name():
    arms = {f"{task}: {arm}": {"task": task, **settings} for task in ("what", "where") for arm, settings in ARMS.items()}
    study = made(arms=arms, contrasts=())
    results = results_for(study)
    assert list(study.runs(results, of="where: ")) == ["plain", "pre", "post"]
    assert study.runs(results, of="where: ")["pre"] == study.runs(results)["where: pre"] != study.runs(results)["what: pre"]


def test_runs_of_other_studies_do_not_count():
    study, other = made(), made(base={**BASE, "steps": 8})
    runs = study.runs([*results_for(other), *results_for(study, (1, 2))])
    assert {arm: list(seeds) for arm, seeds in runs.items()} == {arm: [1, 2] for arm in ARMS}


def test_an_arm_that_has_not_run_is_there_and_empty():
    study = made()
    assert study.runs([Result(study.trial("pre", 4), accuracy=0.5)]) == {"plain": {}, "pre": {4: 0.5}, "post": {}}


def test_differences_are_those_of_the_contrasts_and_no_others():
    study = made()
    runs = study.runs(results_for(study))
    found = study.differences(runs)
    assert list(found) == [("pre", "post"), ("pre", "plain")]
    assert found["pre", "plain"] == difference(runs["pre"], runs["plain"]) and found["pre", "plain"].mean > 0
    assert found["pre", "post"] == difference(runs["pre"], runs["post"]) and found["pre", "post"].mean < 0


def test_differences_are_printed_a_line_each():
    arms = {"SE, r=4": {"mechanism": "se"}, "ECA": {"mechanism": "eca"}, "plain": {"mechanism": None}}
    study = made(arms=arms, contrasts=(("SE, r=4", "plain"), ("ECA", "SE, r=4")))
    found = study.differences({"SE, r=4": {1: 0.9, 2: 0.7}, "ECA": {1: 1.0, 2: 1.0}, "plain": {1: 0.4, 2: 0.2}})
    assert str(found) == ("SE, r=4 - plain: +0.500 (95 % interval +0.500 to +0.500, 2 pairs)\n"
                          f"ECA     - SE, r=4: {found['ECA', 'SE, r=4']}")
    assert "no clear difference" in str(found).split("\n")[1]
    assert found == dict(found), "it is the dict that it was"
    assert str(made(contrasts=()).differences({})) == ""


def test_recorded_results_are_those_of_its_file_and_one_line_says_what_they_were_made_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    study, other = made(seeds=(1, 2)), made(name="other", base={**BASE, "steps": 8})
    run_study([*study.trials(), *other.trials([1])], study.path, run=Runner(), progress=False)
    assert study.path == tmp_path / "mine.jsonl"
    assert [r.trial for r in study.recorded()] == study.trials(), "what does not belong to it is left out"
    out = capsys.readouterr().out
    assert out.startswith("6 recorded trials (") and out.count("\n") == 1
    assert out.endswith("To make them anew: python -m course_utils.studies run mine\n")
    assert study.runs() == study.runs(read(study.path)) and study.differences()["pre", "post"].mean == 0
    with pytest.raises(FileNotFoundError, match="other.jsonl"):
        other.recorded()


# ---- refusals

@pytest.mark.parametrize("settings, message", [
    ({"base": {"tsak": "what"}}, "unknown setting of a trial 'tsak'. Did you mean 'task'\\? Known: task, host"),
    ({"arms": {"pre": {"socket": "pre"}}}, "unknown setting of a trial 'socket'.* Known: task"),
    ({"contrasts": [("pre", "plian")]}, "unknown arm 'plian'. Did you mean 'plain'\\? Known: plain, pre, post"),
    ({"arms": {"post": {"at": "post"}, "same": {}}, "contrasts": ()}, "'mine': two arms are the same trial"),
    ({"arms": {"one": {"mechanism": None, "at": "pre"}, "two": {"mechanism": None}}, "contrasts": ()}, "are the same"),
    ({"base": {"task": "what", "host": "resnet"}}, "unknown host 'resnet'"),
], ids=["setting of the base", "setting of an arm", "arm of a contrast", "two equal arms", "two plain arms", "host"])
def test_what_makes_no_study_is_refused_before_anything_runs(settings, message):
    with pytest.raises(ValueError, match=message):
        made(**settings)


def test_an_arm_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="unknown arm 'per'. Did you mean 'pre'\\?"):
        made().trial("per", 0)


def test_a_study_cannot_be_changed():
    base, arms = dict(BASE), {arm: dict(settings) for arm, settings in ARMS.items()}
    study = made(base=base, arms=arms)
    before = study.trials()
    with pytest.raises(FrozenInstanceError):
        study.seeds = (1,)
    for change in (lambda: study.base.update(steps=1), lambda: study.arms.pop("pre"),
                   lambda: study.arms["pre"].update(at="post")):
        with pytest.raises((TypeError, AttributeError)):
            change()
    base["steps"], arms["pre"]["at"] = 1, "inner"
    assert study.trials() == before, "it is what it was when it was made"
    assert isinstance(made(contrasts=[["pre", "post"]]).contrasts[0], tuple)


def test_a_title_says_how_many_whole_seeds_there_are_until_all_are():
    study = Study("mine", "Lesson 99: x.", {"task": "what"}, {"plain": {}, "SE": {"mechanism": "se"}}, seeds=(1, 2, 3))
    results = [Result(trial, 0.5, 1.0, 1) for trial in study.trials()]
    assert study.so_far(results) == "" and study.so_far([]) == " (0 of 3 seeds so far)"
    assert study.so_far(results[:-1]) == " (2 of 3 seeds so far)", "a seed that lacks an arm is not whole"
    failed = Result(results[0].trial, error="x")
    assert study.so_far([failed, *results[1:]]) == " (2 of 3 seeds so far)"
