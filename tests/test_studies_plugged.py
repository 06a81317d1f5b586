"""Trials that plug into a finished host, that go on from a trained one, and that read real pictures."""

from dataclasses import replace

import pytest
import torch
from trials import plain_surroundings  # noqa: F401  (a fixture)

from course_utils.attention import ECA, SE
from course_utils.studies import Trial, material, network, run_trial
from course_utils.studies import trial as module
from course_utils.tasks import Images

SHORT = {"task": "alike", "host": "small_resnet", "seed": 3, "steps": 2, "test_size": 50}


@pytest.fixture(autouse=True)
def nothing_trained():
    module.trained.cache_clear()


def plugged(**more) -> Trial:
    return Trial(**{**SHORT, "mechanism": "se", **more})


def attention_in(net, kind) -> list:
    return [name for name, m in net.named_modules() if isinstance(m, kind)]


def test_the_plugged_host_has_the_weights_of_the_plain_one():
    plain = network(Trial(**SHORT)).state_dict()
    for start in ("identity", "as_made"):
        ours = network(plugged(start=start)).state_dict()
        assert all(torch.equal(ours[name], value) for name, value in plain.items()) and len(ours) > len(plain)


def test_a_kernel_in_place_leaves_the_other_weights_of_the_plain_host():
    plain, ours = (network(replace(t, task="what", host="small_host")).state_dict()
                   for t in (Trial(**SHORT), plugged(mechanism="split", at="instead", start="as_made")))
    same = [name for name in plain if name in ours and torch.equal(plain[name], ours[name])]
    assert {"layer1.conv.weight", "layer4.conv.weight", "classify.weight"} <= set(same)


@pytest.mark.parametrize("at, count", [("pre", 3), ("both", 6), ("after_add", 3), ("identity", 3), ("inner", 3), ("between", 2)])
def test_the_mechanism_is_where_the_trial_says(at, count):
    names = attention_in(network(plugged(at=at)), SE)
    sockets = ("pre", "post") if at == "both" else (at,)
    assert len(names) == count and {n.rpartition("attention_")[2] for n in names} == set(sockets)


def test_times_stacks_in_one_place_and_stages_are_numbers():
    assert len(attention_in(network(plugged(times=2)), SE)) == 6
    assert attention_in(network(plugged(stages=2)), SE) == ["stages.1.0.norm2.attention_post"]
    assert attention_in(network(plugged(layers="stages.1.*")), SE) == ["stages.1.0.norm2.attention_post"]


def test_a_trained_host_is_the_one_of_its_own_trial():
    wanted = module.trained(Trial(**{**SHORT, "seed": 3 + module.BEFORE_SEED, "steps": 4}), "cpu")
    ours = network(Trial(**SHORT, before=4))
    assert all(torch.equal(a, b) for a, b in zip(wanted.state_dict().values(), ours.state_dict().values(), strict=True))
    assert ours is not wanted      # the next trial needs it as it was


def test_a_trained_host_has_seen_other_pictures_and_begun_with_other_weights():
    begun = network(Trial(**{**SHORT, "seed": 3 + module.BEFORE_SEED}))
    assert not torch.equal(begun.stem[0].weight, network(Trial(**SHORT)).stem[0].weight)
    assert module.Trial(**SHORT, before=4).arm_before.seed == 3 + module.BEFORE_SEED


def test_at_once_an_identity_start_scores_as_the_host_and_one_as_made_does_not():
    host, ours, fresh = (run_trial(t) for t in (Trial(**{**SHORT, "steps": 0}, before=40), plugged(steps=0, before=40),
                                                plugged(steps=0, before=40, start="as_made")))
    assert host.error is None and ours.accuracy == host.accuracy and ours.parameters > host.parameters
    x = torch.rand(4, 3, 24, 24)
    nets = [network(r.trial).eval() for r in (host, ours, fresh)]
    assert torch.equal(nets[0](x), nets[1](x)) and not torch.allclose(nets[0](x), nets[2](x))


def test_what_the_host_had_stays_or_makes_room():
    kept = network(Trial(**SHORT, before=2, had="se", at="post"))
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
    monkeypatch.setattr(material, "real", lambda task, split, device, size: asked.append(split) or clothes(40))
    result = run_trial(replace(plugged(batch_size=8, test_size=30), task="fashion_mnist"))
    assert result.error is None and sorted(asked) == ["test", "train"]
    assert abs(result.accuracy * 30 - round(result.accuracy * 30)) < 1e-4
