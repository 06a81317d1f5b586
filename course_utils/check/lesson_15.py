"""Checks of lesson 15: precision and recall, and a gate on a skip that looks at its own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import plain_number, shown
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


def best_from_here(right: Sequence[bool], total: int):
    precision, recall = true_lists(right, total)
    return list(accumulate(precision[::-1], max))[::-1], recall


def at_hits_only(right: Sequence[bool], total: int):
    return tuple([value for value, hit in zip(values, right, strict=True) if hit] for values in true_lists(right, total))


ONLY_THE_END = "only the end is told; a value for each box is wanted."
WITHOUT_ITSELF = "the box itself is not counted yet: right[:k] holds k boxes, so the first is k = 1."


@exercise("Precision and recall", [
    Mistake("precision is divided by all that is there: it is the share of the boxes so far that are right.",
            lists(share_found, share_found)),
    Mistake("recall is divided by the boxes so far: it is the share of what is there that has been found.",
            lists(share_right, share_right)),
    Mistake("the two are exchanged: precision first.", lists(share_found, share_right)),
    Mistake("recall is divided by how many were found in the end; what was never found counts too.",
            lists(share_right, lambda h, k, right, total: h / max(1, sum(right)))),
    Mistake("recall is divided by how many were found in the end; what was never found counts too.",
            lists(share_right, lambda h, k, right, total: h / sum(right))),      # an error where nothing is found; nan in torch
    Mistake("recall is divided by how many were found in the end; what was never found counts too.",
            lists(share_right, lambda h, k, right, total: h / sum(right) if sum(right) else float("nan"))),
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
    Mistake(WITHOUT_ITSELF, lists(lambda h, k, right, total: (h - right[k - 1]) / max(1, k - 1),
                                  lambda h, k, right, total: (h - right[k - 1]) / total)),
    Mistake(WITHOUT_ITSELF, lists(lambda h, k, right, total: (h - right[k - 1]) / k,
                                  lambda h, k, right, total: (h - right[k - 1]) / total)),
    Mistake("there is one value too many, for no box at all: the first is of k = 1.",
            lambda right, total: tuple([0.0, *values] for values in true_lists(right, total))),
    Mistake("the last box is missing: range(1, n) ends at n - 1.",
            lambda right, total: tuple(values[:-1] for values in true_lists(right, total))),
    Mistake("a wrong box has its values too: precision falls, recall stays.", at_hits_only),
    Mistake("precision is of this box alone; it is of all boxes up to it.",
            lists(lambda h, k, right, total: float(right[k - 1]), share_found)),
    Mistake("recall is of this box alone; it is of all boxes up to it.",
            lists(share_right, lambda h, k, right, total: right[k - 1] / total)),
    Mistake("recall counts all boxes; those that are wrong found nothing.",
            lists(share_right, lambda h, k, right, total: min(1, k / total))),
    Mistake("below recall stand the wrong boxes too; it is divided by the objects alone.",
            lists(share_right, lambda h, k, right, total: h / (total + k - h))),
    Mistake("that is the share of the objects still missing; recall is the share found.",
            lists(share_right, lambda h, k, right, total: 1 - h / total)),
    Mistake("wrong boxes are counted; h counts the right ones.",
            lists(lambda h, k, right, total: (k - h) / k, lambda h, k, right, total: (k - h) / total)),
    Mistake("that is the best precision from here on, the next step of AP; here it is h / k as it stands.", best_from_here),
    Mistake("the right boxes are put first; the order is the detector's own.",
            lambda right, total: true_lists(sorted(right, reverse=True), total)),
    Mistake("// leaves whole numbers; shares are wanted, by /.",
            lists(lambda h, k, right, total: h // k, lambda h, k, right, total: h // total)),
    Mistake("these are percentages; shares of 1 are wanted.",
            lists(lambda h, k, right, total: 100 * h / k, lambda h, k, right, total: 100 * h / total)),
    Mistake("these are pairs, one for each box; all precisions come first, then all recalls: zip(*pairs).",
            lambda right, total: list(zip(*true_lists(right, total), strict=True))),
    Mistake("the lists are joined to one; return precision, recall keeps them apart.",
            lambda right, total: [*true_lists(right, total)[0], *true_lists(right, total)[1]]),
    Mistake(ONLY_THE_END, lambda right, total: ([sum(right) / len(right)], [sum(right) / total])),
    Mistake(ONLY_THE_END, lambda right, total: (sum(right) / len(right), sum(right) / total)),
    Mistake("the return stands in the loop: it ends at the first box.",
            lambda right, total: tuple(values[:1] for values in true_lists(right, total))),
])
def precision_recall(report: Report, answer) -> None:
    """(right, total): list of bool, the likeliest box first, and how many there are -> two lists, a value for each box."""
    for right, total in FOUND:
        given = list(right)
        got = report.call(answer, given, total)
        untouched(report, [given], [right])
        said = f"precision_recall({right}, {total})"
        parts = () if isinstance(got, Mapping) else report.call(lambda got=got: list(got), what=f"reading the result of {said}")
        if len(parts) != 2 or any(isinstance(part, str) or plain_number(part) is not None for part in parts):
            report.wrong(f"{said}: two lists were expected, precision and recall, got {shown(got)}")
        two = report.call(lambda parts=parts: [listed(part) for part in parts], what=f"reading the result of {said}")
        wanted = true_lists(right, total)
        for name, ours, theirs in zip(("precision", "recall"), wanted, two, strict=True):
            if len(theirs) != len(right):
                report.wrong(f"{name} of {said}: {len(right)} values were expected, one for each box, got {shown(theirs)}")
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


def asked(x: Tensor, g: Tensor) -> Tensor:
    """What `score` is to be asked: x, and behind it g at its size."""
    return torch.cat([x, enlarged(x, g)], 1)


def gating(gate=torch.sigmoid, ask=asked):
    """(x, g, score) -> x times a gate, from how it is made of the logit and what `score` is asked."""
    return lambda x, g, score: x * gate(score(ask(x, g)))


true_gated_skip = gating()


def at_the_scale_of_g(shrink, **enlarge):
    """The gate of the exercise, from how x is made as small as g, and how the gate is made larger again."""
    def answer(x: Tensor, g: Tensor, score) -> Tensor:
        gate = torch.sigmoid(score(torch.cat([shrink(x, g.shape[2:]), g], 1)))
        return x * F.interpolate(gate, **(enlarge if "scale_factor" in enlarge else {"size": x.shape[2:], **enlarge}))
    return answer


def spread_softmax(z: Tensor) -> Tensor:
    return z.flatten(1).softmax(1).view_as(z)


AT_G = "the gate is still made at the scale of g: neighbours in x share one."


@exercise("A gate at the scale of its skip", [
    Mistake(AT_G, at_the_scale_of_g(F.adaptive_max_pool2d)),
    Mistake(AT_G, at_the_scale_of_g(F.adaptive_avg_pool2d)),
    Mistake(AT_G, at_the_scale_of_g(F.interpolate)),
    Mistake("that is the gate as it was given: what is pooled before `score` cannot be told apart after it.",
            at_the_scale_of_g(F.adaptive_max_pool2d, scale_factor=2)),
    Mistake("the gate is still made at the scale of g; smoothing brings back nothing of what lies within a square.",
            at_the_scale_of_g(F.adaptive_max_pool2d, mode="bilinear")),
    Mistake("scale_factor=2 fits even maps alone; size=x.shape[2:] fits all.",
            gating(ask=lambda x, g: torch.cat([x, F.interpolate(g, scale_factor=2)], 1))),
    Mistake("g gets other sides than x: size=x.shape[2:] is height and width, in this order.",
            gating(ask=lambda x, g: torch.cat([x, F.interpolate(g, size=x.shape[-1])], 1))),
    Mistake("a size is height and width alone: x.shape[2:], not x.shape.",
            gating(ask=lambda x, g: torch.cat([x, F.interpolate(g, size=x.shape)], 1))),
    Mistake("torch.cat joins along dimension 0, the pictures; the channels are dimension 1.",
            gating(ask=lambda x, g: torch.cat([x, enlarged(x, g)]))),
    Mistake("a sum needs as many channels in g as in x; they stand one behind the other: torch.cat([x, g], 1).",
            gating(ask=lambda x, g: x + enlarged(x, g))),
    Mistake("`score` is asked one tensor, x and g joined: torch.cat([x, g], 1).",
            lambda x, g, score: x * torch.sigmoid(score(x, enlarged(x, g)))),
    Mistake("only x is asked; what comes from below has a say too.", gating(ask=lambda x, g: x)),
    Mistake("only g is asked; it does not know what stands at each position of x.", gating(ask=enlarged)),
    Mistake("x and g are exchanged: first the skip, then what comes from below.",
            gating(ask=lambda x, g: torch.cat([enlarged(x, g), x], 1))),
    Mistake("what comes from below is gated; the skip is to be.",
            lambda x, g, score: enlarged(x, g) * torch.sigmoid(score(asked(x, g)))),
    Mistake("what was joined for `score` is gated; the skip alone is to be.",
            lambda x, g, score: asked(x, g) * torch.sigmoid(score(asked(x, g)))),
    Mistake("the sigmoid is missing.", gating(lambda z: z)),
    Mistake("the sigmoid is taken twice, so every gate lies between 0.5 and 0.73.", gating(lambda z: z.sigmoid().sigmoid())),
    Mistake("tanh instead of sigmoid: a gate below zero turns the sign.", gating(torch.tanh)),
    Mistake("the factor 2 belongs to gates that start at 1; here it is the sigmoid alone.", gating(lambda z: 2 * z.sigmoid())),
    Mistake("the gate is turned round: it closes where `score` says open.", gating(lambda z: 1 - z.sigmoid())),
    Mistake("softmax over the positions instead of sigmoid: positions must not compete for a sum of one.",
            gating(spread_softmax)),
    Mistake("softmax over a dimension with one entry is 1 everywhere; a gate is a sigmoid.", gating(lambda z: z.softmax(1))),
    Mistake("the gate is added; it multiplies.", lambda x, g, score: x + torch.sigmoid(score(asked(x, g)))),
    Mistake("the skip is added once more: x + gate * x.", gating(lambda z: 1 + z.sigmoid())),
    Mistake("only the gate comes back; the gated skip is wanted.", lambda x, g, score: torch.sigmoid(score(asked(x, g)))),
    Mistake("g is enlarged by smoothing; mode='nearest' is asked for.", gating(
        ask=lambda x, g: torch.cat([x, F.interpolate(g, size=x.shape[2:], mode="bilinear", align_corners=False)], 1))),
    Mistake("mode='nearest-exact' repeats another value in odd maps; mode='nearest' is asked for.",
            gating(ask=lambda x, g: torch.cat([x, F.interpolate(g, size=x.shape[2:], mode="nearest-exact")], 1))),
    Mistake("the gate is averaged over the positions, so it is one number for the picture.",
            gating(lambda z: z.sigmoid().mean((2, 3), keepdim=True))),
    Mistake("of g only its mean over positions is used; it says where.", gating(
        ask=lambda x, g: torch.cat([x, g.mean((2, 3), keepdim=True).expand(-1, -1, *x.shape[2:])], 1))),
])
def gated_skip(report: Report, answer) -> None:
    """x (N, C, H, W), g (N, D, h, w) half as large (odd sides rounded up), score -> x times a gate at the scale of x."""
    for shape, below in (((2, 3, 8, 8), (2, 4, 4, 4)), ((2, 2, 9, 7), (2, 3, 5, 4)), ((1, 4, 6, 10), (1, 1, 3, 5))):
        x, g = numbers(*shape), numbers(*below, seed=1)
        compare(report, answer, (x, g, score), true_gated_skip(x, g, score), f"a skip of {shape[2]} x {shape[3]}, from below "
                f"{below[2]} x {below[3]}")
