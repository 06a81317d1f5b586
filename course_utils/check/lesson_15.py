"""Checks of lesson 15: precision and recall, and a gate on a skip that looks at its own scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import shown
from .report import Mistake, Report, compare, exercise, numbers, untouched

FOUND = [([True, True, False, True, False], 5), ([False, False, True], 1), ([True], 4), ([True, False, False, False], 2),
         ([False, False], 3)]


def lists(precision, recall):
    """(right, total) -> two lists, from what holds of the first k, of which h are right."""
    def answer(right: Sequence[bool], total: int):
        hits = [sum(right[:k]) for k in range(1, len(right) + 1)]
        count = range(1, len(right) + 1)
        return ([precision(h, k, right, total) for h, k in zip(hits, count, strict=True)],
                [recall(h, k, right, total) for h, k in zip(hits, count, strict=True)])
    return answer


def share_right(h, k, right, total):
    return h / k


def share_found(h, k, right, total):
    return h / total


true_lists = lists(share_right, share_found)


@exercise("Precision and recall", [
    Mistake("precision is divided by all that is there: it is the share of the boxes so far that are right.",
            lists(share_found, share_found)),
    Mistake("recall is divided by the boxes so far: it is the share of what is there that has been found.",
            lists(share_right, share_right)),
    Mistake("the two are exchanged: precision first.", lists(share_found, share_right)),
    Mistake("recall is divided by how many were found in the end; what was never found counts too.",
            lists(share_right, lambda h, k, right, total: h / max(1, sum(right)))),
    Mistake("recall is divided by the number of boxes; it is divided by what is there.",
            lists(share_right, lambda h, k, right, total: h / len(right))),
    Mistake("precision is divided by all boxes; it looks at those up to this one.",
            lists(lambda h, k, right, total: h / len(right), share_found)),
    Mistake("each box is looked at by itself; both are of all boxes up to it.",
            lists(lambda h, k, right, total: float(right[k - 1]), lambda h, k, right, total: right[k - 1] / total)),
    Mistake("that is right by wrong ones; precision is right by all.",
            lists(lambda h, k, right, total: h / max(1, k - h), share_found)),
    Mistake("the boxes are taken from the least likely one on.",
            lambda right, total: true_lists(right[::-1], total)),
    Mistake("the box itself is not counted yet.",
            lists(lambda h, k, right, total: (h - right[k - 1]) / max(1, k - 1),
                  lambda h, k, right, total: (h - right[k - 1]) / total)),
    Mistake("only the end is told; a value for each box is wanted.",
            lambda right, total: ([sum(right) / len(right)], [sum(right) / total])),
])
def precision_recall(report: Report, answer) -> None:
    """(right, total): list of bool, the likeliest box first, and how many there are -> two lists, a value for each box."""
    for right, total in FOUND:
        given = list(right)
        got = report.call(answer, given, total)
        untouched(report, [given], [right])
        said = f"precision_recall({right}, {total})"
        two = report.call(lambda got=got: [listed(part) for part in got], what=f"reading the result of {said}")
        if len(two) != 2:
            report.wrong(f"{said}: two lists were expected, precision and recall, got {shown(got)}")
        wanted = true_lists(right, total)
        for name, ours, theirs in zip(("precision", "recall"), wanted, two, strict=True):
            values = [report.number(value, f"{name} of {said}") for value in theirs]
            report.agree(values, ours, f"{name} of {said}", near=1e-6)


def listed(values) -> list:
    return values.tolist() if isinstance(values, Tensor) else list(values)


def score(x: Tensor) -> Tensor:
    """A logit for each position, from all channels there and from its neighbours; the order of the channels matters."""
    weights = 0.7 * numbers(1, x.shape[1], 3, 3, seed=3)
    return F.conv2d(x, weights, padding=1)


def enlarged(x: Tensor, g: Tensor) -> Tensor:
    return F.interpolate(g, size=x.shape[2:], mode="nearest")


def true_gated_skip(x: Tensor, g: Tensor, score) -> Tensor:
    return x * torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1)))


def broken_gated_skip(x: Tensor, g: Tensor, score) -> Tensor:
    small = F.adaptive_max_pool2d(x, g.shape[2:])
    return x * F.interpolate(torch.sigmoid(score(torch.cat([small, g], 1))), size=x.shape[2:], mode="nearest")


def spread_softmax(z: Tensor) -> Tensor:
    return z.flatten(1).softmax(1).view_as(z)


@exercise("A gate at the scale of its skip", [
    Mistake("the gate is still made at the scale of g: neighbours in x share one.", broken_gated_skip),
    Mistake("x and g are exchanged: first the skip, then what comes from below.",
            lambda x, g, score: x * torch.sigmoid(score(torch.cat([enlarged(x, g), x], 1)))),
    Mistake("what comes from below is gated; the skip is to be.",
            lambda x, g, score: enlarged(x, g)[:, :1].expand_as(x) * torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1)))),
    Mistake("the sigmoid is missing.", lambda x, g, score: x * score(torch.cat([x, enlarged(x, g)], 1))),
    Mistake("softmax over the positions instead of sigmoid: positions must not compete for a sum of one.",
            lambda x, g, score: x * spread_softmax(score(torch.cat([x, enlarged(x, g)], 1)))),
    Mistake("the gate is added; it multiplies.", lambda x, g, score: x + torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1)))),
    Mistake("the skip is added once more: x + gate * x.",
            lambda x, g, score: x + x * torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1)))),
    Mistake("only the gate comes back; the gated skip is wanted.",
            lambda x, g, score: torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1))).expand_as(x)),
    Mistake("g is enlarged by smoothing; mode='nearest' is asked for.",
            lambda x, g, score: x * torch.sigmoid(score(torch.cat([x, F.interpolate(
                g, size=x.shape[2:], mode="bilinear", align_corners=False)], 1)))),
    Mistake("the gate is averaged over the positions, so it is one number for the picture.",
            lambda x, g, score: x * torch.sigmoid(score(torch.cat([x, enlarged(x, g)], 1))).mean((2, 3), keepdim=True)),
    Mistake("of g only its mean over positions is used; it says where.",
            lambda x, g, score: x * torch.sigmoid(score(torch.cat([x, g.mean((2, 3), keepdim=True).expand(
                -1, -1, *x.shape[2:])], 1)))),
])
def gated_skip(report: Report, answer) -> None:
    """x (N, C, H, W), g (N, D, h, w) smaller, score -> x times the sigmoid of what `score` says of both, at the scale of x."""
    for shape, below in (((2, 3, 8, 8), (2, 2, 4, 4)), ((2, 2, 9, 7), (2, 3, 5, 4)), ((1, 4, 6, 10), (1, 1, 2, 3))):
        x, g = numbers(*shape), numbers(*below, seed=1)
        compare(report, answer, (x, g, score), true_gated_skip(x, g, score), f"a skip of {shape[2]} x {shape[3]}, from below "
                f"{below[2]} x {below[3]}")
