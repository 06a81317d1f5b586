"""Trials whose answer is boxes or pixels: learned with their loss, measured with their metric, kept in the file of results."""

from dataclasses import replace

import pytest
from trials import plain_surroundings, tiny  # noqa: F401  (plain_surroundings is a fixture)

from course_utils import studies, tasks
from course_utils.hosts import detection_loss, pixel_loss
from course_utils.scores import detection, mean_iou, precision, segmentation
from course_utils.studies import CATALOGUE, Study, Trial, run_trial
from course_utils.studies import trial as trial_module
from course_utils.studies.results import read, write
from course_utils.studies.scoring import NAMES
from course_utils.train import fit, predict

HOSTS = {"find": "detector", "paint": "unet"}


def small(task, **more):
    return Trial(task, HOSTS[task], **{"steps": 2, "batch_size": 4, "test_size": 12, **more})


@pytest.mark.parametrize("task, loss, metric, every, first", [
    ("find", detection_loss, precision, detection, "AP"), ("paint", pixel_loss, mean_iou, segmentation, "IoU")])
def test_a_trial_is_learned_and_measured_as_its_task_asks(task, loss, metric, every, first, monkeypatch):
    seen = {}

    def spied(net, stream, **how):
        seen.update(how, net=net)
        return fit(net, stream, **how)
    monkeypatch.setattr(trial_module, "fit", spied)
    result = run_trial(small(task))
    assert result.error is None and seen["loss"] is loss and seen["metric"] is metric
    test = tasks.make(task, 12, "test", studies.TEST_SEED)
    wanted = every(predict(seen["net"], test.x), test.y)
    assert result.accuracy == pytest.approx(wanted[first])
    assert result.scores == {name: round(value, 4) for name, value in wanted.items() if value == value}
    assert set(result.scores) & set(NAMES) and all(type(value) is float for value in result.scores.values())


def test_the_curve_is_that_of_the_metric(monkeypatch):
    from course_utils import train
    monkeypatch.setattr(train, "CHECK_EVERY", 1)
    result = run_trial(small("paint"))
    assert len(result.curve) == 2 and result.curve[-1] == pytest.approx(result.scores["IoU"], abs=1e-4)


@pytest.mark.parametrize("task, at, mechanism, layers", [
    ("find", "fuse", "aff", "neck"), ("paint", "fuse", "attention_gate", "join*"), ("find", "post", "se", ())])
def test_attention_comes_in_as_in_every_trial(task, at, mechanism, layers):
    plain, plugged = (run_trial(small(task, **more)) for more in ({}, {"mechanism": mechanism, "at": at, "layers": layers}))
    assert plugged.error is None and plugged.parameters > plain.parameters
    assert '"plugged": true' in plugged.trial.key and '"host": "%s"' % HOSTS[task] in plugged.trial.key


def test_a_host_trained_before_is_trained_with_the_same_loss():
    result = run_trial(small("find", before=2, mechanism="eca"))
    assert result.error is None and result.scores["AP"] >= 0


def test_scores_go_through_the_file_and_a_classifier_has_none(tmp_path):
    result, path = run_trial(small("find")), tmp_path / "mine.jsonl"
    write(result, path)
    write(run_trial(tiny()), path)
    assert [r.scores for r in read(path)] == [result.scores, {}] and read(path)[0] == result
    assert hash(result) is not None


def test_a_study_reads_its_outcomes_off_the_scores():
    study = Study("99_dense", "boxes", {"task": "find", "host": "detector"}, {"plain": {}, "SE": {"mechanism": "se"}},
                  (("SE", "plain"),), ("accuracy", "AP75", "AP_small"), seeds=(0, 1))
    results = [studies.Result(study.trial(arm, seed), 0.5, scores={"AP75": 0.1 * seed, "AP_small": 0.2}) for arm in study.arms
               for seed in study.seeds]
    assert study.runs(results, outcome="AP75") == {"plain": {0: 0.0, 1: 0.1}, "SE": {0: 0.0, 1: 0.1}}
    with pytest.raises(ValueError, match="unknown outcome 'AP57'.*AP75"):
        Study("99_dense", "boxes", {"task": "find", "host": "detector"}, {"plain": {}}, (), ("AP57",))


@pytest.mark.parametrize("task, host, right", [
    ("find", "small_host", "detector"), ("find", "unet", "detector"), ("paint", "detector", "unet"),
    ("what", "unet", "small_host"), ("cifar10", "detector", "small_host"), ("find", "resnet18", "detector"),
    ("paint_what", "timm:resnet18", "unet")])
def test_a_host_that_answers_something_else_is_refused_with_one_that_fits(task, host, right):
    with pytest.raises(ValueError, match=f"task '{task}' asks for .*host '{host}' answers with .*use host='{right}'"):
        Trial(task, host)


def test_a_host_of_your_own_is_taken_at_its_word():
    assert Trial("find", "my_nets:detector").host == "my_nets:detector"


def test_the_unit_of_a_trial_reaches_plug_in_and_old_keys_know_none():
    whole, part = (small("find", mechanism="spatial_gate", at="pre", layers="head*", **more) for more in ({}, {"unit": "conv"}))
    assert run_trial(part).error is None
    assert "head" in run_trial(whole).error      # the natural unit is the block, and the head is none
    assert "unit" not in whole.key and '"unit": "conv"' in part.key


@pytest.mark.parametrize("host", ["detector", "unet"])
def test_the_wide_control_answers_as_its_host_and_has_more_than_any_attention(host):
    task = {one: task for task, one in HOSTS.items()}[host]
    recorded = CATALOGUE[f"15_{task}"]
    short = {arm: replace(recorded.trial(arm, 0), steps=1, batch_size=4, test_size=4) for arm in recorded.arms}
    counts = {arm: run_trial(trial).parameters for arm, trial in short.items()}
    assert max(counts, key=counts.get) == "wider"
