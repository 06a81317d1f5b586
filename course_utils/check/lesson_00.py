"""Checks of lesson 00, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor

from ..stats import difference
from .report import Mistake, Report, close_number, compare, exercise, numbers


@exercise("Guess among five", [
    Mistake("that is a guess among all ten digits, but the network has read the five in the picture.", 0.1),
    Mistake("that would be right for three digits; this picture has five.", 1 / 3),
    Mistake("that is half of the pictures; the network cannot tell which of five is asked.", 0.5),
    Mistake("one part in four would be right for four digits; count again.", 0.25),
    Mistake("five percent is one part in twenty.", 0.05),
])
def guess_among(report: Report, answer: float) -> None:
    """One right answer among five that look equally likely."""
    close_number(report, answer, 0.2, "accuracy of the guess", 1e-3)


@exercise("Channel means", [
    Mistake("the mean runs over the channels (dim 1) instead of the positions.", lambda x: x.mean((1, 2))[:, :x.shape[1]]),
    Mistake("you took the maximum, not the mean.", lambda x: x.amax((2, 3))),
    Mistake("you took the sum: divide by the number of positions, H times W.", lambda x: x.sum((2, 3))),
    Mistake("the mean runs over the pictures too, so each picture sees the others.",
            lambda x: x.mean((0, 2, 3)).expand(len(x), -1)),
    Mistake("the mean runs over one of the two axes of the picture only.", lambda x: x.mean(3)[..., 0]),
    Mistake("keepdim=True leaves two dimensions of size one.", lambda x: x.mean((2, 3), keepdim=True)),
])
def channel_means(report: Report, answer) -> None:
    """(N, C, H, W) -> (N, C)."""
    for shape in [(2, 3, 4, 5), (3, 7, 6, 2), (1, 1, 3, 3)]:
        x = numbers(*shape)
        wanted = torch.stack([torch.stack([plane.sum() / plane.numel() for plane in picture]) for picture in x])
        compare(report, answer, (x,), wanted, f"a map of shape {shape}")


def wrong_axis(x: Tensor, gate: Tensor) -> Tensor:
    return x * gate[:, None, None, :]


@exercise("Apply a gate", [
    Mistake("the gate is added; a gate multiplies.", lambda x, gate: x + gate[:, :, None, None]),
    Mistake("the gate runs along the width (last dimension). Put two new dimensions behind it: gate[:, :, None, None].",
            wrong_axis),
    Mistake("every picture gets the gate of the first one.", lambda x, gate: x * gate[:1, :, None, None]),
    Mistake("all channels get the same number: the mean of the gate.", lambda x, gate: x * gate.mean(1)[:, None, None, None]),
    Mistake("the input is added back; here the gate alone decides.", lambda x, gate: x + x * gate[:, :, None, None]),
    Mistake("the gate has been through a sigmoid already.", lambda x, gate: x * gate.sigmoid()[:, :, None, None]),
])
def apply_gate(report: Report, answer) -> None:
    """x (N, C, H, W), gate (N, C) -> (N, C, H, W)."""
    for shape in [(2, 3, 4, 3), (3, 4, 2, 5), (2, 3, 3, 3)]:      # C equals W: a wrong axis still has a valid shape
        x, gate = numbers(*shape), numbers(*shape[:2], seed=1).sigmoid()
        wanted = torch.stack([torch.stack([x[n, c] * gate[n, c] for c in range(shape[1])]) for n in range(shape[0])])
        compare(report, answer, (x, gate), wanted, f"a map of shape {shape}")


ARMS = {"plain": [0.33, 0.31, 0.34], "gate": [0.91, 0.95, 0.88]}


@exercise("A fair comparison", [
    Mistake("there is nothing to compare with: one arm must be the control.", {"gate": ARMS["gate"]}),
    Mistake("the arms have different numbers of seeds, so they cannot be paired.",
            {"plain": ARMS["plain"], "gate": ARMS["gate"][:2]}),
    Mistake("two seeds say little; use at least three.", {k: v[:2] for k, v in ARMS.items()}),
    Mistake("an accuracy lies between 0 and 1; these look like percentages.",
            {k: [100 * a for a in v] for k, v in ARMS.items()}),
    Mistake("all seeds gave exactly the same number: was the seed used?", {"plain": [0.33] * 3, "gate": [0.9] * 3}),
    Mistake("some accuracies are not numbers: a trial failed.", {"plain": ARMS["plain"], "gate": [0.9, float("nan"), 0.9]}),
])
def comparison(report: Report, answer: dict[str, list[float]]) -> None:
    """An investigation has no single answer; this looks at whether the comparison can carry a conclusion."""
    if not isinstance(answer, dict):
        report.wrong(f"a dictionary arm -> accuracies by seed was expected, got {type(answer).__name__}")
    arms = {name: [float(a) for a in values] for name, values in answer.items()}
    if len(arms) < 2:
        report.wrong(f"{len(arms)} arm", "there is nothing to compare with: one arm must be the control.")
    if any(a != a for values in arms.values() for a in values):
        report.wrong("some accuracies are NaN", "some accuracies are not numbers: a trial failed.")
    if len({len(values) for values in arms.values()}) > 1:
        report.wrong(f"seeds per arm: {[len(v) for v in arms.values()]}",
                     "the arms have different numbers of seeds, so they cannot be paired.")
    if len(next(iter(arms.values()))) < 3:
        report.wrong(f"{len(next(iter(arms.values())))} seeds", "two seeds say little; use at least three.")
    if any(not 0 <= a <= 1 for values in arms.values() for a in values):
        report.wrong("some accuracies are outside 0 to 1", "an accuracy lies between 0 and 1; these look like percentages.")
    if all(len(set(values)) == 1 for values in arms.values()):
        report.wrong("no spread over the seeds", "all seeds gave exactly the same number: was the seed used?")
    control, *others = arms
    report.right(f"{len(arms)} arms with {len(arms[control])} seeds each; the control is {control!r}")
    for name in others:
        report.right(f"{name} - {control}: {difference(dict(enumerate(arms[name])), dict(enumerate(arms[control])))}")
