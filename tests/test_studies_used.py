"""Frozen gates, recorded: each network is asked the right thing, and what stands in the file is what the lessons read."""

import json
from fnmatch import fnmatch

import pytest
import torch

from course_utils import hosts, tasks
from course_utils.sockets import plug_in
from course_utils.studies import used


def test_the_cue_of_what_is_the_colour_of_the_frame():
    batch = tasks.make("what", 50)
    assert torch.equal(used.cue("what", batch), batch.x[:, :, :, :3].mean((2, 3)).argmax(1))


def test_the_cue_of_nearest_is_the_corner_of_the_dot():
    batch = tasks.make("nearest", 50)
    corners = [batch.x[:, 0, rows, columns].mean((1, 2)) for rows in (slice(5), slice(-5, None))
               for columns in (slice(5), slice(-5, None))]
    assert torch.equal(used.cue("nearest", batch), torch.stack(corners, 1).argmax(1))


@pytest.mark.parametrize("name", used.NETWORKS)
def test_a_network_is_measured(name, monkeypatch):
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    monkeypatch.setattr(used, "PICTURES", 60)
    found = used.measured(name, 3)
    assert "torch" in found.pop("made")
    assert all(0 <= value <= 1 for value in found.values())
    wanted = 5 if name == "non-local after layer 3" else 3 if "detector" in name else 12 if "before and after" in name else 9
    assert len(found) == wanted and any("frozen" in words for words in found)


def test_gates_of_a_detector_are_changed_one_way_at_a_time(monkeypatch):
    """Catches a change that is measured without being made, and one that stays."""
    torch.manual_seed(0)
    net = hosts.Detector(10).eval()
    plug_in(net, "spatial_gate", at="pre", unit="conv", layers="head*", input_size=64, start="as_made")
    batch = tasks.make("find", 8)
    outputs = []
    monkeypatch.setattr(used, "predict", lambda net, x, chunk: outputs.append(net(x).detach()) or outputs[-1])
    assert list(used.scores_of_boxes(net, batch)) == ["as trained", "frozen", "of another picture"]
    assert not torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[1], outputs[2])
    assert torch.equal(net(batch.x), outputs[0])


def test_of_gates_before_and_after_each_is_frozen_alone_and_with_its_neighbour():
    """Catches a pattern that reaches no gate, or those of another layer."""
    net = used.network(used.Trial("what", mechanism="eca", at="both", start="as_made"), "cpu")
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(used, "frozen", lambda net, at: asked.append(at))
        words = list(used.changes_of_both(net, (1, 2, 3, 4)))
    gates = [name for name, _ in net.named_modules() if name.endswith(("attention_pre", "attention_post"))]
    assert len(gates) == 8 and len(words) == len(asked) + 1 == 12
    reached = [[gate for gate in gates if any(fnmatch(gate, p) for p in ([at] if isinstance(at, str) else at))] for at in asked]
    assert [len(found) for found in reached] == 8 * [1] + 3 * [2]
    assert {found[0] for found in reached[:8]} == set(gates)
    assert reached[8] == ["layer1.norm.attention_post", "layer2.conv.attention_pre"]


def test_a_linear_rule_names_what_a_mean_tells_and_guesses_where_it_tells_nothing():
    labels = torch.arange(400) % 4
    noise = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    assert used.named(torch.nn.functional.one_hot(labels).float(), labels) == 1.0
    assert 0.1 < used.named(noise, labels) < 0.4


def test_the_file_holds_these_networks_and_the_same_changes_for_every_seed():
    recorded = json.loads(used.PATH.read_text("utf-8"))
    assert set(recorded) <= set(used.NETWORKS)
    for name in recorded:
        runs = used.runs(name)
        assert len({frozenset(seeds) for seeds in runs.values()}) == 1 and set(runs["as trained"]) <= set(used.SEEDS[name])
        assert "made" not in runs and all("torch" in seed["made"] for seed in recorded[name].values())


def test_a_network_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown network 'ECA'"):
        used.runs("ECA")


def test_what_is_lost_is_counted_from_the_same_network_as_trained():
    name = "non-local after layer 3"
    runs, lost = used.runs(name), used.lost(name)
    assert list(lost) == [words for words in runs if words != "as trained"]
    assert lost["frozen"] == {seed: runs["frozen"][seed] - runs["as trained"][seed] for seed in runs["frozen"]}
    assert all(value < -0.3 for value in lost["frozen"].values())
