"""From minutes to a plan: it fits the time, drops the right things first, and says what it can show."""

import json
from dataclasses import replace

import pytest
from answer_folders import ARMS, TIMING, plan, results, survey

from course_utils import stats
from course_utils.answer import plan as module
from course_utils.answer import running
from course_utils.answer.arms import ORDER
from course_utils.answer.measure import Timing, balanced_accuracy
from course_utils.answer.plan import Plan, assumed_spread, choose, left_out, needed, seed_seconds
from course_utils.answer.running import Clock, whole_seeds

ALL = dict.fromkeys(ORDER, TIMING)


def takes(chosen, seeds, steps, tests, timings=ALL, workers=1):
    return seeds * seed_seconds([timings[arm].trial(steps, tests) for arm in chosen], workers)


@pytest.mark.parametrize("minutes", [1.5, 3, 5, 10, 30, 60])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_what_is_chosen_fits_the_time_and_uses_it(minutes, workers):
    chosen, seeds, steps, tests = choose(60 * minutes, ALL, workers, 2000, 1000)
    used = takes(chosen, seeds, steps, tests, workers=workers)
    assert 0.75 * 60 * minutes < used <= 60 * minutes * 1.001 or seeds == module.MOST_SEEDS
    assert seeds >= 3 and steps >= 100 and chosen == list(ORDER[:len(chosen)]) and 500 <= tests <= 1000


def test_more_time_goes_into_all_arms_then_seeds_then_steps():
    few, some, many, most = (choose(60 * minutes, ALL, 1, 2000, 1000) for minutes in (1.5, 4, 20, 200))
    assert few[:2] == (["plain", "SE at post", "wider"], 3) or len(few[0]) < 7 and few[1] == 3
    assert len(some[0]) == 7 and some[1] >= 3 and some[2] >= 100
    assert len(many[0]) == 7 and many[1] >= 5 and many[2] >= 400
    assert most[1] > 8 and most[2] == 2000, "what steps cannot use goes into seeds"


def test_too_little_time_is_refused_and_says_how_much_it_takes():
    with pytest.raises(ValueError, match=r"too little time: plain and SE at post with 3 seeds and 100 steps take about 0\.\d "
                                         r"minutes, and there are 0\.1\. Give more minutes"):
        choose(6, ALL, 1, 2000, 1000)


def test_testing_takes_a_small_share_of_the_time():
    slow = dict.fromkeys(ORDER[:3], replace(TIMING, picture=0.02))
    chosen, seeds, steps, tests = choose(600, slow, 1, 2000, 10_000)
    assert tests == 500 or tests * 0.02 <= 0.16 * slow["plain"].trial(steps, tests)


def test_the_time_of_a_trial_is_that_of_its_parts():
    t = Timing(read=9, build=1, step=0.1, picture=0.01)
    assert t.trial(100, 300) == pytest.approx(1 + 10 + 2 * 300 * 0.01 + 300 * 0.01)
    assert t.trial(49, 2000) == pytest.approx(1 + 4.9 + 20), "the curve is looked at every 50 steps, on 500"
    assert seed_seconds([1.0] * 7, 2) == 4.0 and seed_seconds([1.0] * 7, 1) == 7.0


# ---- what it can show

def test_the_words_before_the_first_run_are_those_of_the_arithmetic():
    p = plan(seeds=5, spread=0.01)
    least = stats.visible(0.01, 5, level=1 - 0.05 / 2)
    assert least > stats.visible(0.01, 5), "the correction was forgotten"
    words = " ".join(p.words)
    assert f"with 5 seeds a difference of {100 * least:.1f} points or more, four times in five, after correction for 2" in words
    assert "3 arms, 5 seeds, 100 steps" in words and "wide_resnet" in words and "of 3 minutes" in words
    seeds, seconds = needed(p, 0.01, 60.0)
    shown, before = (stats.visible(0.01, n, level=p.level) for n in (seeds, seeds - 1))
    assert seconds == 60 * seeds and shown <= 0.01 < before
    assert needed(p, 3.0, 60.0) is None


