"""A trial: one stable key, one network, whoever wrote it down."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from trials import THREE, plain_surroundings, tiny  # noqa: F401  (plain_surroundings is a fixture)

from course_utils import cost
from course_utils.attention import ECA, SE, DynamicConv
from course_utils.studies import HOSTS, Trial, network


def test_the_key_of_a_trial_never_changes():
    """A key that changes makes every recorded result look as if it had not been run."""
    trial = Trial("what", host="small_host", mechanism="se", at="pre", start="identity",
                  options={"reduction": 4}, seed=3, steps=100, batch_size=32, lr=0.01, test_size=2000)
    assert trial.key == (
        '{"batch_size": 32, "host": "small_host", "lr": 0.01, "mechanism": "se", "options": [["reduction", 4]], "plugged": true, '
        '"seed": 3, "socket": "pre", "start": "identity", "steps": 100, "task": "what", "test_size": 2000}')


def test_the_order_and_the_kind_of_options_make_no_other_trial():
    forms = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, (("b", 2), ("a", 1)), [["a", 1], ["b", 2]]]
    trials = [Trial("what", mechanism="se", options=options) for options in forms]
    assert len(set(trials)) == len({trial.key for trial in trials}) == 1
    assert trials[0] != Trial("what", mechanism="se", options={"a": 2, "b": 1})


def test_equal_trials_have_equal_keys():
    for a, b in [({"lr": 1}, {"lr": 1.0}), ({"steps": 100}, {"steps": 100.0}), ({"options": ()}, {"options": {}}),
                 ({"stages": 2}, {"stages": [2]}), ({"layers": "layer3.*"}, {"layers": ["layer3.*"]}),
                 ({"times": 2}, {"times": 2.0}), ({"before": 100}, {"before": 100.0})]:
        one, other = Trial("what", mechanism="se", **a), Trial("what", mechanism="se", **b)
        assert one == other and one.key == other.key, f"{one.key} and {other.key}"


@pytest.mark.parametrize("change", [
    {"task": "where"}, {"host": "small_resnet"}, {"mechanism": "eca"}, {"at": "pre"}, {"start": "as_made"},
    {"options": {"reduction": 8}}, {"stages": 1}, {"layers": "layer3.*"}, {"times": 2}, {"before": 5},
    {"before": 5, "had": "eca"}, {"seed": 1}, {"steps": 11}, {"batch_size": 9}, {"lr": 0.17}, {"test_size": 13},
], ids=lambda change: "+".join(change))
def test_every_setting_makes_another_trial(change):
    trial = Trial("what", mechanism="se")
    assert replace(trial, **change) != trial and replace(trial, **change).key != trial.key
    assert (replace(trial, **change).arm == trial.arm) == ("seed" in change)


def test_what_a_host_had_makes_another_trial():
    trials = [Trial("what", mechanism=m, before=5, had=had, at="post") for m in (None, "se") for had in (None, "se", "eca")]
    assert len(set(trials)) == len({t.key for t in trials}) == 6


def test_the_plain_host_is_one_trial_whatever_was_said_about_a_mechanism():
    plain = Trial("what", seed=2)
    for said in ({"at": "pre"}, {"start": "identity"}, {"start": "as_made"}, {"options": {"reduction": 4}}, {"stages": (1, 2)},
                 {"layers": "layer3.*"}, {"times": 2}):
        same = Trial("what", seed=2, **said)
        assert same == plain and hash(same) == hash(plain) and same.key == plain.key and plain.at == "none"
    assert len({Trial("what", mechanism=None, at=s) for s in ("pre", "post", "both")}) == 1
    assert len({Trial("what", mechanism="se", at=s) for s in ("pre", "post", "both")}) == 3


@pytest.mark.parametrize("settings, error, message", [
    ({"mechanism": "se", "at": "none"}, ValueError, "mechanism 'se' needs a socket, got at='none'; name one"),
    ({"mechanism": "se", "times": 0}, ValueError, "times must be at least 1, got 0"),
    ({"had": "se"}, ValueError, "had='se' is what the host is trained with: say for how many steps, before="),
    ({"mechanism": "se", "plugged": True}, TypeError, "plugged"),
    ({"mechanism": "se", "socket": "post"}, TypeError, "socket"),
], ids=["no socket", "no times", "had without before", "plugged", "socket"])
def test_what_makes_no_trial_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Trial("what", **settings)


def test_a_trial_cannot_be_changed_and_refuses_an_unknown_host():
    with pytest.raises(FrozenInstanceError):
        THREE[0].seed = 4
    with pytest.raises(ValueError, match="unknown host 'resnet'. Did you mean '.*_resnet'\\? Known: small_host, small_resnet"):
        Trial("what", host="resnet")


def test_the_mechanism_is_plugged_in_as_the_trial_says():
    trial = Trial("relate", mechanism="se", at="both", start="identity", options={"reduction": 2})
    modules = [m for m in network(trial).modules() if type(m).__name__ == "SE"]
    assert len(modules) == 8 and modules[-1].squeeze.out_channels == modules[-1].squeeze.in_channels // 2
    gate = modules[-1].gate(torch.rand(2, modules[-1].squeeze.in_channels, 3, 3))
    assert torch.equal(gate, torch.ones_like(gate))
    assert network(trial).classify.out_features == 2
    plain = network(Trial("relate"))
    assert cost.parameters(plain) < cost.parameters(network(trial))


def test_a_trial_reaches_layers_stages_and_sockets():
    def filled(kind, **settings):
        return [name for name, m in network(Trial("what", **settings)).named_modules() if isinstance(m, kind)]
    assert filled(ECA, mechanism="eca", layers="layer2.*") == ["layer2.norm.attention_post"]
    assert filled(ECA, mechanism="eca", layers=("layer2.*", "layer4.*")) == [
        "layer2.norm.attention_post", "layer4.norm.attention_post"]
    assert filled(ECA, mechanism="eca", stages=1) == ["layer1.norm.attention_post"]
    assert len(filled(SE, mechanism="se", times=2)) == 8
    net = network(Trial("what", mechanism="dynamic_conv", at="instead", start="as_made", options={"temperature": 2.0}))
    assert [m.temperature for m in net.modules() if isinstance(m, DynamicConv)] == [2.0, 2.0]


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

    monkeypatch.setitem(HOSTS, "slow", SlowHost)
    trials = [Trial("what", host="slow", seed=seed) for seed in range(4)]
    expected = [network(trial).weight for trial in trials]
    with ThreadPoolExecutor(4) as pool:
        together = [net.weight for net in pool.map(network, trials)]
    assert all(torch.equal(a, b) for a, b in zip(expected, together, strict=True))
