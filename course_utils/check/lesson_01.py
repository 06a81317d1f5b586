"""Checks of lesson 01, each with the wrong answers that it rejects."""

from __future__ import annotations

from typing import Any

import torch

from .report import Mistake, Report, compare, exercise, integer, numbers, untouched


def true_window(layers) -> int:
    size = step = 1
    for kernel, stride in layers:
        size, step = size + (kernel - 1) * step, step * stride
    return size


def no_stride(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def own_stride(layers):
    size = step = 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    return size


def product(layers):
    size = 1
    for kernel, _ in layers:
        size *= kernel
    return size


def last_stride(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        size, step = size + (kernel - 1) * step, stride
    return size


def both_sides(layers):
    size = step = 1
    for kernel, stride in layers:
        size, step = size + 2 * (kernel // 2) * step, step * stride
    return size


def from_three(layers):
    size = step = 1
    for kernel, stride in layers:
        size, step = size + (2 if kernel > 1 else 0) * step, step * stride
    return size


# Kernels of even size too, as in a pooling of 2x2 or a patch of 4x4; 1x1 with a stride; strides that are not all alike.
STACKS = [[(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(2, 2), (3, 1)], [(3, 2), (3, 2), (3, 1), (1, 1)],
          [(3, 1), (2, 2), (3, 1), (2, 2), (3, 1)], [(4, 4), (2, 2), (7, 1)], [(1, 2), (3, 1)], [(7, 2), (3, 2), (5, 3), (3, 1)]]


@exercise("The window of any stack", [
    Mistake("strides are ignored: after a stride of 2, one step on the map is two pixels in the picture.", no_stride),
    Mistake("a layer's own stride counts only for the layers after it: add to the size first, then multiply the step.",
            own_stride),
    Mistake("windows do not multiply; each layer adds (kernel - 1) steps.", product),
    Mistake("strides multiply from layer to layer; you kept only the one of the layer before.", last_stride),
    Mistake("off by one: an empty stack sees one pixel, so start at 1.", lambda layers: true_window(layers) - 1),
    Mistake("each layer adds kernel - 1, not kernel.",
            lambda layers: 1 + sum(k * s for (k, _), s in zip(layers, _steps(layers), strict=True))),
    Mistake("a kernel of even size is not symmetric: it adds kernel - 1 too, not twice kernel // 2.", both_sides),
    Mistake("not every kernel is 3x3: each layer adds kernel - 1 steps, not 2.", from_three),
    Mistake("kernels do not add up whole: neighbouring windows overlap, and each layer adds kernel - 1.",
            lambda layers: sum(kernel for kernel, _ in layers)),
    Mistake("a layer is spread by the strides of all layers before it, multiplied; its own stride is not among them.",
            lambda layers: 1 + sum((kernel - 1) * stride for kernel, stride in layers)),
    Mistake("only the first layer counts: is the return inside of the loop?", lambda layers: layers[0][0]),
    Mistake("a layer is (kernel, stride), in this order; here they are taken the other way round.",
            lambda layers: true_window([(stride, kernel) for kernel, stride in layers])),
    Mistake("the layers are taken from the last to the first: a layer's step comes from the strides of those before it.",
            lambda layers: true_window(layers[::-1])),
    Mistake("with size and step 0 at the start nothing grows: both begin at 1.", lambda layers: 0),
])
def window_of(report: Report, answer) -> None:
    """[(kernel, stride), ...] -> pixels across, Araujo et al. 2019, eq. 2."""
    for layers in STACKS:
        given = list(layers)
        got = report.call(answer, given)
        untouched(report, [given], [layers])
        integer(report, got, true_window(layers), f"window_of({layers})")


def _steps(layers):
    step = 1
    for _, stride in layers:
        yield step
        step *= stride


@exercise("A score for looking", [
    Mistake("not divided by the total of each map: twice as bright a map must not score twice as much.",
            lambda maps, mask: (maps * mask).sum((1, 2))),
    Mistake("divided by the size of the mask: that is the mean brightness inside, not a share.",
            lambda maps, mask: (maps * mask).sum((1, 2)) / mask.sum((1, 2))),
    Mistake("divided by the total of the whole batch: each picture has its own total.",
            lambda maps, mask: (maps * mask).sum((1, 2)) / maps.sum()),
    Mistake("that is the share of the picture that the mask covers; the map does not enter.",
            lambda maps, mask: mask.float().mean((1, 2))),
    Mistake("that is the share outside the mask.", lambda maps, mask: (maps * ~mask).sum((1, 2)) / maps.sum((1, 2))),
    Mistake("averaged over all positions: divide by the total of the map, not by the number of its positions.",
            lambda maps, mask: (maps * mask).mean((1, 2))),
    Mistake("averaged over the pictures; one score for each is wanted.",
            lambda maps, mask: ((maps * mask).sum((1, 2)) / maps.sum((1, 2))).mean().expand(len(maps))),
    Mistake("maps[mask] does not tell any more which picture a value is from: multiply by the mask, then sum each picture.",
            lambda maps, mask: maps[mask].sum() / maps.sum((1, 2))),
    Mistake("divided by the largest value: a share is a part of the total.",
            lambda maps, mask: (maps * mask).sum((1, 2)) / maps.amax((1, 2))),
    Mistake("inside divided by outside: a share is inside divided by all.",
            lambda maps, mask: (maps * mask).sum((1, 2)) / (maps * ~mask).sum((1, 2))),
])
def hit_share(report: Report, answer) -> None:
    """maps (N, H, W) not negative, mask (N, H, W) bool -> (N,), the share of each map that lies in its mask."""
    for n, h, w in [(3, 4, 6), (1, 5, 3)]:
        maps, mask = numbers(n, h, w).abs() + 0.1, numbers(n, h, w, seed=1) > 0.3
        wanted = torch.tensor([sum(maps[i][mask[i]]).item() / maps[i].sum().item() for i in range(n)])
        compare(report, answer, (maps, mask), wanted, f"{n} maps of {h}x{w}", gradient=False)


# The changes of the exercise that leave a sum of votes, and those that do not, each with the reason.
STILL_VOTES = {
    "A": "A: a linear layer behind a linear layer is one linear layer. The answer is still a sum of votes.",
    "B": "B: a sum is an average without a division, and the norm behind it takes that back. Still a sum of votes.",
    "C": "C: deeper votes are votes: a 1x1 convolution sees no further, so each window still speaks for itself.",
    "F": "F: the mean of two sums of votes is a sum of votes.",
}
COMPARES = {
    "D": "D: a maximum is no sum. It says \"there is a 0\" and \"there is a 1\", and only where the digits differ both are true.",
    "E": "E: the mean comes from the whole picture and multiplies every place: a product of votes, not a sum.",
}
RIGHT = frozenset(COMPARES)


@exercise("Which of them can compare?", [
    *(Mistake(cause, RIGHT | {letter}) for letter, cause in STILL_VOTES.items()),
    *(Mistake(cause, RIGHT - {letter}) for letter, cause in COMPARES.items()),
])
def can_compare(report: Report, answer: Any) -> None:
    """Letters A to F: those of the changed networks that are no sum of votes any more."""
    if isinstance(answer, dict) or not isinstance(answer, str | set | frozenset | list | tuple):
        report.wrong(f'letters were expected, such as {{"A", "B"}}, got {type(answer).__name__}')
    words = answer.replace(",", " ").replace(" and ", " ").split() if isinstance(answer, str) else list(answer)
    letters = {str(letter).strip().upper() for word in words for letter in (word if isinstance(answer, str) else [word])}
    if strange := sorted(letters - STILL_VOTES.keys() - COMPARES.keys()):
        report.wrong(f"{strange[0]!r} is none of the letters A to F")
    said = len(letters ^ RIGHT)
    for letter, cause in {**STILL_VOTES, **COMPARES}.items():
        if letter in letters ^ RIGHT:
            report.wrong(f"{6 - said} of 6 letters are where they belong", cause)
    report.right("all six are where they belong")
