"""What a study says is made from its results, and says no more than they do."""

from dataclasses import replace
from statistics import stdev

import pytest
from trials import plain_surroundings  # noqa: F401

from course_utils import stats
from course_utils.stats import Difference
from course_utils.studies import Result, Study, verdict
from course_utils.studies.study import take_off

ARMS = {"plain": {}, "pre": {"mechanism": "se", "at": "pre"}, "post": {"mechanism": "se", "at": "post"}}
STUDY = Study("mine", "Lesson 99: mine.", {"task": "what", "steps": 200}, ARMS, [("pre", "plain"), ("pre", "post")],
              ("accuracy", "take_off"), range(8), ceiling=0.9, same=[("pre", "post")])


def results(seeds=8, post=lambda s: 0.9 - 0.01 * (s % 2), curves=(0.2, 0.5, 0.82, 0.9)):
    ends = {"plain": lambda s: 0.3 + 0.01 * s, "pre": lambda s: 0.9 - 0.01 * (s % 3), "post": post}
    return [Result(STUDY.trial(arm, s), end(s), 1.0, 1, curves if arm != "plain" else (0.1,) * 4)
            for s in range(seeds) for arm, end in ends.items()]


def test_take_off_is_the_first_step_at_nine_tenths_of_the_ceiling():
    one = results(1)
    assert [take_off(r, STUDY) for r in one] == [float("inf"), 150, 150]
    assert take_off(results(1, curves=(0.81, 0.2))[1], STUDY) == 50, "the first time counts, also where it falls back"
    assert take_off(results(1, curves=())[1], STUDY) == float("inf")


def test_a_clear_difference_says_its_direction_and_its_numbers():
    first, second = verdict.verdicts(STUDY, results())
    assert first.clear and str(first).startswith("pre - plain: higher, +0.556 (95 % interval +0.5")
    assert "8 pairs, p < 0.001 after Holm, sign-flip = 0.008)" in str(first)
    assert not second.clear and "no clear difference" in str(second)
    assert f"a difference of {second.visible:.3f} would have been seen with power 0.8." in str(second)
    assert "lower" in str(verdict.verdicts(STUDY, results(post=lambda s: 0.99 + 0.001 * s))[1])


def test_what_would_have_been_seen_is_what_holm_would_have_let_through():
    """Catches the number of a single contrast: in a study of many a larger difference than that is called not clear."""
    runs = STUDY.runs(results())
    spread = stdev(verdict.less(runs["pre"], runs["plain"]).values())
    of_two = verdict.verdicts(STUDY, results())[0].visible
    alone = verdict.verdicts(replace(STUDY, contrasts=STUDY.contrasts[:1]), results())[0].visible
    assert of_two == pytest.approx(stats.visible(spread, 8, level=0.975)) and alone == pytest.approx(stats.visible(spread, 8))
    assert of_two > 1.1 * alone


def test_before_all_seeds_have_run_there_is_no_verdict():
    """Catches looking as the seeds come in: a study that is read after each of them finds too much."""
    for found in verdict.verdicts(STUDY, results(7)):
        assert found.word == "open, 7 of 8 seeds" and "higher" not in str(found) and "no clear" not in str(found)
        assert "would have been seen" not in str(found)
    same, = verdict.equivalences(STUDY, results(7))
    assert "pre and post, within 0.02: open, 7 of 8 seeds (" in str(same)


def test_holm_counts_the_contrasts_that_have_not_run_too():
    """Otherwise a study that was stopped early would find more than the whole one."""
    some = [r for r in results() if r.trial.at != "post"]
    found, = verdict.verdicts(STUDY, some)
    alone = Study("alone", "Lesson 99: x.", STUDY.base, ARMS, [("pre", "plain")])
    assert found.adjusted == pytest.approx(2 * verdict.verdicts(alone, some)[0].adjusted)


def test_one_wild_seed_of_eight_is_not_clear_though_its_mean_is_far_from_zero():
    wild = results(post=lambda s: 0.9 - 0.01 * (s % 3) - (0.5 if s == 3 else 0))
    assert not verdict.verdicts(STUDY, wild)[1].clear


