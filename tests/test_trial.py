"""Trials that plug into a finished host, that go on from a trained one, and that read real pictures."""
import json
from dataclasses import replace

import pytest
import torch

from course_utils import recorded
from course_utils import trial as module
from course_utils.attention import ECA, SE
from course_utils.images import Images, Steps
from course_utils.trial import LATER, Trial, network, run_trial

SHORT = {"task": "alike", "host": "small_resnet", "seed": 3, "steps": 2, "test_size": 50}


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch):
    monkeypatch.setattr(module, "best_device", lambda: torch.device("cpu"))
    module.trained.cache_clear()


def plugged(**more) -> Trial:
    return Trial(**{**SHORT, "mechanism": "se", "start": "identity", "plugged": True, **more})


def attention_in(net, kind) -> list:
    return [name for name, m in net.named_modules() if isinstance(m, kind)]


def test_the_plugged_host_has_the_weights_of_the_plain_one():
    plain, ours = network(Trial(**SHORT)).state_dict(), network(plugged()).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in plain.items())
    assert len(ours) > len(plain)


@pytest.mark.parametrize("socket, at_least", [("pre", 3), ("both", 6), ("after_add", 3), ("identity", 3), ("inner", 3)])
def test_the_mechanism_is_where_the_trial_says(socket, at_least):
    names = attention_in(network(plugged(socket=socket)), SE)
    assert len(names) == at_least and all(("pre" in n or "post" in n) if socket == "both" else socket in n for n in names)


def test_times_stacks_in_one_place_and_layers_are_stages():
    assert len(attention_in(network(plugged(times=2)), SE)) == 6
    assert attention_in(network(plugged(layers=(2,))), SE) == ["stages.1.0.norm2.attention_post"]


def test_old_keys_stay_when_the_new_fields_say_nothing():
    key = json.loads(Trial("what", mechanism="eca", seed=1).key)
    assert not key.keys() & LATER.keys()
    assert json.loads(plugged(times=2).key).keys() & LATER.keys() == {"plugged", "times"}


def test_a_plain_trial_forgets_how_it_would_have_plugged():
    assert Trial("what", plugged=True, times=2) == Trial("what")


def test_a_trained_host_is_the_one_of_its_own_trial():
    wanted = module.trained(Trial(**{**SHORT, "seed": 3 + module.BEFORE_SEED, "steps": 4}), "cpu")
    ours = network(Trial(**SHORT, before=4))
    assert all(torch.equal(a, b) for a, b in zip(wanted.state_dict().values(), ours.state_dict().values(), strict=True))
    assert ours is not wanted      # the next trial needs it as it was


def test_at_once_an_identity_start_scores_as_the_host_and_a_paper_start_does_not():
    host, ours, fresh = (run_trial(t) for t in (Trial(**{**SHORT, "steps": 0}, before=40), plugged(steps=0, before=40),
                                                plugged(steps=0, before=40, start="paper")))
    assert host.error is None and ours.accuracy == host.accuracy and ours.parameters > host.parameters
    x = torch.rand(4, 3, 24, 24)
    nets = [network(r.trial).eval() for r in (host, ours, fresh)]
    assert torch.equal(nets[0](x), nets[1](x)) and not torch.allclose(nets[0](x), nets[2](x))


def test_what_the_host_had_stays_or_makes_room():
    kept = network(Trial(**SHORT, before=2, had="se", socket="post", plugged=True))
    assert len(attention_in(kept, SE)) == 3
    swapped = network(plugged(before=2, had="se", mechanism="eca"))
    assert not attention_in(swapped, SE) and len(attention_in(swapped, ECA)) == 3
    weights = kept.stages[0][0].conv1.weight
    assert torch.equal(weights, swapped.stages[0][0].conv1.weight)      # trained with SE, both times


def test_no_steps_without_a_trained_host_are_still_refused():
    assert "no batches" in run_trial(Trial(**{**SHORT, "steps": 0})).error


def clothes(n: int) -> Images:
    g = torch.Generator().manual_seed(0)
    return Images(torch.randint(0, 256, (n, 1, 28, 28), generator=g, dtype=torch.uint8), torch.arange(n) % 10, list("abcdefghij"))


def test_real_pictures_are_trained_and_tested_on(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "real", lambda split, device: asked.append(split) or clothes(40))
    result = run_trial(replace(plugged(batch_size=8, test_size=30), task="fashion_mnist"))
    assert result.error is None and sorted(asked) == ["test", "train"]
    assert result.accuracy in [k / 30 for k in range(31)] or abs(result.accuracy * 30 - round(result.accuracy * 30)) < 1e-4


def test_steps_is_a_budget_and_goes_through_the_set_again():
    batches = list(Steps(clothes(20), steps=5, batch_size=8, augment=False))
    assert len(Steps(clothes(20), 5, 8)) == len(batches) == 5
    assert sorted(y for b in batches[:3] for y in b.y.tolist()) == sorted([*range(10)] * 2)      # one whole epoch first
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Steps(clothes(20), 0)


def test_arms_that_are_compared_have_equal_budgets_and_seeds():
    for name in ("09_pre", "10_alike", "10_fashion", "11_both", "11_stages", "13_swap"):
        trials = recorded.STUDIES[name](range(3))
        for task in {t.task for t in trials}:
            mine = [t for t in trials if t.task == task]
            assert len({(t.lr, t.batch_size, t.test_size, t.before) for t in mine}) == 1
            arms = {}
            for t in mine:
                arms.setdefault(replace(t, seed=0), set()).add(t.seed)
            assert {frozenset(seeds) for seeds in arms.values()} == {frozenset({0, 1, 2})}
            assert len({t.steps for t in mine}) == (2 if name == "13_swap" else 1)


def test_a_second_run_has_other_seeds_and_the_same_arms():
    for name, study in (("10_alike_again", "10_alike"), ("13_again", "13_swap"), ("11_again", "11_both"), ("09_again", "09_pre"),
                        ("10_fashion_again", "10_fashion")):
        again, first = recorded.STUDIES[name](range(2)), recorded.STUDIES[study](range(2))
        assert {t.seed for t in again} == {100, 101}
        assert {t.arm for t in again} <= {t.arm for t in first}


def test_the_controls_have_more_parameters_than_any_arm():
    for name, host in (("09_pre", "wide_host"), ("10_alike", "wide_resnet")):
        counts = {}
        for t in recorded.STUDIES[name]([0]):
            counts.setdefault(t.host == host, []).append(sum(p.numel() for p in network(t).parameters()))
        assert min(counts[True]) > max(counts[False])
