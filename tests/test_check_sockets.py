"""Checks of lessons 08 to 13: answers of another kind, and what a check must leave alone. Their answers: right_sockets.py."""

import pytest
import torch
from right_sockets import RIGHT, Lerp, by_einsum, by_loop, step_by_step, swapped
from torch import nn

from course_utils import check
from course_utils.check.lesson_08_eased import ZeroLast
from course_utils.check.lesson_13_widths import FAMILIES, shipped_widths
from course_utils.sockets import plug_in


def without_end(count, target):
    while count(1) < target:
        pass
    return 1


class NeedsChannels(Lerp):
    """Works around convolutions only."""

    def __init__(self, module):
        super().__init__(module)
        self.share = nn.Parameter(torch.zeros(module.in_channels, 1, 1))


class AlmostClosed(Lerp):
    def forward(self, x):
        return torch.lerp(x, self.inside(x), (self.share - 12).sigmoid())


class Narrower(Lerp):
    def forward(self, x):
        return super().forward(x)[:, :1]


class Buffered(Lerp):
    def __init__(self, module):
        super().__init__(module)
        del self.share
        self.register_buffer("share", torch.zeros(()))


class Quiet(Lerp):
    forward = torch.no_grad()(Lerp.forward)


def spoils(net, new):
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


@pytest.mark.parametrize("name, answer, message", [
    ("socket_ratio", "four times four", "should be a number, got str"),
    ("socket_ratio", float("inf"), "got inf"),
    ("block_sockets", lambda x, branch, attention, at: {"pre": x}["post"], "stopped with KeyError"),
    ("block_sockets", lambda x, branch, attention, at: x.add_(branch(attention(x))).relu_(), "changed what it was given"),
    ("block_sockets", lambda x, branch, attention, at: branch, "should be a tensor, got function"),
    ("eased", Lerp(nn.Tanh()), "pass its name without brackets"),
    ("eased", NeedsChannels, "stopped with AttributeError"),
    ("eased", AlmostClosed, "close to x, and not x itself"),
    ("eased", Narrower, "should have shape (2, 4, 5, 6), got (2, 1, 5, 6)"),
    ("eased", Buffered, "is a plain tensor, a buffer or a number"),
    ("eased", Quiet, "all runs under no_grad"),
    ("evidence_pixels", float("nan"), "got nan"),
    ("inside_outside", lambda gate, mask: by_einsum(gate.mul_(0.5), mask), "changed what it was given"),
    ("identity_mask", lambda x, logits: x * 2 * logits.sigmoid_(), "changed what it was given"),
    ("socket_ratio", 16.1, "more than expected"),
    ("last_stage_share", 0.62, "less than expected"),
    ("confusion", lambda *args: by_loop(*args).tolist(), "should be a tensor, got list"),
    ("gated_signal", 0.0042, "more than expected"),
    ("matched_width", lambda count, target: step_by_step(count, target) * 1.0, "should be an integer, got float"),
    ("matched_width", without_end, "does its loop end?"),
    ("squeeze_width", lambda block_input, expanded, family: block_input / 4, "should be an integer, got float 8.0"),
    ("swap", lambda net, new: (plug_in(net, new, at="post"), net)[1], "unplug(model) first"),
    ("swap", lambda net, new: swapped(net, new).state_dict(), "should return the network, got OrderedDict"),
    ("swap", lambda net, new: nn.Sequential(swapped(net, new)), "not be at 0.stages.0.0.norm2.attention_post and 2 more"),
    ("swap", spoils, "SE is still in the network"),
])
def test_an_answer_of_another_kind_gets_words_and_no_traceback(name, answer, message, capsys):
    assert getattr(check, name)(answer) is False
    assert message in capsys.readouterr().out


@pytest.mark.parametrize("name, wrong, right", [("swap", spoils, swapped), ("eased", ZeroLast, Lerp)])
def test_an_answer_that_spoils_what_it_is_given_does_not_spoil_it_for_the_next(name, wrong, right, capsys):
    assert getattr(check, name)(wrong) is False
    assert getattr(check, name)(right) is True


def test_the_truth_about_hidden_widths_is_read_and_not_empty():
    read = {family: [w for name in models for w in shipped_widths(family, name)] for family, models in FAMILIES.items()}
    assert {family: len(widths) for family, widths in read.items()} == {"efficientnet": 10, "mobilenet_v3": 18, "regnet": 11}
    assert (24, 72, 24) in read["mobilenet_v3"] and (192, 1152, 48) in read["efficientnet"]
    assert {(3, 24, 1), (10, 64, 2), (27, 160, 6)} <= set(read["efficientnet"]) and (16, 3, 8) in read["mobilenet_v3"]
    assert {(6, 10, 2), (10, 13, 2), (13, 18, 3), (18, 22, 4)} <= set(read["regnet"])


@pytest.mark.parametrize("name", ["eased", "squeeze_width", "identity_mask"])
def test_a_check_leaves_the_random_numbers_of_the_lesson_alone(name, capsys):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    getattr(check, name)(RIGHT[name][0])
    assert torch.equal(torch.random.get_rng_state(), before)