def test_where_the_sign_flip_test_has_too_few_pairs_it_does_not_decide():
    five = verdict.verdicts(STUDY, results(5))[0]
    assert five.flipped == 2 / 32 and five.clear
    six = verdict.Verdict("a", "b", Difference(0.1, 0.01, 0.2, 6), adjusted=0.04, flipped=0.06, visible=0.1, planned=6)
    assert not six.clear, "with six pairs it could have been below 0.05"


def test_a_study_of_as_many_seeds_as_it_takes_has_its_verdict_too():
    """`seeds_needed` may say 25."""
    many = replace(STUDY, seeds=tuple(range(25)))
    found = verdict.verdicts(many, results(25))[0]
    assert found.difference.n == 25 and found.clear and found.word == "higher"


def test_runs_that_never_took_off_have_no_difference_and_it_says_what_to_compare():
    with pytest.raises(ValueError, match="seed 0: 150 and inf have no difference. Where runs do not take off, compare how many"):
        verdict.verdicts(STUDY, results(), outcome="take_off")


@pytest.mark.parametrize("outcome", ["balanced", "AP_large"])
def test_an_outcome_that_no_result_holds_is_named(outcome):
    with pytest.raises(ValueError, match=f"the result of 'plain', seed 0, holds no '{outcome}'"):
        verdict.sentences(replace(STUDY, outcomes=(outcome,)), results())


def test_the_same_means_that_the_interval_lies_inside_the_margin():
    same, = verdict.equivalences(STUDY, results())
    assert same.same and "pre and post, within 0.02: the same (" in str(same)
    unlike, = verdict.equivalences(STUDY, results(post=lambda s: 0.88 - 0.01 * (s % 3)))
    assert not unlike.same, "two points apart is not within two points"
    noisy, = verdict.equivalences(STUDY, results(post=lambda s: 0.9 + 0.1 * (-1) ** s))
    assert not noisy.same and "not shown to be the same" in str(noisy), "not clearly different is not the same"


def test_arms_say_how_many_took_off_and_how_good_those_are():
    plain, pre, _ = verdict.arms(STUDY, results())
    assert (plain.arrived.k, plain.arrived.n, plain.step, plain.of_those) == (0, 8, None, None)
    assert (pre.arrived.k, pre.step) == (8, 150) and pre.of_those == pytest.approx(sum(pre.values) / 8)
    late = [r if r.trial.seed % 2 else Result(r.trial, 0.3, 1.0, 1, (0.1,)) for r in results()]
    pre = verdict.arms(STUDY, late)[1]
    assert pre.arrived.k == 4 and pre.of_those == pytest.approx((0.89 + 0.9 + 0.88 + 0.89) / 4)
    head, rows = verdict.arm_rows(STUDY, late)
    assert head[4] == "took off" and rows[1][:2] == ["pre", "8"] and rows[1][4] == "4 of 8" and len(rows[0]) == len(head)
    assert head[3] == "lowest to highest" and rows[1][3] == "0.300 to 0.900", "an interval of the mean of two clumps"
    head, rows = verdict.arm_rows(replace(STUDY, outcomes=("accuracy",)), late)
    assert head[3:] == ["95 % interval"] and rows[1][3].startswith("0.3") and rows[1][3] != "0.300 to 0.900"


def test_the_table_of_a_detector_does_not_call_its_precision_an_accuracy():
    found = [replace(r, scores={"AP": 0.5}) for r in results()]
    assert verdict.arm_rows(replace(STUDY, outcomes=("AP",)), found)[0][2] == "AP at the end"
    assert verdict.arm_rows(STUDY, found)[0][2] == "accuracy at the end"


def test_curves_are_one_for_each_seed_of_an_arm():
    drawn = STUDY.curves(results(3), ["plain", "pre"])
    assert list(drawn) == ["plain", "pre"] and drawn["plain"][0] == [50, 100, 150, 200]
    assert drawn["pre"][1] == [[0.2, 0.5, 0.82, 0.9]] * 3 and drawn["plain"][1] == [[0.1] * 4] * 3
    assert list(STUDY.curves(results(1))) == list(ARMS) and STUDY.curves([]) == {}


def test_a_study_that_has_not_run_says_so():
    assert verdict.sentences(STUDY, []) == "mine: no contrast has two pairs of runs yet."
    assert verdict.verdicts(STUDY, results(1)) == [] and verdict.arms(STUDY, []) == []