def test_a_budget_in_which_not_all_is_learnt_is_called_short():
    p = plan()
    assert p.epochs == 100 * 16 / 640 and "sees all pictures only 2.5 times" in p.short and p.short in p.words
    assert not plan(base={**p.base, "steps": 120}).short


def test_few_test_pictures_are_assumed_to_spread_more():
    many, few = assumed_spread(10_000)[0], assumed_spread(100)[0]
    assert 0.001 < many < 0.02 and 0.04 < few < 0.06 and "100 test pictures" in assumed_spread(100)[1]


def test_arms_are_left_out_in_one_sentence_for_each_reason():
    assert left_out({"a": "x", "b": "y", "c": "x"}) == ["Left out: a, c; x.", "Left out: b; y."]


@pytest.mark.parametrize("counts, uneven", [({"cat": 400, "dog": 300}, False), ({"cat": 400, "dog": 100}, True)])
def test_uneven_classes_are_compared_by_the_balanced_accuracy(counts, uneven):
    assert survey(counts={"": counts}).uneven is uneven


def test_the_balanced_accuracy_is_the_mean_over_classes():
    import torch
    logits = torch.eye(3)[[0, 0, 0, 0, 1]]
    assert balanced_accuracy(logits, torch.tensor([0, 0, 0, 1, 1])) == pytest.approx((1 + 0.5) / 2)


# ---- as a file

def test_a_plan_survives_its_file_and_is_never_half_written(tmp_path, monkeypatch):
    p = plan(notes=("one",), left_out={"GC at post": "for want of time"})
    p.write(tmp_path / "plan.json", used=3.5)
    back, more = Plan.read(tmp_path / "plan.json")
    assert back == p and more["used"] == 3.5 and [f.name for f in tmp_path.iterdir()] == ["plan.json"]
    monkeypatch.setattr(module.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
    with pytest.raises(OSError):
        plan(seeds=9).write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json")[0] == p


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"survey": {}, "timings": {}})])
def test_a_file_that_is_no_plan_is_refused_in_words(text, tmp_path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read as a plan .* Nothing was changed"):
        Plan.read(tmp_path / "plan.json")


# ---- against the clock

class Time:
    """A clock that goes on when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(running.time, "monotonic", lambda: self.now)


@pytest.mark.parametrize("slower", [0.5, 0.8, 1.0, 1.3, 1.8])
@pytest.mark.parametrize("minutes, seeds", [(3, 3), (3, 5), (10, 8)])
def test_the_minutes_hold_within_a_quarter_on_a_machine_that_is_slower_or_faster(slower, minutes, seeds, monkeypatch):
    """Seeds are left out or added by the clock; three planned seeds at nearly twice their time are the hardest case."""
    time = Time(monkeypatch)
    each = 0.93 * 60 * minutes / seeds
    p = plan(minutes, seeds, spent=0.0, timings=dict.fromkeys(ARMS, Timing(step=each / 3 / 100)))
    clock, done = Clock(p, []), 0
    while clock.more(done):
        time.now += slower * each
        clock.saw(slower * each, 1)
        done += 1
    assert done >= 2
    two_are_too_many = done == 2 and slower * each * 2 > 60 * minutes
    assert 0.75 <= time.now / (60 * minutes) <= 1.25 or two_are_too_many or done == 20, (done, time.now)


def test_what_an_earlier_run_used_counts(monkeypatch):
    Time(monkeypatch)
    p = plan(minutes=3, seeds=5, spent=10.0)
    assert Clock(p, results(p, seeds=2, wall=10.0)).used == pytest.approx(10 + 2 * 3 * 10)
    assert Clock(p, results(p, seeds=5, wall=11.9)).more(5) is False


def test_a_seed_that_is_not_whole_is_not_used():
    p = plan()
    assert whole_seeds(p, results(p, seeds=3)) == [0, 1, 2] and whole_seeds(p, results(p, seeds=3)[:-1]) == [0, 1]
