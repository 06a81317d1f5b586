"""Checks of lesson 03, each with the wrong answers that it rejects."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .report import CUT, Mistake, Report, built, compare_module, exercise, integer, numbers, steady


def true_reach(kernel: int, dilation: int, step: int, window: int) -> int:
    """From the first pixel that the gate sees to the last, counted one by one."""
    seen = {at * dilation * step + pixel for at in range(kernel) for pixel in (0, window - 1)}
    return max(seen) - min(seen) + 1


# kernel, dilation, step, window; SmallHost has windows of 3, 7, 15 and steps of 2, 4, 4.
GATES = [(7, 1, 4, 15), (15, 1, 4, 7), (7, 3, 2, 3), (7, 2, 4, 15), (1, 1, 4, 15), (3, 5, 1, 1)]


@exercise("How many pixels a gate sees", [
    Mistake("a kernel of k spans k - 1 steps, not k: the window of its first position is there already.",
            lambda kernel, dilation, step, window: window + kernel * dilation * step),
    Mistake("the dilation is forgotten: it stands between two weights of the kernel.",
            lambda kernel, dilation, step, window: window + (kernel - 1) * step),
    Mistake("the step is forgotten: one place on the map is `step` pixels in the picture.",
            lambda kernel, dilation, step, window: window + (kernel - 1) * dilation),
    Mistake("the window is forgotten: each place of the map sees more than one pixel already.",
            lambda kernel, dilation, step, window: 1 + (kernel - 1) * dilation * step),
    Mistake("the kernel reaches to both sides of its middle; you counted one.",
            lambda kernel, dilation, step, window: window + kernel // 2 * dilation * step),
    Mistake("the windows of neighbours overlap, so they do not add up.",
            lambda kernel, dilation, step, window: window * ((kernel - 1) * dilation + 1)),
    Mistake("window and step do not multiply: the window is in pixels already.",
            lambda kernel, dilation, step, window: step * (window + (kernel - 1) * dilation)),
])
def seen_pixels(report: Report, answer) -> None:
    """(kernel, dilation, step, window) -> pixels of the picture, across."""
    for case in GATES:
        said = "seen_pixels({}, {}, {}, {})".format(*case)
        integer(report, report.call(answer, *case), true_reach(*case), said)


def pair(first: Tensor, second: Tensor) -> Tensor:
    """Two maps (N, H, W) as (N, 2, H, W)."""
    return torch.stack([first, second], 1)


def true_summary(x: Tensor) -> Tensor:
    """Mean and maximum over channels, channel by channel."""
    planes = x.unbind(1)
    return pair(reduce(torch.add, planes) / len(planes), reduce(torch.maximum, planes))


class Wrong(nn.Module):
    """A spatial gate with one thing to override: a family of plausible mistakes."""

    def __init__(self, kernel_size: int):
        super().__init__()
        self.conv = self.layer(kernel_size)

    def layer(self, k: int) -> nn.Module:
        return nn.Conv2d(2, 1, k, padding=k // 2)

    def summary(self, x: Tensor) -> Tensor:
        return pair(x.mean(1), x.amax(1))

    def last(self, s: Tensor) -> Tensor:
        return torch.sigmoid(s)

    def join(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * gate

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.last(self.conv(self.summary(x))))


def wrong(**changes) -> type[Wrong]:
    return type("Wrong", (Wrong,), changes)


def seeing(summary: Callable[[Tensor], Tensor]) -> type[Wrong]:
    return wrong(summary=lambda self, x: summary(x))


def convolving(layer: Callable[[int], nn.Module]) -> type[Wrong]:
    return wrong(layer=lambda self, k: layer(k))


class MadeInForward(Wrong):
    def __init__(self, kernel_size: int):
        nn.Module.__init__(self)
        self.kernel_size = kernel_size

    def forward(self, x: Tensor) -> Tensor:
        self.conv = self.layer(self.kernel_size)
        return super().forward(x)


class OnlyInTraining(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else x


class PerChannel(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        top = x.amax(1)
        return x * torch.cat([torch.sigmoid(self.conv(pair(plane, top))) for plane in x.unbind(1)], 1)


GATE_MISTAKES = {
    "sigmoid": Mistake("the sigmoid at the end is missing.", wrong(last=lambda self, s: s)),
    "softmax": Mistake("softmax over the positions instead of sigmoid: positions must not compete for a sum of one.",
                       wrong(last=lambda self, s: s.flatten(2).softmax(2).view_as(s))),
    "order": Mistake("the two maps are exchanged: first the mean, then the maximum. (The authors' code has the maximum first; "
                     "weights trained in one order do not fit the other.)", seeing(lambda x: pair(x.amax(1), x.mean(1)))),
    "no max": Mistake("the maximum is not used: both maps are the mean.", seeing(lambda x: pair(x.mean(1), x.mean(1)))),
    "no mean": Mistake("the mean is not used: both maps are the maximum.", seeing(lambda x: pair(x.amax(1), x.amax(1)))),
    "sum": Mistake("mean and maximum are added up to one map, and that is used twice: the convolution reads two maps.",
                   seeing(lambda x: pair(x.mean(1) + x.amax(1), x.mean(1) + x.amax(1)))),
    "batch": Mistake("the mean runs over the pictures too: each picture sees the others.",
                     seeing(lambda x: pair(x.mean((0, 1)).expand(len(x), -1, -1), x.amax(1)))),
    "no padding": Mistake("the convolution has no padding: its map is smaller than x. padding=kernel_size // 2 keeps the size.",
                          convolving(lambda k: nn.Conv2d(2, 1, k))),
    "padding 3": Mistake("the padding is 3 whatever the kernel size: it should be kernel_size // 2.",
                         convolving(lambda k: nn.Conv2d(2, 1, k, padding=3))),
    "gate only": Mistake("the gate is returned by itself: multiply x by it.", wrong(join=lambda self, x, gate: gate)),
    "residual": Mistake("the input is added back; here the gate only multiplies.",
                        wrong(join=lambda self, x, gate: x + x * gate)),
    "added": Mistake("the gate is added; a gate multiplies.", wrong(join=lambda self, x, gate: x + gate)),
    "eval": Mistake("in evaluation mode the gate is left out.", OnlyInTraining),
    "detached": Mistake(CUT, wrong(join=lambda self, x, gate: x * gate.detach())),
    "forward": Mistake("layers are made in forward: they are new, and untrained, at every call. Make them in __init__.",
                       MadeInForward),
    "channels": Mistake("the gate differs from channel to channel; it is one map, from mean and maximum, for all of them.",
                        PerChannel),
    "no bias": Mistake("the convolution has no bias.", convolving(lambda k: nn.Conv2d(2, 1, k, padding=k // 2, bias=False))),
    "7x7": Mistake("the kernel is 7x7 whatever kernel_size says.", convolving(lambda k: nn.Conv2d(2, 1, 7, padding=3))),
    "norm": Mistake("there is a batch norm; it is the authors' code that has one, not the formula.",
                    convolving(lambda k: nn.Sequential(nn.Conv2d(2, 1, k, padding=k // 2), nn.BatchNorm2d(1)))),
}


def weights_of(report: Report, module: nn.Module, before: list[nn.Parameter], k: int) -> tuple[nn.Parameter, nn.Parameter]:
    """The learner's weight and bias, told apart by their shapes, or feedback."""
    after = list(module.parameters())
    if len(before) != len(after) or any(a is not b for a, b in zip(before, after, strict=True)) or not after:
        report.wrong("parameters: " + ("none" if not after else "others than before the call"), GATE_MISTAKES["forward"].cause)
    shapes = [tuple(p.shape) for p in after]
    if sorted(shapes) != [(1,), (1, 2, k, k)]:
        causes = {((1, 2, k, k),): "no bias", ((1,), (1, 2, 7, 7)): "7x7", ((1,), (1,), (1,), (1, 2, k, k)): "norm",
                  ((1,), (1,), (1, 2, k, k)): "norm"}
        name = causes.get(tuple(sorted(shapes)))
        report.wrong(f"parameters of shapes {shapes} with kernel_size={k}; expected one convolution, {(1, 2, k, k)} and {(1,)}",
                     GATE_MISTAKES[name].cause if name else "")
    bias, weight = sorted(after, key=lambda p: p.ndim)
    return weight, bias


