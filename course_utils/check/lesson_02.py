"""Checks of lesson 02, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..attention import SE
from .report import Mistake, NotAttempted, Report, built, close_number, exercise, numbers


@exercise("Parameters of SE", [
    Mistake("the biases are missing: one for each hidden unit, one for each channel.", 512),
    Mistake("without the reduction: the hidden width is C / r = 4, not C.", 2 * 64 * 64 + 64 + 64),
    Mistake("only one of the two layers is counted.", 64 * 4 + 4),
    Mistake("that is a hidden width of 8, as timm rounds it; the paper's is 64 / 16 = 4.", 1096),
    Mistake("the second layer has a bias too: one for each of the 64 channels.", 516),
])
def se_parameters(report: Report, answer: int) -> None:
    """C = 64, r = 16, with biases: 2 * 64 * 4 + 4 + 64."""
    close_number(report, answer, 580, "parameters")


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


class NoBias(Wrong):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__(channels, reduction)
        self.squeeze.register_parameter("bias", None)
        self.excite.register_parameter("bias", None)


SE_MISTAKES = [
    Mistake("the sigmoid at the end is missing.", wrong(last=lambda self, s: s)),
    Mistake("softmax instead of sigmoid: channels must not compete for a sum of one.",
            wrong(last=lambda self, s: s.softmax(1))),
    Mistake("softmax over the pictures of the batch (dim 0).", wrong(last=lambda self, s: s.softmax(0))),
    Mistake("the largest value is squeezed out, not the mean.", wrong(pool=lambda self, x: x.amax((2, 3)))),
    Mistake("the mean runs over the pictures of the batch too: each picture sees the others.",
            wrong(pool=lambda self, x: x.mean((0, 2, 3)).expand(len(x), -1))),
    Mistake("the ReLU between the two layers is missing.", wrong(middle=lambda self, h: h)),
    Mistake("the input is added back; SE only multiplies.",
            wrong(join=lambda self, x, gate: x + x * gate[:, :, None, None])),
    Mistake("the gate is returned, or added, instead of multiplied with x.",
            wrong(join=lambda self, x, gate: x + gate[:, :, None, None])),
    Mistake("the gate is cut off from the gradient (detach, item, numpy or no_grad).",
            wrong(join=lambda self, x, gate: x * gate.detach()[:, :, None, None])),
    Mistake("layers are made in forward: they are new, and untrained, at every call. Make them in __init__.", MadeInForward),
    Mistake("the hidden width is not reduced: it should be channels // reduction.", NoReduction),
    Mistake("the hidden width is the reduction itself: it should be channels // reduction.", HiddenIsReduction),
    Mistake("the layers have no biases.", NoBias),
]


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


@exercise("Your SE", SE_MISTAKES)
def se(report: Report, answer) -> None:
    """A class (channels, reduction) -> module that equals SE after copying the weights."""
    for channels, reduction, shape in [(12, 4, (2, 12, 5, 7)), (20, 3, (3, 20, 4, 4)), (6, 2, (1, 6, 3, 8))]:
        hidden = channels // reduction
        torch.manual_seed(0)
        module, x = built(report, answer, channels, reduction), 2 * numbers(*shape)
        got = report.tensor(report.call(module, x, what="forward"), shape, "forward")
        count, wanted_count = sum(p.numel() for p in module.parameters()), 2 * channels * hidden + hidden + channels
        if count != wanted_count:
            causes = {0: 9, 2 * channels**2 + 2 * channels: 10,
                      2 * channels * reduction + reduction + channels: 11, 2 * channels * hidden: 12}
            report.wrong(f"{count} parameters with channels={channels}, reduction={reduction}; expected {wanted_count}",
                         SE_MISTAKES[causes[count]].cause if count in causes else "")
        if len(weights_by_role(module, channels, hidden)) < 4:
            report.wrong(f"parameters of shapes {[tuple(p.shape) for p in module.parameters()]}; expected two layers with "
                         "biases, channels -> hidden -> channels")
        reference = copy_weights(SE(channels, reduction), module, channels, hidden)
        report.same(got, reference(x), f"equals SE({channels}, {reduction}) on a {shape} map",
                    lambda w, m=module, c=channels, h=hidden, r=reduction, x=x: copy_weights(w(c, r), m, c, h)(x))
        module.zero_grad()
        if (output := module(x.clone().requires_grad_())).requires_grad:
            output.square().sum().backward()
        if any(p.grad is None for p in module.parameters()):
            report.wrong("no gradient arrives at your layers", SE_MISTAKES[8].cause)
    report.right("a gradient arrives at every parameter")


class Multiplied(nn.Module):
    """A gate with an identity start, and one thing to get wrong."""

    def __init__(self, channels: int, scale: float = 2.0, weight: float | None = 0.0, bias: float = 0.0,
                 first: float | None = None):
        super().__init__()
        self.squeeze, self.excite, self.scale = nn.Linear(channels, channels), nn.Linear(channels, channels), scale
        if weight is not None:
            nn.init.constant_(self.excite.weight, weight)
        nn.init.constant_(self.excite.bias, bias)
        if first is not None:
            nn.init.constant_(self.squeeze.weight, first)
            nn.init.constant_(self.squeeze.bias, first)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.excite(torch.relu(self.squeeze(x.mean((2, 3)))))
        return x * self.scale * torch.sigmoid(logits)[:, :, None, None]


class Frozen(Multiplied):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * super().forward(x)


def variant(base: type = Multiplied, **options) -> type[nn.Module]:
    return type("Variant", (base,), {"__init__": lambda self, channels: base.__init__(self, channels, **options)})


@exercise("Start at the identity", [
    Mistake("a sigmoid of zero is one half: multiply it by 2.", variant(scale=1.0)),
    Mistake("a large bias only comes close: sigmoid(4) is 0.982, and its slope is small.", variant(scale=1.0, bias=4.0)),
    Mistake("the last layer's weights are not zero, so the gate still depends on x.", variant(weight=None)),
    Mistake("everything is zero, the first layer too: then neither layer ever has a gradient.", variant(first=0.0)),
    Mistake("the gate is switched off for good: its parameters have no gradient after two steps.", variant(Frozen)),
    Mistake("the last layer's bias is not zero.", variant(bias=0.5)),
])
def identity_start(report: Report, answer) -> None:
    """A class channels -> module that returns x exactly before training, and learns within two steps."""
    torch.manual_seed(0)
    module, x = built(report, answer, 6), numbers(4, 6, 5, 7)
    got = report.tensor(report.call(module, x, what="forward"), tuple(x.shape), "forward")
    if not torch.equal(got, x):
        size = (got / x).median().item()
        cause = (report.mistakes[0].cause if abs(size - 0.5) < 1e-4 else report.mistakes[1].cause if 0.9 < size < 0.9999
                 else report.mistakes[5].cause if (got / x).std() < 1e-5 else report.mistakes[2].cause)
        report.wrong(f"before training the output should be x; it is {size:.3f} times x in the median", cause)
    report.right("before training the output is x, to the bit")
    parameters = dict(module.named_parameters())
    if not parameters:
        raise NotAttempted
    seen, goal = dict.fromkeys(parameters, 0.0), numbers(4, 6, 5, 7, seed=1)
    optimiser = torch.optim.SGD(parameters.values(), lr=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        (module(x) - goal).square().mean().backward()
        for name, p in parameters.items():
            seen[name] += 0.0 if p.grad is None else p.grad.abs().sum().item()
        optimiser.step()
    if dead := [name for name, total in seen.items() if not total > 0]:
        report.wrong(f"no gradient within two steps: {', '.join(dead)}",
                     report.mistakes[4].cause if len(dead) == len(seen) else report.mistakes[3].cause)
    report.right("every parameter has a gradient within two steps")
