"""Checks of lesson 04, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor

from .report import Mistake, Report, close_number, compare, exercise, numbers


@exercise("The gate of a fresh CBAM", [
    Mistake("that is one gate. CBAM multiplies by two, and each starts near one half.", 0.5),
    Mistake("that is the identity start, or the two halves added; here the gates start near one half each, and multiply.", 1.0),
    Mistake("that is what the two gates take away; asked is what they let through.", 0.75),
    Mistake("that would be three gates; CBAM has two.", 0.125),
    Mistake("the sigmoid of 0 is one half, not 0.", 0.0),
    Mistake("that is BAM, which multiplies by 1 + gate.", 1.5),
    Mistake("that is how many times smaller x becomes; asked is the gate itself.", 4.0),
])
def cbam_start(report: Report, answer: float) -> None:
    """Two sigmoids around zero: one half times one half. One start may be far from it; the mean of many is close enough."""
    close_number(report, answer, 0.25, "mean of the gate over many starts", 0.03)


def strip(down: Tensor, across: Tensor) -> Tensor:
    return torch.cat([down, across], 2)


def true_strips(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    means = torch.empty(n, c, h + w)
    for i in range(h):
        means[:, :, i] = sum(x[:, :, i, j] for j in range(w)) / w
    for j in range(w):
        means[:, :, h + j] = sum(x[:, :, i, j] for i in range(h)) / h
    return means


@exercise("Means along rows and columns", [
    Mistake("the order is exchanged: first one mean for each of the H rows, then one for each of the W columns.",
            lambda x: strip(x.mean(2), x.mean(3))),
    Mistake("both halves are means of rows; the second half has one mean for each column (over dim 2).",
            lambda x: strip(x.mean(3), x.mean(3))),
    Mistake("both halves are means of columns; the first half has one mean for each row (over dim 3).",
            lambda x: strip(x.mean(2), x.mean(2))),
    Mistake("you took the maximum, not the mean.", lambda x: strip(x.amax(3), x.amax(2))),
    Mistake("you took the sum: divide by the length of the row or column.", lambda x: strip(x.sum(3), x.sum(2))),
    Mistake("every place has the mean of the whole map; a row's mean runs along that row only.",
            lambda x: x.mean((2, 3))[:, :, None].expand(-1, -1, x.shape[2] + x.shape[3])),
    Mistake("the means run over the channels too (dim 1); each channel keeps its own.",
            lambda x: torch.cat([x.mean((1, 3)), x.mean((1, 2))], 1)[:, None].expand(-1, x.shape[1], -1)),
    Mistake("the means run over the pictures too, so each picture sees the others.",
            lambda x: strip(x.mean((0, 3))[None], x.mean((0, 2))[None]).expand(len(x), -1, -1)),
    Mistake("keepdim=True leaves a dimension of size one.", lambda x: strip(x.mean(3), x.mean(2))[..., None]),
    Mistake("the two halves are put together along the channels (dim 1); they belong one behind the other, in dim 2.",
            lambda x: torch.cat([x.mean(3), x.mean(2)], 1)),
])
def strips(report: Report, answer) -> None:
    """x (N, C, H, W) -> (N, C, H + W)."""
    for shape in [(3, 2, 4, 4), (2, 3, 4, 5), (1, 5, 1, 6)]:      # first H equals W: rows twice has a valid shape
        x = numbers(*shape)
        compare(report, answer, (x,), true_strips(x), f"a {shape} map")


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
