"""Each check of an exercise takes right answers, written in more than one way, and rejects every listed wrong one."""

from fractions import Fraction
from importlib import import_module
from itertools import repeat
from pkgutil import iter_modules

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from right_sockets import RIGHT as RIGHT_SOCKETS
from right_sockets import by_index_put
from torch import nn

from course_utils import check
from course_utils.attention import SE

CHECKS = {name: getattr(check, name) for name in check.__all__}


class LinearSE(nn.Module):
    """SE with linear layers and other names: as right as the one with 1x1 convolutions."""

    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.up = nn.Linear(hidden, channels)
        self.down = nn.Linear(channels, hidden)

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


class LazyGate(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.look = nn.LazyConv2d(1, kernel_size, padding="same")

    def forward(self, x):
        return x * self.look(torch.cat([x.mean(1, True), x.max(1, True).values], 1)).sigmoid()


class ZeroGate(nn.Module):
    """With bare parameters, the bias first, and all of them zero: a start that hides mistakes."""

    def __init__(self, kernel_size):
        super().__init__()
        self.shift, self.around = nn.Parameter(torch.zeros(1)), kernel_size // 2
        self.kernel = nn.Parameter(torch.zeros(1, 2, kernel_size, kernel_size))

    def forward(self, x):
        summary = torch.stack([x.sum(1) / x.shape[1], x.sort(1).values[:, -1]], 1)
        return torch.einsum("nchw,nohw->nchw", x, torch.sigmoid(F.conv2d(summary, self.kernel, self.shift, padding=self.around)))


class OnChannels(LazyGate):
    """A gate from all channels, without mean and maximum."""

    def forward(self, x):
        return x * self.look(x).sigmoid()


def strip_gates(x, w, w_rows, w_columns):
    """With convolutions, strip by strip."""
    f = [F.hardswish(F.conv1d(strip, w[..., None])) for strip in (x.mean(3), x.mean(2))]
    a, b = (torch.sigmoid(F.conv1d(part, v[..., None])) for part, v in zip(f, (w_rows, w_columns), strict=True))
    return torch.einsum("nch,ncw->nchw", a, b)


def joined_gates(x, w, w_rows, w_columns):
    f = F.hardswish(w @ torch.cat([x.mean(-1), x.mean(-2)], -1))
    a, b = f.split(x.shape[-2:], -1)
    return (w_rows @ a).sigmoid().unsqueeze(-1) * (w_columns @ b).sigmoid().unsqueeze(-2)


def own_attend(q, k, v, inside):
    return ((q / q.shape[-1] ** 0.5) @ k.transpose(1, 2) - 1e9 * ~inside[:, None]).softmax(-1) @ v


def late_attend(q, k, v, inside):
    """The shares of the places outside are taken away behind the softmax, and what is left is divided by its sum."""
    a = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) * inside[:, None]
    return a / a.sum(-1, keepdim=True) @ v


def one_map(a, b, v):
    return torch.einsum("nml,nkl,nki->nmi", a, b.softmax(-1), v.softmax(-2))


def loop_places(x, kernels, weights):
    return sum(weights[:, i, None] * F.conv2d(x, kernel, padding="same") for i, kernel in enumerate(kernels))


def one_call_places(x, kernels, weights):
    y = F.conv2d(x, kernels.flatten(0, 1), padding=kernels.shape[-1] // 2)
    return torch.einsum("nkohw,nkhw->nohw", y.unflatten(1, kernels.shape[:2]), weights)


class LoopMixture(nn.Module):
    """Other layers, a picture at a time."""

    def __init__(self, channels, kernels=4, temperature=30.0):
        super().__init__()
        self.kernels = nn.Parameter(torch.zeros(kernels, channels, channels, 3, 3))
        self.squeeze, self.router = nn.Linear(channels, 5), nn.Linear(5, kernels)
        self.cold = 1 / temperature

    def forward(self, x):
        p = torch.softmax(self.cold * self.router(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1).flatten(1)))), -1)
        return torch.cat([F.conv2d(x[i:i + 1], torch.tensordot(w, self.kernels, 1), padding=1) for i, w in enumerate(p)])