def with_weights(module: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(weight if p.ndim == 4 else bias)
    return module


@exercise("Your spatial gate", list(GATE_MISTAKES.values()))
def spatial_gate(report: Report, answer) -> None:
    """A class (kernel_size) -> module that equals sigmoid(conv(mean, max)) * x with the same weights."""
    if not isinstance(answer, type):
        report.wrong(f"the class itself was expected, got {type(answer).__name__}: pass its name without brackets")
    # A map as large as the kernel, and a map of one position: there a gate of the wrong size still multiplies.
    for k, shape in [(7, (3, 4, 7, 7)), (3, (2, 5, 1, 1)), (3, (2, 4, 5, 6)), (5, (2, 1, 3, 7)), (1, (1, 3, 6, 2))]:
        module, x = built(report, answer, k), numbers(*shape)
        before = list(module.parameters())
        report.call(module, x.clone(), what="forward")
        weight, bias = weights_of(report, module, before, k)
        with_weights(module, 0.2 * numbers(1, 2, k, k, seed=1), torch.tensor([0.5]))      # whatever they started at

        def wanted(x: Tensor, weight=weight, bias=bias, k=k) -> Tensor:
            gate = torch.sigmoid(F.conv2d(true_summary(x), weight, bias, padding=k // 2)).detach()
            return torch.stack([plane * gate[:, 0] for plane in x.unbind(1)], 1)
        if shape == (3, 4, 7, 7):
            symptoms(report, module, x)
        compare_module(report, module, x, wanted, f"a {shape} map with kernel_size={k}")


def symptoms(report: Report, module: nn.Module, x: Tensor) -> None:
    """What can be seen from outside, also where several faults are in it, of which none alone gives these numbers."""
    report.tensor(report.call(module, x.clone(), what="forward"), tuple(x.shape), "forward")
    y = steady(report, module, x, GATE_MISTAKES["forward"].cause)
    report.seen.append(y)      # two mistakes may show the same symptom
    if torch.allclose((y / x)[:, 0].sum((1, 2)), torch.ones(len(x)), rtol=1e-3):
        report.wrong("the gates of a picture add up to 1", guess=GATE_MISTAKES["softmax"].cause)
    strong = x + torch.tensor([9.0, -9.0, 0.0, 0.0])[:, None, None]      # the same mean, another maximum
    again = report.call(module, strong.clone(), what="forward").detach()
    if torch.allclose((again / strong)[:, 2], (y / x)[:, 2], rtol=1e-3, atol=1e-5):
        report.wrong("a strong channel changes nothing where the mean over channels stays the same",
                     guess=GATE_MISTAKES["no max"].cause)
