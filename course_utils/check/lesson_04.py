"""Checks of lesson 04, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .report import Mistake, NotAttempted, Report, compare, exercise, numbers

# Five gates of 3 channels (rows) and 4 places (columns), as the lesson prints them, and what made each.
GATES = {"A": "bam", "B": "spatial", "C": "scse", "D": "channel", "E": "cbam"}


def taken_for(**wrong: str) -> dict[str, str]:
    return {**GATES, **wrong}


@exercise("Five gates, five mechanisms", [
    Mistake("a product is no larger than either of its factors; the larger of two is no smaller than either. Look at the rows "
            "of C and E: in which are all rows multiples of one row?", taken_for(C="cbam", E="scse")),
    Mistake("BAM multiplies by 1 plus a gate, so it lies between 1 and 2. A gate of CBAM never reaches 1.",
            taken_for(A="cbam", E="bam")),
    Mistake("BAM multiplies by 1 plus a gate, so it lies between 1 and 2. scSE keeps one of two gates, so it stays below 1.",
            taken_for(A="scse", C="bam")),
    Mistake("a channel gate has one number for each channel: the same all along a row. A spatial gate has one for each place: "
            "the same all down a column.", taken_for(B="channel", D="spatial")),
    Mistake("one of the five has the same four numbers in every row: no channel is told from another, so no channel gate "
            "took part.",
            taken_for(B="cbam", E="spatial")),
    Mistake("one of the five has the same number all along each row: no place is told from another, so no spatial "
            "gate took part.",
            taken_for(D="cbam", E="channel")),
    Mistake("each mechanism has made one of the five.", dict.fromkeys(GATES, "cbam")),
])
def whose_gate(report: Report, answer: dict[str, str]) -> None:
    """Letter of a gate -> name of the mechanism that made it."""
    if not isinstance(answer, dict) or set(answer) != set(GATES):
        report.wrong(f"a dictionary with the letters {', '.join(GATES)} was expected, got {type(answer).__name__}")
    if any(name is ... or name is None for name in answer.values()):
        raise NotAttempted
    strange = [name for name in answer.values() if name not in GATES.values()]
    if strange:
        report.wrong(f"the names are {', '.join(sorted(GATES.values()))}; got {strange[0]!r}")
    right = sum(answer[letter] == name for letter, name in GATES.items())
    if right < len(GATES):
        made = [{k: v for k, v in m.answer.items() if v != GATES[k]} for m in report.mistakes]
        causes = [m.cause for m, wrong in zip(report.mistakes, made, strict=True) if wrong.items() <= answer.items()]
        once = [] if len(set(answer.values())) == len(GATES) else [report.mistakes[-1].cause]
        report.wrong(f"{right} of {len(GATES)} are right", *(once or causes)[:1])
    report.right(f"all {right} of them")


def like_coordinate(rows=lambda x: x.mean(3), columns=lambda x: x.mean(2), bend=F.hardswish, cut=lambda x: x.shape[2],
                    squash=(torch.sigmoid, torch.sigmoid), join=lambda a, b: a * b, after=lambda x, gate: gate):
    """The gate of coordinate attention with one thing to get wrong."""
    def coordinate_gate(x: Tensor, w: Tensor, w_rows: Tensor, w_columns: Tensor) -> Tensor:
        f = bend(w @ torch.cat([rows(x), columns(x)], 2))
        a, b = w_rows @ f[..., :cut(x)], w_columns @ f[..., cut(x):]
        return after(x, join(squash[0](a)[..., :, None], squash[1](b)[..., None, :]))
    return coordinate_gate


def true_coordinate(x: Tensor, w: Tensor, w_rows: Tensor, w_columns: Tensor) -> Tensor:
    gate = torch.empty_like(x)
    for picture, into in zip(x, gate, strict=True):
        down = [w_rows @ F.hardswish(w @ picture[:, i].mean(1)) for i in range(x.shape[2])]
        across = [w_columns @ F.hardswish(w @ picture[:, :, j].mean(1)) for j in range(x.shape[3])]
        for i, a in enumerate(down):
            for j, b in enumerate(across):
                into[:, i, j] = 1 / (1 + torch.exp(-a)) / (1 + torch.exp(-b))
    return gate


SWAPPED = {"rows": lambda x: x.mean(2), "columns": lambda x: x.mean(3)}
OPEN = (lambda a: a, lambda b: b)


@exercise("Coordinate attention, repaired", [
    Mistake("both faults are still there.", like_coordinate(**SWAPPED, squash=OPEN)),
    Mistake("one fault is left: a gate of one map can be below 0 and above 1.", like_coordinate(squash=OPEN)),
    Mistake("one fault is left: on a map that is not square it stops, and on a square one the rows' gate is made of columns.",
            like_coordinate(**SWAPPED)),
    Mistake("the two strips are in their order now, but cut at W; the first H of them belong to the rows.",
            like_coordinate(cut=lambda x: x.shape[3])),
    Mistake("one sigmoid over the product; each of the two gates has its own, before they are multiplied.",
            like_coordinate(squash=OPEN, join=lambda a, b: torch.sigmoid(a * b))),
    Mistake("only the rows' gate went through a sigmoid.", like_coordinate(squash=(torch.sigmoid, lambda b: b))),
    Mistake("only the columns' gate went through a sigmoid.", like_coordinate(squash=(lambda a: a, torch.sigmoid))),
    Mistake("the two gates are added; they multiply.", like_coordinate(join=lambda a, b: a + b)),
    Mistake("x times the gate is returned; asked is the gate.", like_coordinate(after=lambda x, gate: x * gate)),
    Mistake("hard-swish was no fault: leave it.", like_coordinate(bend=torch.relu)),
    Mistake("the gate is squashed by a softmax, so its rows compete; each has a sigmoid of its own.",
            like_coordinate(squash=(lambda a: a.softmax(2), lambda b: b.softmax(2)))),
])
def coordinate_gate(report: Report, answer) -> None:
    """x (N, C, H, W), w (m, C), w_rows and w_columns (C, m) -> the gate, (N, C, H, W)."""
    for n, c, h, w, m in [(2, 3, 4, 4, 2), (2, 3, 4, 6, 2), (1, 2, 5, 3, 4)]:      # square first: there nothing stops
        given = (numbers(n, c, h, w), numbers(m, c, seed=1), numbers(c, m, seed=2), numbers(c, m, seed=3))
        compare(report, answer, given, true_coordinate(*given), f"a {(n, c, h, w)} map")


def like_simam(over=(2, 3), less=1, factor=4.0, half=0.5, squash=torch.sigmoid, power=2, join=lambda x, gate: x * gate,
               inside=True, fixed=None, default=1e-4):
    """SimAM with one thing to get wrong."""
    def simam(x: Tensor, lambda_: float = default) -> Tensor:
        lambda_ = lambda_ if fixed is None else fixed
        d = (x - x.mean(over, keepdim=True)).abs() ** power
        total = d.sum(over, keepdim=True)
        v = total / (x.numel() // total.numel() - less)
        return join(x, squash((d / (factor * (v + lambda_)) if inside else d / (factor * v) + lambda_) + half))
    return simam


def true_simam(x: Tensor, lambda_: float) -> Tensor:
    y = torch.empty_like(x)
    for picture, out in zip(x, y, strict=True):
        for plane, into in zip(picture, out, strict=True):
            energy = (plane - plane.mean()) ** 2 / (4 * plane.var() + 4 * lambda_)      # var divides by H W - 1
            into.copy_(plane / (1 + torch.exp(-energy - 0.5)))
    return y


@exercise("Your SimAM", [
    Mistake("the variance is divided by H W; it should be H W - 1.", like_simam(less=0)),
    Mistake("the factor 4 below the fraction is missing.", like_simam(factor=1.0)),
    Mistake("the one half inside the sigmoid is missing.", like_simam(half=0.0)),
    Mistake("the sigmoid is missing.", like_simam(squash=lambda s: s)),
    Mistake("the mean runs over the pictures of the batch too: each picture sees the others.", like_simam(over=(0, 2, 3))),
    Mistake("the mean runs over the channels (dim 1); it should run over the positions of each channel.", like_simam(over=(1,))),
    Mistake("the mean runs over channels and positions; each channel has its own.", like_simam(over=(1, 2, 3))),
    Mistake("the gate is returned by itself: multiply x by it.", like_simam(join=lambda x, gate: gate)),
    Mistake("the input is added back; here the gate only multiplies.", like_simam(join=lambda x, gate: x + x * gate)),
    Mistake("the distance to the mean is not squared, or a root is taken of it.", like_simam(power=1)),
    Mistake("lambda_ is added to the fraction; it belongs below it, beside the variance.", like_simam(inside=False)),
    Mistake("lambda_ is not used: it is 1e-4 whatever is asked for.", like_simam(fixed=1e-4)),
    Mistake("lambda_ should be 1e-4 where nothing is said.", like_simam(default=0.1)),
])
def simam(report: Report, answer) -> None:
    """(x, lambda_=1e-4) -> x * sigmoid(d / (4 (v + lambda_)) + 1/2)."""
    small = 0.02 * numbers(2, 3, 4, 5)      # small numbers, so that 1e-4 counts
    compare(report, answer, (small,), true_simam(small, 1e-4), "a (2, 3, 4, 5) map of small numbers, lambda_ left out")
    for shape, lambda_ in [((2, 4, 3, 5), 0.1), ((3, 3, 3, 3), 1e-4), ((1, 2, 6, 1), 0.5)]:
        x = numbers(*shape)
        compare(report, answer, (x, lambda_), true_simam(x, lambda_), f"a {shape} map, lambda_={lambda_:g}")
