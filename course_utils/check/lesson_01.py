"""Checks of lesson 01, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch

from .report import Mistake, Report, close_number, compare, exercise, integer, numbers, untouched


@exercise("Three layers", [
    Mistake("kernels do not add up whole: a second 3x3 layer adds one pixel on each side, so 2, not 3.", 9),
    Mistake("windows do not multiply; each further layer adds kernel - 1.", 27),
    Mistake("that is the window of one layer.", 3),
    Mistake("that is the window of two layers.", 5),
    Mistake("that is what the layers add; the pixel in the middle counts too.", 6),
])
def three_layers(report: Report, answer: int) -> None:
    """Three 3x3 convolutions, stride 1: 1 + 2 + 2 + 2."""
    close_number(report, answer, 7, "pixels across")


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


STACKS = [[(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(3, 2), (3, 2), (3, 1), (1, 1)], [(7, 2), (3, 2), (5, 3), (3, 1)]]


@exercise("The window of any stack", [
    Mistake("strides are ignored: after a stride of 2, one step on the map is two pixels in the picture.", no_stride),
    Mistake("a layer's own stride counts only for the layers after it: add to the size first, then multiply the step.",
            own_stride),
    Mistake("windows do not multiply; each layer adds (kernel - 1) steps.", product),
    Mistake("strides multiply from layer to layer; you kept only the one of the layer before.", last_stride),
    Mistake("off by one: an empty stack sees one pixel, so start at 1.", lambda layers: true_window(layers) - 1),
    Mistake("each layer adds kernel - 1, not kernel.",
            lambda layers: 1 + sum(k * s for (k, _), s in zip(layers, _steps(layers), strict=True))),
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
    Mistake("averaged over the pictures; one score for each is wanted.",
            lambda maps, mask: ((maps * mask).sum((1, 2)) / maps.sum((1, 2))).mean().expand(len(maps))),
])
def hit_share(report: Report, answer) -> None:
    """maps (N, H, W) not negative, mask (N, H, W) bool -> (N,), the share of each map that lies in its mask."""
    for n, h, w in [(3, 4, 6), (1, 5, 3)]:
        maps, mask = numbers(n, h, w).abs() + 0.1, numbers(n, h, w, seed=1) > 0.3
        wanted = torch.tensor([sum(maps[i][mask[i]]).item() / maps[i].sum().item() for i in range(n)])
        compare(report, answer, (maps, mask), wanted, f"{n} maps of {h}x{w}", gradient=False)
