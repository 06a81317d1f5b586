"""Checks of lesson 02, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..attention import SE
from .report import CUT, Mistake, Report, built, compare_module, exercise, noise_in, numbers, steady


class Wrong(nn.Module):
    """SE with one thing to override: a family of plausible mistakes."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze, self.excite = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def pool(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def middle(self, h: Tensor) -> Tensor:
        return torch.relu(h)

    def last(self, s: Tensor) -> Tensor:
        return torch.sigmoid(s)

    def join(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * gate[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.last(self.excite(self.middle(self.squeeze(self.pool(x))))))


def wrong(**changes) -> type[Wrong]:
    return type("Wrong", (Wrong,), changes)


class MadeInForward(Wrong):
    def __init__(self, channels: int, reduction: int = 16):
        nn.Module.__init__(self)
        self.channels, self.hidden = channels, max(1, channels // reduction)

    def forward(self, x: Tensor) -> Tensor:
        self.__dict__["squeeze"], self.__dict__["excite"] = nn.Linear(self.channels, self.hidden), nn.Linear(
            self.hidden, self.channels)
        return super().forward(x)


class NoReduction(Wrong):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__(channels, 1)


class HiddenIsReduction(Wrong):
    def __init__(self, channels: int, reduction: int = 16):
        nn.Module.__init__(self)
        self.squeeze, self.excite = nn.Linear(channels, reduction), nn.Linear(reduction, channels)


class OneMore(Wrong):
    """A hidden width of another rule than max(1, channels // reduction)."""

    def __init__(self, channels: int, reduction: int = 16):
        nn.Module.__init__(self)
        hidden = channels // reduction + 1
        self.squeeze, self.excite = nn.Linear(channels, hidden), nn.Linear(hidden, channels)


class NoBias(Wrong):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__(channels, reduction)
        self.squeeze.register_parameter("bias", None)
        self.excite.register_parameter("bias", None)


class NoMinimum(Wrong):
    """With fewer channels than reduction no hidden unit: what is left of the gate is the bias of the second layer."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__(channels, reduction)
        if channels < reduction:
            del self.squeeze, self.excite
            self.left = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, torch.sigmoid(self.left)[None]) if hasattr(self, "left") else super().forward(x)


class OnlyInTraining(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else x


SE_MISTAKES = {
    "sigmoid": Mistake("the sigmoid at the end is missing.", wrong(last=lambda self, s: s)),
    "relu": Mistake("a ReLU stands right before the sigmoid: no gate can fall below one half.",
                    wrong(last=lambda self, s: torch.sigmoid(torch.relu(s)))),
    "softmax": Mistake("softmax instead of sigmoid: channels must not compete for a sum of one.",
                       wrong(last=lambda self, s: s.softmax(1))),
    "dim 0": Mistake("softmax over the pictures of the batch (dim 0).", wrong(last=lambda self, s: s.softmax(0))),
    "max": Mistake("the largest value is squeezed out, not the mean.", wrong(pool=lambda self, x: x.amax((2, 3)))),
    "batch": Mistake("the mean runs over the pictures of the batch too: each picture sees the others.",
                     wrong(pool=lambda self, x: x.mean((0, 2, 3)).expand(len(x), -1))),
    "middle": Mistake("the ReLU between the two layers is missing.", wrong(middle=lambda self, h: h)),
    "residual": Mistake("the input is added back; SE only multiplies.",
                        wrong(join=lambda self, x, gate: x + x * gate[:, :, None, None])),
    "added": Mistake("the gate is returned, or added, instead of multiplied with x.",
                     wrong(join=lambda self, x, gate: x + gate[:, :, None, None])),
    "detached": Mistake(CUT, wrong(join=lambda self, x, gate: x * gate.detach()[:, :, None, None])),
    "eval": Mistake("in evaluation mode the gate is left out.", OnlyInTraining),
    "forward": Mistake("layers are made in forward: they are new, and untrained, at every call. Make them in __init__.",
                       MadeInForward),
    "width": Mistake("the hidden width is not reduced: it should be channels // reduction.", NoReduction),
    "reduction": Mistake("the hidden width is the reduction itself: it should be channels // reduction.", HiddenIsReduction),
    "minimum": Mistake("with fewer channels than reduction no hidden unit is left: at least 1, max(1, channels // reduction).",
                       NoMinimum),
    "bias": Mistake("the layers have no biases.", NoBias),
    "one more": Mistake("the hidden width is one too large: max(1, channels // reduction), not channels // reduction + 1.",
                        OneMore),
    "before": Mistake("the ReLU stands before the first layer; it belongs between the two.",
                      wrong(pool=lambda self, x: torch.relu(x.mean((2, 3))), middle=lambda self, h: h)),
    "twice": Mistake("the gate is twice the sigmoid; here it is the sigmoid itself.",
                     wrong(last=lambda self, s: 2 * torch.sigmoid(s))),
    "one mean": Mistake("the mean runs over the channels too: each channel has a mean of its own.",
                        wrong(pool=lambda self, x: x.mean((1, 2, 3))[:, None].expand(-1, x.shape[1]))),
}


def weights_by_role(module: nn.Module, channels: int, hidden: int) -> dict[str, nn.Parameter]:
    """The four tensors of an SE, told apart by their shapes, whatever the learner called them."""
    roles = {(hidden, channels): "squeeze", (channels, hidden): "excite", (hidden,): "squeeze bias", (channels,): "excite bias"}
    found = {}
    for p in module.parameters():
        shape = tuple(d for d in p.shape[:2])
        if shape in roles:
            found[roles[shape]] = p
    return found


def copy_weights(target: nn.Module, source: nn.Module, channels: int, hidden: int) -> nn.Module:
    theirs = weights_by_role(source, channels, hidden)
    with torch.no_grad():
        for role, p in weights_by_role(target, channels, hidden).items():
            p.copy_(theirs[role].reshape(p.shape))
    return target


@exercise("Your SE", list(SE_MISTAKES.values()))
def se(report: Report, answer) -> None:
    """A class (channels, reduction) -> module that equals SE after copying the weights."""
    for channels, reduction, shape in [(20, 4, (2, 20, 5, 7)), (20, 3, (3, 20, 4, 4)), (6, 2, (1, 6, 3, 8)),
                                       (4, 8, (2, 4, 3, 5))]:
        hidden, x = max(1, channels // reduction), 2 * numbers(*shape)
        module = built(report, answer, channels, reduction)
        report.tensor(report.call(module, x.clone(), what="forward"), shape, "forward")
        count, wanted_count = sum(p.numel() for p in module.parameters()), 2 * channels * hidden + hidden + channels
        if count != wanted_count:
            causes = {0: "forward", channels: "minimum", 2 * channels**2 + 2 * channels: "width",
                      2 * channels * (channels // reduction + 1) + channels // reduction + 1 + channels: "one more",
                      2 * channels * reduction + reduction + channels: "reduction", 2 * channels * hidden: "bias"}
            report.wrong(f"{count} parameters with channels={channels}, reduction={reduction}; expected {wanted_count}",
                         SE_MISTAKES[causes[count]].cause if count in causes else "")
        if len(weights_by_role(module, channels, hidden)) < 4:
            report.wrong(f"parameters of shapes {[tuple(p.shape) for p in module.parameters()]}; expected two layers with "
                         "biases, channels -> hidden -> channels")
        noise_in(module)      # a start of zeros, or one far from zero, would hide what comes before it
        reference = copy_weights(SE(channels, reduction), module, channels, hidden)
        symptoms(report, module, x)
        compare_module(report, module, x, reference, f"SE({channels}, {reduction}) on a {shape} map")


def symptoms(report: Report, module: nn.Module, x: Tensor) -> None:
    """What can be seen from outside, also where several faults are in it, of which none alone gives these numbers."""
    y = steady(report, module, x, SE_MISTAKES["forward"].cause)
    report.seen.append(y)      # two mistakes may show the same symptom
    alone = torch.cat([report.call(module, one[None].clone(), what="forward") for one in x]).detach()
    if not torch.allclose(y, alone, rtol=1e-3, atol=1e-5):
        report.wrong("a picture gets another result in a batch than by itself", guess=SE_MISTAKES["batch"].cause)
    if (y / x).min() > 0.4999:
        report.wrong("no gate is below one half, whatever the picture and the weights", guess=SE_MISTAKES["relu"].cause)
