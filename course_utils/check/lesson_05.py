"""Checks of lesson 05, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor

from .report import Mistake, Report, close_number, compare, exercise, numbers


@exercise("The largest map", [
    Mistake("a factor of 64 is missing: 16 pictures with 4 heads each, or 16 pictures and 4 bytes.", 211),
    Mistake("nothing was counted but the weights: there are 16 pictures, 4 heads and 4 bytes for each.", 299),
    Mistake("that is the number of places, 74 times 74; asked is the side of the square.", 5476),
    Mistake("a factor of 4 is missing: there are 4 heads, each with a map of its own, and a float32 takes 4 bytes.", 105),
    Mistake("a factor of 16 is missing: the pictures of the batch, or 4 heads of 4 bytes.", 149),
    Mistake("that is rounded up: it needs a little more than 8 GB.", 75),
    Mistake("a map has a whole number of places along its side: round down.", 74.767),
    Mistake("that is the number of places; asked is the side of the square.", 5590),
    Mistake("8 bytes are a float64; a float32 takes 4.", 62),
    Mistake("2 bytes are half precision; a float32 takes 4.", 88),
    Mistake("every place has a weight for *every* place: the side counts in its fourth power.", 5590 ** 2),
])
def largest_map(report: Report, answer: int) -> None:
    """side^4 weights of 4 bytes, for 4 heads and 16 pictures, in 8e9 bytes."""
    close_number(report, answer, 74, "places along each side", 1e-6, reach=0.05)


def unseen(scores: Tensor, inside: Tensor) -> Tensor:
    """No share for the places outside: inside (N, M)."""
    return scores.masked_fill(~inside[:, None], float("-inf"))


def shared(scores: Tensor, inside: Tensor) -> Tensor:
    """The fault: the zeros outside take part."""
    return scores


def like_attend(scale=lambda q: q.shape[-1] ** -0.5, dim=2, swap=False, hide=unseen):
    """Attention with one thing to get wrong."""
    def attend(q: Tensor, k: Tensor, v: Tensor, inside: Tensor) -> Tensor:
        scores = hide(scale(q) * (k @ q.mT if swap else q @ k.mT), inside)
        return (scores if dim is None else scores.softmax(dim)) @ v
    return attend


def true_attend(q: Tensor, k: Tensor, v: Tensor, inside: Tensor) -> Tensor:
    y = torch.zeros_like(q)
    for n in range(q.shape[0]):
        seen = [j for j in range(k.shape[1]) if inside[n, j]]
        for i in range(q.shape[1]):
            weights = [torch.exp((q[n, i] * k[n, j]).sum() / q.shape[2] ** 0.5) for j in seen]
            y[n, i] = sum(w * v[n, j] for j, w in zip(seen, weights, strict=True)) / sum(weights)
    return y


def inverted(q: Tensor) -> float:
    return q.shape[-1] ** 0.5


OUTSIDE = ("the places outside still take their share: a score of 0 is no small one, since exp(0) is 1. Give them minus infinity "
           "before the softmax; zero behind it comes too late.")


@exercise("Self-attention, repaired", [
    Mistake("all three faults are still there.", like_attend(inverted, dim=0, hide=shared)),
    Mistake(OUTSIDE, like_attend(hide=shared)),
    Mistake("two faults are left: the root, and the places outside.", like_attend(inverted, hide=shared)),
    Mistake("two faults are left: the axis of the softmax, and the places outside.", like_attend(dim=0, hide=shared)),
    Mistake("two faults are left: the root, and the axis of the softmax.", like_attend(inverted, dim=0)),
    Mistake("the places inside are hidden, and those outside seen: `inside` is True where a place counts.",
            like_attend(hide=lambda scores, inside: unseen(scores, ~inside))),
    Mistake("`inside` hides queries; it says which keys there are: (N, M), the last dimension of the scores.",
            like_attend(hide=lambda scores, inside: scores.masked_fill(~inside[:, :scores.shape[1], None], float("-inf")))),
    Mistake("the products are not divided by the square root of d.", like_attend(lambda q: 1.0)),
    Mistake("the products are divided by d; it should be the square root of d.", like_attend(lambda q: 1 / q.shape[-1])),
    Mistake("the products are multiplied by the square root of d; divide by it.", like_attend(inverted)),
    Mistake("the root is taken of the number of queries L; it should be d, the width of a query.",
            like_attend(lambda q: q.shape[1] ** -0.5)),
    Mistake("the softmax runs over the queries (dim 1); each query's weights over the keys (dim 2) should sum to one.",
            like_attend(dim=1)),
    Mistake("the softmax runs over the pictures of the batch (dim 0).", like_attend(dim=0)),
    Mistake("the softmax is missing.", like_attend(dim=None, hide=lambda scores, inside: scores * inside[:, None])),
    Mistake("queries and keys are exchanged.", like_attend(swap=True)),
    Mistake("that is the weights; the values are not collected yet.",
            lambda q, k, v, inside: unseen(q @ k.mT * q.shape[-1] ** -0.5, inside).softmax(2)),
    Mistake("the weights collect the keys; they should collect the values.",
            lambda q, k, v, inside: like_attend()(q, k, k, inside)),
    Mistake("the queries are added back; here the weights alone decide.",
            lambda q, k, v, inside: q + like_attend()(q, k, v, inside)),
    Mistake("the softmax runs over the queries (dim 1), and the places outside still take their share.",
            like_attend(dim=1, hide=shared)),
    Mistake("the root belongs to the products, before the softmax; behind it the weights no longer sum to one.",
            lambda q, k, v, inside: like_attend(lambda q: 1.0)(q, k, v, inside) / q.shape[-1] ** 0.5),
    Mistake("the weights are transposed: row i holds what query i takes.",
            lambda q, k, v, inside: unseen(q @ k.mT * q.shape[-1] ** -0.5, inside).softmax(2).mT @ v),
])
def attend(report: Report, answer) -> None:
    """q (N, L, d); k, v (N, M, d), zero where inside (N, M) is False -> (N, L, d)."""
    # M equals L, L equals d, N equals L: a wrong axis has a valid shape. In the second case nothing lies outside.
    for n, length, many, d, last in [(2, 5, 5, 3, 3), (3, 4, 4, 4, 4), (2, 2, 6, 6, 4), (3, 3, 3, 2, 2), (1, 1, 3, 3, 2)]:
        q, k, v = (numbers(n, size, d, seed=seed) for seed, size in enumerate((length, many, many)))
        inside = torch.stack([torch.arange(many).roll(picture) < last for picture in range(n)])      # (N, M)
        k, v = k * inside[..., None], v * inside[..., None]
        compare(report, answer, (q, k, v, inside), true_attend(q, k, v, inside),
                f"{n} pictures, {length} queries, {many} keys, {last} of them inside")


def like_double(gather=lambda b: b.softmax(2), distribute=lambda v: v.softmax(1), join=lambda a, y: y):
    """Double attention with one thing to get wrong."""
    return lambda a, b, v: join(a, a @ gather(b).mT @ distribute(v))


def true_double(a: Tensor, b: Tensor, v: Tensor) -> Tensor:
    y = torch.zeros_like(a)
    b, v = b.exp(), v.exp()
    for n in range(a.shape[0]):
        bags = [sum(a[n, :, i] * b[n, k, i] for i in range(a.shape[2])) / b[n, k].sum() for k in range(b.shape[1])]
        for i in range(a.shape[2]):
            y[n, :, i] = sum(bag * v[n, k, i] for k, bag in enumerate(bags)) / v[n, :, i].sum()
    return y


@exercise("Double attention", [
    Mistake("both softmaxes run over the positions; each position takes its share of the bags (softmax of v over dim 1).",
            like_double(distribute=lambda v: v.softmax(2))),
    Mistake("both softmaxes run over the bags; each bag collects over the positions (softmax of b over dim 2).",
            like_double(gather=lambda b: b.softmax(1))),
    Mistake("the two softmaxes are exchanged: b runs over the positions (dim 2), v over the bags (dim 1).",
            like_double(lambda b: b.softmax(1), lambda v: v.softmax(2))),
    Mistake("the softmax runs over the pictures of the batch (dim 0).",
            like_double(lambda b: b.softmax(0), lambda v: v.softmax(0))),
    Mistake("b has no softmax: how much a bag holds would depend on the size of the map.", like_double(gather=lambda b: b)),
    Mistake("v has no softmax: the shares of a position should sum to one.", like_double(distribute=lambda v: v)),
    Mistake("b and v have changed places: b gathers, v distributes.", lambda a, b, v: like_double()(a, v, b)),
    Mistake("the features are added back; that is done outside this function.", like_double(join=lambda a, y: a + y)),
    Mistake("that is the contents of the bags; they are not handed out to the positions yet.",
            lambda a, b, v: a @ b.softmax(2).mT),
    Mistake("each bag has its features divided by the number of positions; the weights sum to one already.",
            like_double(gather=lambda b: b.softmax(2) / b.shape[2])),
    Mistake("both softmaxes are missing.", like_double(lambda b: b, lambda v: v)),
    Mistake("the softmax of b runs over the pictures of the batch (dim 0).", like_double(gather=lambda b: b.softmax(0))),
    Mistake("the softmax of v runs over the pictures of the batch (dim 0).", like_double(distribute=lambda v: v.softmax(0))),
])
def double_attention(report: Report, answer) -> None:
    """a (N, m, L), b (N, n, L), v (N, n, L) -> (N, m, L)."""
    for n, m, bags, length in [(2, 3, 4, 5), (3, 4, 4, 4), (2, 5, 2, 2), (1, 2, 1, 3)]:      # second: any axis has a valid shape
        a, b, v = numbers(n, m, length), numbers(n, bags, length, seed=1), numbers(n, bags, length, seed=2)
        compare(report, answer, (a, b, v), true_double(a, b, v), f"{m} features, {bags} bags, {length} positions")
