"""Checks of lesson 03, each with the wrong answers that it rejects."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .report import Mistake, Report, built, close_number, compare, exercise, numbers


@exercise("Parameters of a spatial gate", [
    Mistake("the bias is missing: one number for the one map that comes out.", 98),
    Mistake("the convolution reads two maps, the mean and the maximum: 49 weights for each of them.", 50),
    Mistake("that is one kernel, and no bias; the convolution reads two maps, the mean and the maximum.", 49),
    Mistake("there is one bias, for the map that comes out, and no batch norm. (The authors' code has a batch norm, with two "
            "numbers, and then no bias.)", 100),
    Mistake("there is no batch norm here; it would add two numbers.", 101),
    Mistake("that is a convolution over all 64 channels; mean and maximum leave two maps, however many channels there are.",
            49 * 64 + 1),
    Mistake("that is a gate for each of 64 channels; a spatial gate is one map for all of them.", (2 * 49 + 1) * 64),
    Mistake("a 7x7 kernel has 49 weights, not 7.", 15),
])
def spatial_parameters(report: Report, answer: int) -> None:
    """CBAM's spatial gate with a 7x7 kernel and a bias: 2 * 49 + 1."""
    close_number(report, answer, 99, "parameters")


def pair(first: Tensor, second: Tensor) -> Tensor:
    """Two maps (N, H, W) as (N, 2, H, W)."""
    return torch.stack([first, second], 1)


def true_summary(x: Tensor) -> Tensor:
    """Mean and maximum over channels, channel by channel."""
    planes = x.unbind(1)
    return pair(reduce(torch.add, planes) / len(planes), reduce(torch.maximum, planes))


@exercise("Mean and maximum over channels", [
    Mistake("the order is exchanged: the mean comes first, then the maximum.", lambda x: pair(x.amax(1), x.mean(1))),
    Mistake("both maps are the mean; the second should be the maximum over channels.", lambda x: pair(x.mean(1), x.mean(1))),
    Mistake("the sum over channels instead of the mean: divide by C.", lambda x: pair(x.sum(1), x.amax(1))),
    Mistake("the smallest value instead of the largest.", lambda x: pair(x.mean(1), x.amin(1))),
    Mistake("mean and maximum run over the positions (dims 2 and 3); here they run over the channels (dim 1).",
            lambda x: pair(x.mean((2, 3)), x.amax((2, 3)))),
    Mistake("mean and maximum run over the rows (dim 2); the channels are dim 1.", lambda x: pair(x.mean(2), x.amax(2))),
    Mistake("mean and maximum run over the pictures too, so each picture sees the others.",
            lambda x: pair(x.mean((0, 1)).expand(len(x), -1, -1), x.amax((0, 1)).expand(len(x), -1, -1))),
    Mistake("the second map is the largest of absolute values; the maximum keeps the sign.",
            lambda x: pair(x.mean(1), x.abs().amax(1))),
    Mistake("keepdim=True and torch.stack add a dimension each: take one of them, or torch.cat in place of stack.",
            lambda x: pair(x.mean(1, keepdim=True), x.amax(1, keepdim=True))),
    Mistake("the two maps are put together along the pictures (dim 0); they belong in dim 1.",
            lambda x: torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)])),
])
def channel_summary(report: Report, answer) -> None:
    """x (N, C, H, W) -> (N, 2, H, W)."""
    for shape in [(3, 4, 4, 5), (2, 5, 3, 4), (2, 3, 3, 3), (1, 1, 4, 2)]:      # first C equals H: a wrong axis has a valid shape
        x = numbers(*shape)
        compare(report, answer, (x,), true_summary(x), f"a {shape} map")


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
    "detached": Mistake("the gate is cut off from the gradient (detach, item, numpy or no_grad).",
                        wrong(join=lambda self, x, gate: x * gate.detach())),
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
        gate = torch.sigmoid(F.conv2d(true_summary(x), weight, bias, padding=k // 2)).detach()
        compare(report, module, (x,), torch.stack([plane * gate[:, 0] for plane in x.unbind(1)], 1),
                f"a {shape} map with kernel_size={k}",
                lambda w, k=k, x=x, weight=weight, bias=bias: with_weights(w(k), weight, bias)(x))
    module.zero_grad()
    if (y := module(x)).requires_grad:
        y.square().sum().backward()
    if weight.grad is None or bias.grad is None:
        report.wrong("no gradient arrives at your convolution", GATE_MISTAKES["detached"].cause)
    report.right("a gradient arrives at weight and bias")