def test_a_trend_is_a_difference_of_differences_by_seed():
    study = Study("trend", "Lesson 99: x.", STUDY.base, ARMS, [("pre", "plain")], trends=[("pre", "plain", "post", "plain")])
    contrast, trend = verdict.verdicts(study, results(post=lambda s: 0.5 + 0.01 * (s % 2)))
    ends = {arm: [r.accuracy for r in results(post=lambda s: 0.5 + 0.01 * (s % 2)) if r.trial.at == at]
            for arm, at in (("pre", "pre"), ("post", "post"))}
    by_hand = sum(a - b for a, b in zip(ends["pre"], ends["post"], strict=True)) / 8      # the plain host cancels out
    assert trend.difference.mean == pytest.approx(by_hand) and trend.clear
    assert str(trend).startswith("(pre - plain) - (post - plain): higher, ")
    assert contrast.clear
    with pytest.raises(ValueError, match="unknown arm 'psot'"):
        Study("x", "Lesson 99: x.", STUDY.base, ARMS, trends=[("pre", "plain", "psot", "plain")])


def test_what_is_gained_is_counted_from_the_same_seed():
    """Catches pairs of different seeds, and an arm that is told without a pair."""
    ends = {("plain", 1): 0.5, ("plain", 2): 0.7, ("pre", 1): 0.6, ("pre", 2): 0.65, ("post", 3): 0.9}
    results = [Result(STUDY.trial(arm, seed), value, 1.0, 1) for (arm, seed), value in ends.items()]
    found = verdict.gained(STUDY, results)
    assert found == {"pre": {1: pytest.approx(0.1), 2: pytest.approx(-0.05)}}
    assert verdict.gained(STUDY, results, "accuracy", over="pre")["plain"] == {1: pytest.approx(-0.1), 2: pytest.approx(0.05)}
    with pytest.raises(ValueError, match="unknown arm 'plian'"):
        verdict.gained(STUDY, results, over="plian")


# ---- a study stays what it was

def test_a_study_that_changed_after_its_first_run_is_refused(tmp_path, monkeypatch):
    path, short = tmp_path / "mine.jsonl", lambda t: Result(t, 0.5, 1.0, 1)
    assert len(STUDY.run(path, seeds=[1], run=short, progress=False)) == 3
    before = path.read_bytes()
    assert before.count(b'"study": "mine"') == 1
    STUDY.run(path, seeds=[2], run=short, progress=False)      # more seeds are no change
    assert path.read_bytes().startswith(before) and path.read_bytes().count(b'"study"') == 1
    before = path.read_bytes()

    def changed(base=STUDY.base, arms=ARMS, contrasts=STUDY.contrasts, outcomes=STUDY.outcomes, name="mine", ceiling=0.9, **more):
        return Study(name, "Lesson 99: other words.", base, arms, contrasts, outcomes, range(8), ceiling,
                     **{"same": STUDY.same, **more})
    changed().run(path, seeds=[2], run=short, progress=False)      # nor are other words
    for other, part in ((changed(base={**STUDY.base, "steps": 300}), "arms"),
                        (changed(arms={**ARMS, "two": {"lr": 0.1}}), "arms"),
                        (changed(contrasts=[("post", "plain")]), "contrasts"), (changed(outcomes=("accuracy",)), "outcomes"),
                        (changed(ceiling=0.8), "ceiling"), (changed(name="other"), "study"), (changed(same=()), "same"),
                        (changed(margin=0.1), "margin")):
        with pytest.raises(ValueError, match=f"has changed since its first run: {part} in .*give the new one a name of its own"):
            other.run(path, seeds=[3], run=lambda t: pytest.fail("it was run"), progress=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("settings, message", [
    ({"outcomes": ("acuracy",)}, "unknown outcome 'acuracy'. Did you mean 'accuracy'"),
    ({"outcomes": ("take_off",)}, "a take-off is 90 % of a ceiling; give the accuracy that the task allows"),
    ({"same": [("pre", "psot")]}, "unknown arm 'psot'. Did you mean 'post'"),
])
def test_what_a_study_cannot_read_off_is_refused_when_it_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        Study("x", "Lesson 99: x.", STUDY.base, ARMS, **settings)
