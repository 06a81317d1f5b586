"""Checks of lesson 00, each with the wrong answers that it rejects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from itertools import combinations, islice
from typing import Any

import torch
from torch import Tensor

from ..runtime import rehearsing
from ..stats import difference
from .core import plain_number
from .guard import shown
from .report import Mistake, NotAttempted, Report, close_number, compare, exercise, numbers


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
MOST = 10_000      # seeds of one arm; an iterator with more has no end
NOT_PAIRED = "the arms have different numbers of seeds, so they cannot be paired."
OTHER_SEEDS = "the arms have different seeds, so they cannot be paired."
ONE_NUMBER = "an arm is a list with one score per seed, [0.9, 0.8, 0.9], or {seed: score}."
NO_NUMBER = "a score is a number from 0 to 1, such as 0.93: an accuracy, as `train.evaluate` gives it, or an overlap."
WHOLE = "a score is a share such as 0.93: these whole numbers look like seeds, counts or percentages."
EMPTY = "nothing was put into it: is each score appended, and does the loop over the seeds run?"
A_SET = "a set keeps no order and drops equal numbers: write a list, in square brackets."
BY_SEED = "the seeds stand outside and the arms inside; turn it round: {\"input\": {10: 0.9, 11: 0.8, 12: 0.9}, ...}."
SAME = "two arms have the same scores, seed by seed: is it one network twice, or a list that was copied?"
RANGE = "a score lies between 0 and 1; these look like percentages or losses."
FAILED = "some scores are not numbers: a trial failed."


@exercise("A fair comparison", [
    Mistake("there is nothing to compare with: one arm must be the control.", {"gate": ARMS["gate"]}),
    Mistake(NOT_PAIRED, {"plain": ARMS["plain"], "gate": ARMS["gate"][:2]}),
    Mistake(OTHER_SEEDS, {"plain": {10: 0.33, 11: 0.31, 12: 0.34}, "gate": {20: 0.91, 21: 0.95, 22: 0.88}}),
    Mistake("two seeds say little; use at least three.", {k: v[:2] for k, v in ARMS.items()}),
    Mistake(RANGE, {k: [100 * a for a in v] for k, v in ARMS.items()}),
    Mistake("all seeds gave exactly the same number: was the seed used?", {"plain": [0.33] * 3, "gate": [0.9] * 3}),
    Mistake(FAILED, {"plain": ARMS["plain"], "gate": [0.9, float("nan"), 0.9]}),
    Mistake(ONE_NUMBER, {"plain": 0.33, "gate": 0.91}),
    Mistake(NO_NUMBER, {"plain": ARMS["plain"], "gate": [True, True, False]}),
    Mistake(WHOLE, {"plain": [10, 11, 12], "gate": ARMS["gate"]}),
    Mistake(SAME, {"plain": ARMS["gate"], "gate": list(ARMS["gate"])}),
    Mistake(EMPTY, {"plain": [], "gate": []}),
    Mistake(A_SET, {"plain": ARMS["plain"], "gate": set(ARMS["gate"])}),
    Mistake(BY_SEED, {seed: {name: values[seed - 10] for name, values in ARMS.items()} for seed in (10, 11, 12)}),
])
def comparison(report: Report, answer: Mapping[str, Any]) -> None:
    """An investigation has no single answer; this looks at whether the comparison can carry a conclusion.

    Arm -> scores from 0 to 1, accuracies or overlaps: a list with one per seed, or seed -> score, as studies have them.
    """
    if not isinstance(answer, Mapping):
        report.wrong(f"a dictionary arm -> scores by seed was expected, got {type(answer).__name__}",
                     "the function was not called: arms = my_study(), with brackets." if callable(answer) else "")
    if answer and all(isinstance(name, int) and isinstance(values, Mapping) for name, values in answer.items()) and \
            all(isinstance(arm, str) for values in answer.values() for arm in values):
        report.wrong(f"the arms are called {', '.join(map(shown, answer))}", BY_SEED)
    given = {name: by_seed(report, name, values) for name, values in answer.items()}
    placeholders = [name for name, values in given.items() if any(value is ... for value in values.values())]
    if placeholders and len(placeholders) == len(given):
        raise NotAttempted
    if placeholders:
        report.wrong(f"the placeholder ... still stands in the arm {placeholders[0]!r}", NO_NUMBER)
    if len(given) < 2:
        report.wrong(f"{len(given)} arm", "there is nothing to compare with: one arm must be the control.")
    arms = {name: {seed: score(report, name, value) for seed, value in values.items()} for name, values in given.items()}
    fair(report, arms)
    control, *others = arms
    report.right(f"{len(arms)} arms with {len(arms[control])} seeds each; the control is {control!r}")
    for name in others:
        report.right(f"{name} - {control}: {difference(arms[name], arms[control])}")


def by_seed(report: Report, name: Any, values: Any) -> dict[Any, Any]:
    """One arm as seed -> value; a list counts its seeds from 0."""
    if values is ...:
        return {0: ...}
    if isinstance(values, Mapping):
        return dict(islice(values.items(), MOST))
    if isinstance(values, Set):
        report.wrong(f"the arm {name!r} is {type(values).__name__} {shown(values)}", A_SET)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or getattr(values, "shape", None) == ():
        report.wrong(f"the arm {name!r} is {type(values).__name__} {shown(values)}", ONE_NUMBER)
    return dict(enumerate(islice(values, MOST)))


def score(report: Report, name: Any, value: Any) -> float:
    """A number, of any kind of number; others are told."""
    number = plain_number(value)
    if number is None:
        report.wrong(f"a score of the arm {name!r} is {type(value).__name__} {shown(value)}", NO_NUMBER)
    return number


def fair(report: Report, arms: dict[Any, dict[Any, float]]) -> None:
    """Can these numbers be compared?"""
    values = {name: list(arm.values()) for name, arm in arms.items()}
    every = [a for arm in values.values() for a in arm]
    seeds = [set(arm) for arm in arms.values()]
    if any(a != a for a in every):
        report.wrong("some scores are NaN", FAILED)
    if len({len(arm) for arm in values.values()}) > 1:
        report.wrong(f"seeds per arm: {[len(arm) for arm in values.values()]}", NOT_PAIRED)
    if any(one != seeds[0] for one in seeds):
        report.wrong(f"the seeds of the first arm are {sorted(seeds[0], key=str)}", OTHER_SEEDS)
    if len(seeds[0]) < 3:
        report.wrong(f"{len(seeds[0])} seeds", EMPTY if not seeds[0] else "two seeds say little; use at least three.")
    if whole := [name for name, arm in values.items() if all(isinstance(a, int) for a in arm)]:
        report.wrong(f"the arm {whole[0]!r} holds {values[whole[0]]}", WHOLE)
    if any(not 0 <= a <= 1 for a in every):
        report.wrong("some scores are outside 0 to 1", RANGE)
    if all(len(set(arm)) == 1 for arm in values.values()):
        report.wrong("no spread over the seeds", "all seeds gave exactly the same number: was the seed used?")
    twice = [pair for pair in combinations(arms, 2) if arms[pair[0]] == arms[pair[1]]]
    if twice and not rehearsing():      # after two steps of training a network may well still answer one class to all
        report.wrong(f"{twice[0][0]!r} and {twice[0][1]!r} are equal for every seed", SAME)