class SumsTransformer(nn.Module):
    """Sampling at a grid of its own making."""

    def __init__(self, channels):
        super().__init__()
        self.localise = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.last = nn.Linear(16, 6)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.copy_(torch.eye(3)[:2].flatten())

    def forward(self, x):
        h, w = x.shape[2:]
        down, across = torch.meshgrid((2 * torch.arange(h) + 1) / h - 1, (2 * torch.arange(w) + 1) / w - 1, indexing="ij")
        at = torch.stack([across, down, torch.ones(h, w)], -1)
        grid = torch.einsum("nij,hwj->nhwi", self.last(self.localise(x)).view(-1, 2, 3), at)
        return F.grid_sample(x, grid, align_corners=False)


def by_centre(row, column, size, picture):
    scale = size / picture
    return torch.tensor([[scale, 0, (column + size / 2) / picture * 2 - 1], [0, scale, (row + size / 2) / picture * 2 - 1]])


def by_edges(row, column, size, picture):
    """Solve -scale + offset = first edge, scale + offset = last edge."""
    first = torch.tensor([column, row], dtype=torch.float64) * 2 / picture - 1
    last = first + 2 * size / picture
    return torch.cat([torch.diag((last - first) / 2), (last + first)[:, None] / 2], 1)


RIGHT = {
    "guess_among": [0.2, 1 / 5],
    "channel_means": [lambda x: x.mean((2, 3)), lambda x: x.flatten(2).mean(-1), lambda x: x.sum((2, 3)) / x[0, 0].numel()],
    "apply_gate": [lambda x, gate: x * gate[:, :, None, None], lambda x, g: torch.einsum("nchw,nc->nchw", x, g)],
    "comparison": [{"plain": [0.3, 0.4, 0.35], "se": [0.8, 0.9, 0.7]}, {"a": (0.1, 0.2, 0.3, 0.4), "b": (0.1, 0.2, 0.3, 0.5)},
                   {"plain": {10: 0.3, 11: 0.4, 12: 0.35}, "se": {12: 0.7, 10: 0.8, 11: 0.9}},      # as Study.runs has it
                   {"plain": torch.tensor([0.3, 0.4, 0.35]), "se": [torch.tensor(1.0), 1, 0.98]},
                   {"plain": np.array([0.3, 0.4, 0.35], np.float32), "se": (Fraction(k, 10) for k in (7, 8, 9))}],
    "window_of": [window],
    "can_compare": [{"D", "E"}, ["e", "d"], "D, E", "DE"],
    "hit_share": [lambda m, k: (m * k).sum((1, 2)) / m.sum((1, 2)),
                  lambda m, k: torch.where(k, m, 0.0).flatten(1).sum(1) / m.flatten(1).sum(1)],
    "se": [SE, LinearSE],
    "identity_start": [TanhStart, SigmoidStart],
    "seen_pixels": [lambda kernel, dilation, step, window: window + (kernel - 1) * dilation * step,
                    lambda k, d, s, w: (k - 1) * d * s + w],
    "spatial_gate": [LazyGate, ZeroGate],
    "whose_gate": [{"A": "bam", "B": "spatial", "C": "scse", "D": "channel", "E": "cbam"},
                   dict(E="cbam", D="channel", C="scse", B="spatial", A="bam")],
    "coordinate_gate": [strip_gates, joined_gates],
    "in_order": [lambda y, groups=2: y.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2),
                 lambda y, groups=2: torch.cat([y[:, group::groups] for group in range(groups)], 1),
                 lambda y, groups=2: torch.stack(y.chunk(y.shape[1] // groups, 1), 2).flatten(1, 2)],
    "largest_map": [74, int((8e9 / (4 * 4 * 16)) ** 0.25), 74.0],
    "attend": [lambda q, k, v, inside: F.scaled_dot_product_attention(q, k, v, inside[:, None]), own_attend, late_attend],
    "double_attention": [one_map, lambda a, b, v: (a @ b.softmax(2).mT) @ v.softmax(1)],
    "mended_mixture": [LoopMixture],
    "mix_places": [loop_places, one_call_places],
    "best_of_one": [0.75, 3 / 4],
    "mended_transformer": [SumsTransformer],
    "look_at": [by_centre, by_edges],
    **RIGHT_SOCKETS,
}


def test_every_check_has_right_answers_and_at_least_five_wrong_ones():
    assert set(RIGHT) == set(CHECKS)
    assert all(len({m.cause for m in function.mistakes}) >= 5 for function in CHECKS.values())


def test_every_check_can_be_called_by_a_lesson():
    """Catches one that is not in `__all__`: no test here would have tried it."""
    files = [import_module(f"course_utils.check.{file.name}") for file in iter_modules(check.__path__)]
    assert {name for file in files for name, value in vars(file).items() if hasattr(value, "mistakes")} == set(CHECKS)


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
    if name != "channel_means" or "should have shape" not in said:      # there the cause follows from the shape
        assert mistake.cause in said


CLASSES = {"se", "identity_start", "spatial_gate", "eased", "mended_mixture", "mended_transformer"}
FUNCTIONS = {name for name, answers in RIGHT.items() if callable(answers[0])} - CLASSES


def deep(count, target, width=1):
    return width if count(width) >= target else deep(count, target, width + 1)


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
    if name in FUNCTIONS:
        for function in (unfinished, lambda *args: ..., lambda *args: None):
            assert CHECKS[name](function) is False
            assert "not attempted yet" in capsys.readouterr().out
    if name in CLASSES:
        assert CHECKS[name](Unfinished) is False
        assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize("name, answer, message", [
    ("channel_means", lambda x: 1 / 0, "stopped with ZeroDivisionError"),
    ("channel_means", lambda x: 3.0, "should be a tensor, got float"),
    ("apply_gate", lambda x, gate: x.mul_(gate[:, :, None, None]), "changed what it was given"),
    ("guess_among", "a fifth", "should be a number, got str"),
    ("guess_among", float("nan"), "which is not a number"),
    ("window_of", lambda layers: 7.0, "should be an integer, got float"),
    ("se", SE(8), "pass its name without brackets"),
    ("se", lambda c, r: None, "the class itself was expected"),
    ("se", type("Plain", (), {"__init__": lambda self, c, r: None}), "should be a torch.nn.Module"),
    ("comparison", [0.3, 0.4], "a dictionary arm -> scores"),
    ("comparison", lambda: {"input": [0.9]}, "the function was not called: arms = my_study()"),
    ("comparison", {"input": [0.9, 0.8, 0.9], "post": [...]}, "the placeholder ... still stands in the arm 'post'"),
    ("comparison", {"input": [0.9, 0.8, 0.9], "post": None}, "the arm 'post' is NoneType None"),
    ("comparison", {"input": "0.9 0.8 0.9", "post": [0.9, 0.8, 0.9]}, "the arm 'input' is str '0.9 0.8 0.9'"),
    ("comparison", {"input": [0.9, 0.8, "high"], "post": [0.9, 0.8, 0.9]}, "a score of the arm 'input' is str 'high'"),
    ("comparison", {"input": [(10, 0.9), (11, 0.8), (12, 0.9)], "post": [0.9, 0.8, 0.9]}, "is tuple (10, 0.9)"),
    ("comparison", {"input": [33, 31, 34], "post": [91, 95, 88]}, "these whole numbers look like seeds"),
    ("comparison", {"input": repeat(0.9), "post": repeat(0.8)}, "was the seed used?"),      # which has no end
    ("window_of", lambda layers: 1 + sum((k // 2) * 2 for k, _ in layers), "got"),
    ("can_compare", {"A": True}, "letters were expected"),
    ("can_compare", {"G"}, "'G' is none of the letters"),
    ("hit_share", lambda m, k: m.sum(), "should have shape"),
    ("spatial_gate", LazyGate(7), "pass its name without brackets"),
    ("spatial_gate", type("Plain", (), {"__init__": lambda self, k: None}), "should be a torch.nn.Module"),
    ("spatial_gate", type("Deaf", (ZeroGate,), {"forward": torch.no_grad()(ZeroGate.forward)}), "it is cut off: detach"),
    ("spatial_gate", OnChannels, "expected one convolution"),
    ("whose_gate", {"A": "bam"}, "with the letters A, B, C, D, E was expected"),
    ("whose_gate", {**dict.fromkeys("ABCDE", "cbam"), "A": "sse"}, "got 'sse'"),
    ("coordinate_gate", lambda x, w, a, b: x.tolist(), "should be a tensor, got list"),
    ("in_order", lambda y, groups=2: y.mul_(0.5), "changed what it was given"),
    ("in_order", lambda y: torch.cat([y[:, ::2], y[:, 1::2]], 1), "stopped with TypeError"),
    ("attend", lambda q, k, v, inside: q.mean(2), "should have shape (2, 5, 3), got (2, 5)"),
    ("look_at", lambda *at: torch.eye(3)[:2], "reads rows 1.17 to 17.83"),
    ("precision_recall", ([1.0], [0.2]), "a function was expected, got tuple ([1.0], [0.2])"),
    ("precision_recall", lambda right, total: {"precision": right, "recall": right}, "two lists were expected"),
    ("precision_recall", lambda right, total: [[0.5], [0.5]], "5 values were expected, one for each box, got [0.5]"),
    ("gated_skip", 0.5, "a function was expected, got float 0.5"),
    ("largest_map", "74 places", "should be a number, got str"),
    ("largest_map", float("nan"), "got nan"),
    ("best_of_one", float("inf"), "more than expected"),
    ("best_of_one", 0.7, "less than expected"),
    ("evidence_pixels", 0.02, "rounded too far"),
    ("last_stage_share", 0.6, "rounded too far"),
    ("matched_width", deep, "A loop has no such limit"),
])
def test_an_answer_of_another_kind_gets_words_and_no_traceback(name, answer, message, capsys):
    assert CHECKS[name](answer) is False
    assert message in capsys.readouterr().out


def test_numbers_are_told_to_six_digits_and_large_ones_whole(capsys):
    check.paired_gain(lambda ours, control: 0.1 + 0.2)
    assert "got 0.3, expected 0.0166667\n" in capsys.readouterr().out
    check.gate_bytes(lambda c, h, w: 12.0 * c * h * w + 0.0004 * (c == 256) + 8.0 * (c == 16))
    assert "got 6728.0, expected 6720\n" in capsys.readouterr().out


def test_only_what_goes_on_to_a_layer_is_told_its_type(capsys):
    """Catches a table of shares that is told what "the layer behind it" wants."""
    assert check.confusion(by_index_put) and "layer behind" not in capsys.readouterr().out
    assert check.identity_mask(lambda x, s: x * 2 * s.double().sigmoid()) and "layer behind" in capsys.readouterr().out


def test_a_comparison_speaks_of_scores_since_overlaps_are_compared_too(capsys):
    for mistake in check.comparison.mistakes:
        check.comparison(mistake.answer)
        assert "n accuracy is" not in (said := capsys.readouterr().out) and "accuracies" not in said


def test_a_rehearsal_may_give_two_arms_the_same_numbers(monkeypatch):
    """Two steps train nothing: two networks may well give one class to all pictures."""
    same = {"plain": [0.51, 0.5, 0.49], "se": [0.51, 0.5, 0.49]}
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)
    assert check.comparison(same) is False
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    assert check.comparison(same) is True
