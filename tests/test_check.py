"""Each check of an exercise takes right answers, written in more than one way, and rejects every listed wrong one."""

import pytest
import torch
from torch import nn

from course_utils import check
from course_utils.attention import SE

CHECKS = {name: getattr(check, name) for name in check.__all__}


class LinearSE(nn.Module):
    """SE with linear layers and other names: as right as the one with 1x1 convolutions."""

    def __init__(self, channels, reduction=16):
        super().__init__()
        self.up = nn.Linear(channels // reduction, channels)
        self.down = nn.Linear(channels, channels // reduction)

    def forward(self, x):
        return torch.einsum("nchw,nc->nchw", x, self.up(self.down(x.mean((2, 3))).relu()).sigmoid())


class TanhStart(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return x * (1 + torch.tanh(self.gain))[:, None, None]


class SigmoidStart(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = SE(channels, 2, start="identity")

    def forward(self, x):
        return self.inner(x)


def window(layers):
    size = 1
    for kernel, stride in reversed(layers):      # from the output back to the picture, unlike the check
        size = (size - 1) * stride + kernel
    return size


RIGHT = {
    "guess_among": [0.2, 1 / 5],
    "channel_means": [lambda x: x.mean((2, 3)), lambda x: x.flatten(2).mean(-1), lambda x: x.sum((2, 3)) / x[0, 0].numel()],
    "apply_gate": [lambda x, gate: x * gate[:, :, None, None], lambda x, g: torch.einsum("nchw,nc->nchw", x, g)],
    "comparison": [{"plain": [0.3, 0.4, 0.35], "se": [0.8, 0.9, 0.7]}, {"a": (0.1, 0.2, 0.3, 0.4), "b": (0.1, 0.2, 0.3, 0.5)}],
    "three_layers": [7, 1 + 3 * 2],
    "window_of": [window],
    "hit_share": [lambda m, k: (m * k).sum((1, 2)) / m.sum((1, 2)),
                  lambda m, k: torch.where(k, m, 0.0).flatten(1).sum(1) / m.flatten(1).sum(1)],
    "se_parameters": [580, 2 * 64 * 4 + 4 + 64],
    "se": [SE, LinearSE],
    "identity_start": [TanhStart, SigmoidStart],
}


def test_every_check_has_right_answers_and_at_least_four_wrong_ones():
    assert set(RIGHT) == set(CHECKS)
    assert all(len(function.mistakes) >= 4 for function in CHECKS.values())


@pytest.mark.parametrize("name, answer", [(n, a) for n, answers in RIGHT.items() for a in answers])
def test_right_answer_is_taken(name, answer, capsys):
    assert CHECKS[name](answer) is True
    assert "all right" in capsys.readouterr().out


@pytest.mark.parametrize("name, mistake", [(n, m) for n, f in CHECKS.items() for m in f.mistakes],
                         ids=lambda v: v if isinstance(v, str) else v.cause[:40])
def test_wrong_answer_is_rejected_with_its_cause(name, mistake, capsys):
    assert CHECKS[name](mistake.answer) is False
    said = capsys.readouterr().out
    assert "WRONG" in said
    if not any(other in said for other in ("should have shape", "should be a number")):
        assert mistake.cause in said


def unfinished(*args):
    raise NotImplementedError


class Unfinished(nn.Module):
    def __init__(self, *args):
        super().__init__()

    def forward(self, x):
        ...


@pytest.mark.parametrize("name", CHECKS)
def test_a_placeholder_is_not_attempted_rather_than_wrong(name, capsys):
    for placeholder in (..., None):
        assert CHECKS[name](placeholder) is False
        said = capsys.readouterr().out
        assert "not attempted yet" in said and "WRONG" not in said
    if name in ("channel_means", "apply_gate", "window_of", "hit_share"):
        for function in (unfinished, lambda *args: ..., lambda *args: None):
            assert CHECKS[name](function) is False
            assert "not attempted yet" in capsys.readouterr().out
    if name in ("se", "identity_start"):
        assert CHECKS[name](Unfinished) is False
        assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize("name, answer, message", [
    ("channel_means", lambda x: 1 / 0, "stopped with ZeroDivisionError"),
    ("channel_means", lambda x: 3.0, "should be a tensor, got float"),
    ("apply_gate", lambda x, gate: x.mul_(gate[:, :, None, None]), "changed x itself"),
    ("guess_among", "a fifth", "should be a number, got str"),
    ("window_of", lambda layers: 7.0, "should return an integer, got float"),
    ("se", SE(8), "pass MySE, not MySE"),
    ("se", lambda c, r: None, "the class itself was expected"),
    ("se", type("Plain", (), {"__init__": lambda self, c, r: None}), "should be a torch.nn.Module"),
    ("comparison", [0.3, 0.4], "a dictionary arm -> accuracies"),
    ("hit_share", lambda m, k: m.sum(), "should have shape"),
])
def test_an_answer_of_another_kind_gets_words_and_no_traceback(name, answer, message, capsys):
    assert CHECKS[name](answer) is False
    assert message in capsys.readouterr().out
