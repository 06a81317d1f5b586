"""Checks of lesson 08: where attention goes in a block. Each comes with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor

from .report import IN_PLACE, Mistake, Report, close_number, compare, exercise, numbers

INNER, POST = 2 * 64 ** 2 // 16, 2 * 256 ** 2 // 16


@exercise("Weights at inner and at post", [
    Mistake("that is the ratio of the channels; the weights of SE grow with the square of them.", 4),
    Mistake("that is the ratio to the fourth power, or the channels at post; the weights grow with the square.", 256),
    Mistake("that is the ratio to the third power, or the channels at inner; the weights grow with the square.", 64),
    Mistake("that is the root of the ratio of the channels; the weights grow with the square.", 2),
    Mistake("the 2 in 2 C^2 / r stands in both numbers, so it cancels.", 8),
    Mistake("that is inner divided by post; asked is post divided by inner.", 1 / 16),
    Mistake("that is what post has more than inner, divided by inner; asked is post divided by inner.", 15),
    Mistake("that is the number of weights at post; divide it by the number at inner.", POST),
    Mistake("that is the number of weights at inner; divide the number at post by it.", INNER),
    Mistake("that is a difference of weights; asked is post divided by inner.", POST - INNER),
    Mistake("the biases are counted too; asked are the weights alone.", (POST + 16 + 256) / (INNER + 4 + 64)),
])
def socket_ratio(report: Report, answer: float) -> None:
    """2 C^2 / r weights with C = 256 at post and 64 at inner: (256 / 64) squared."""
    close_number(report, answer, 16, "weights at post divided by weights at inner", 0.01)


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


BLOCKS = {
    "pre": lambda x, branch, a: relu(x + branch(a(x))),
    "post": lambda x, branch, a: relu(x + a(branch(x))),
    "after_add": lambda x, branch, a: a(relu(x + branch(x))),
    "identity": lambda x, branch, a: relu(a(x) + branch(x)),
    "both": lambda x, branch, a: relu(x + a(branch(a(x)))),
}


def like_block(**wrong):
    """A block with the attention in the wrong place at some of the sockets."""
    return lambda x, branch, attention, at: (BLOCKS | wrong)[at](x, branch, attention)


def all_blocks(skip=lambda x: x, inside=lambda y: y, last=relu):
    """A block with the same thing wrong at all sockets."""
    def block(x: Tensor, branch, a, at: str) -> Tensor:
        y = branch(a(x) if at in ("pre", "both") else x)
        y = last(skip(a(x) if at == "identity" else x) + inside(a(y) if at in ("post", "both") else y))
        return a(y) if at == "after_add" else y
    return block


def mixing(x: Tensor) -> Tensor:
    """A branch: neighbours count, and it is not linear."""
    return torch.tanh(x.roll((1, 1), (1, 3))) - 0.1 * x.flip(2)


def shifting(x: Tensor) -> Tensor:
    """Attention that takes something away as well: a gate of fixed numbers gives the same before a ReLU and after it."""
    return 1.5 * x * x.mean((2, 3), keepdim=True).sigmoid() - 0.3


def empty(x: Tensor) -> Tensor:
    """What is in a socket where nothing was plugged in: it hands on x itself, and who writes into that writes into x."""
    return x


def written_into(x: Tensor, branch, a, at: str) -> Tensor:
    """A block that adds the branch into what the attention on the skip gave."""
    return a(x).add_(branch(x)).clamp(min=0) if at == "identity" else BLOCKS[at](x, branch, a)


@exercise("A block with sockets", [
    Mistake("pre: the skip gets the attention too. Only the branch should read attention(x); the skip adds x itself.",
            like_block(pre=lambda x, branch, a: relu(a(x) + branch(a(x))),
                       both=lambda x, branch, a: relu(a(x) + a(branch(a(x)))))),
    Mistake("pre and post are exchanged: pre is before the branch, post at its end.",
            like_block(pre=BLOCKS["post"], post=BLOCKS["pre"])),
    Mistake("the ReLU at the end is missing.", all_blocks(last=lambda y: y)),
    Mistake("the ReLU is applied to the branch; it belongs after the addition.", all_blocks(inside=relu, last=lambda y: y)),
    Mistake("the skip is missing: the block adds x to what the branch gives.", all_blocks(skip=torch.zeros_like)),
    Mistake("post: the attention reads the sum; at post it ends the branch, before the addition.",
            like_block(post=lambda x, branch, a: relu(a(x + branch(x))))),
    Mistake("post is the same as after_add; at post the attention ends the branch, before the addition.",
            like_block(post=BLOCKS["after_add"])),
    Mistake("after_add: the attention is before the ReLU; it belongs after it, at the very end of the block.",
            like_block(after_add=lambda x, branch, a: relu(a(x + branch(x))))),
    Mistake("after_add: the attention is at the end of the branch; it belongs after the addition and the ReLU.",
            like_block(after_add=BLOCKS["post"])),
    Mistake("identity: the attention is on the branch; it belongs on the skip, and the branch is left alone.",
            like_block(identity=BLOCKS["post"])),
    Mistake("identity: the branch gets the attention too; only the skip should.",
            like_block(identity=lambda x, branch, a: relu(a(x) + branch(a(x))))),
    Mistake("identity: the attention is left out; it belongs on the skip.",
            like_block(identity=lambda x, branch, a: relu(x + branch(x)))),
    Mistake("both: the attention comes twice after the branch; it should come once before it and once after it.",
            like_block(both=lambda x, branch, a: relu(x + a(a(branch(x)))))),
    Mistake("both: the attention comes twice before the branch; it should come once before it and once after it.",
            like_block(both=lambda x, branch, a: relu(x + branch(a(a(x)))))),
    Mistake("both: only the attention before the branch is there.", like_block(both=BLOCKS["pre"])),
    Mistake("both: only the attention after the branch is there.", like_block(both=BLOCKS["post"])),
    Mistake(IN_PLACE, written_into),
])
def block_sockets(report: Report, answer) -> None:
    """(x, branch, attention, at) -> the block relu(x + branch(x)) with attention at one socket."""
    x = numbers(2, 3, 4, 5)
    for at, block in BLOCKS.items():
        compare(report, answer, (x, mixing, shifting, at), block(x, mixing, shifting), f"at={at!r}")
    for at, block in BLOCKS.items():
        compare(report, answer, (x, mixing, empty, at), block(x, mixing, empty), f"at={at!r}, with an empty socket")
