"""The check of lesson 02 for a gate that starts at the identity, with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .report import IN_PLACE, Mistake, NotAttempted, Report, built, exercise, noise_in, numbers, whole_gradient


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


class Logits(Multiplied):
    """What is added instead of multiplied, or is that of another picture, or is left out in evaluation mode."""

    def __init__(self, channels: int, how: str):
        super().__init__(channels)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        logits = self.excite(torch.relu(self.squeeze(x.mean((2, 3)))))[:, :, None, None]
        return {"added": lambda: x + logits, "first": lambda: x * 2 * torch.sigmoid(logits[:1]),
                "mean": lambda: x * 2 * torch.sigmoid(logits.mean(1, keepdim=True)),
                "train": lambda: x * 2 * torch.sigmoid(logits) if self.training else x,
                "softmax": lambda: x * logits.softmax(1), "in place": lambda: x.mul_(2 * torch.sigmoid(logits))}[self.how]()


def variant(base: type = Multiplied, **options) -> type[nn.Module]:
    return type("Variant", (base,), {"__init__": lambda self, channels: base.__init__(self, channels, **options)})


@exercise("Start at the identity", [
    Mistake("a sigmoid of zero is one half: multiply it by 2.", variant(scale=1.0)),
    Mistake("a large bias only comes close: sigmoid(4) is 0.982, and its slope is small.", variant(scale=1.0, bias=4.0)),
    Mistake("the last layer's weights are not zero, so the gate still depends on x.", variant(weight=None)),
    Mistake("everything is zero, the first layer too: then neither layer ever has a gradient.", variant(first=0.0)),
    Mistake("the gate is switched off for good: its parameters have no gradient after two steps.", variant(Frozen)),
    Mistake("the last layer's bias is not zero.", variant(bias=0.5)),
    Mistake("the logits are added to x; a gate multiplies.", variant(Logits, how="added")),
    Mistake("pictures meet in it: each gets a gate that others of its batch have a part in.", variant(Logits, how="first")),
    Mistake("in evaluation mode the gate is left out.", variant(Logits, how="train")),
    Mistake("one number for the whole picture: each channel has a gate of its own.", variant(Logits, how="mean")),
    Mistake("the first layer starts at zero; it should be the last.", variant(weight=None, bias=0.5, first=0.0)),
    Mistake("with logits of zero this gate is 0, and nothing of x is left: 2 * sigmoid(0) or 1 + tanh(0) is 1.",
            variant(scale=0.0)),
    Mistake("with logits of zero this is twice x: the gate is 1 already, or x is added back.", variant(scale=4.0)),
    Mistake("1 + sigmoid(0) is 1.5: with tanh it would be 1.", variant(scale=3.0)),
    Mistake("a softmax shares 1 among the channels; each has a gate of its own, and all of them begin at 1.",
            variant(Logits, how="softmax")),
    Mistake(IN_PLACE, variant(Logits, how="in place")),
])
def identity_start(report: Report, answer) -> None:
    """A class channels -> module that returns x exactly before training, and learns within two steps."""
    module, x = built(report, answer, 6), numbers(4, 6, 5, 7)
    given = x.clone()
    got = report.tensor(report.call(module, given, what="forward"), tuple(x.shape), "forward")
    if given._version:      # what torch counts is the writing, even of numbers that stay the same
        report.wrong("your forward changed x itself", IN_PLACE)
    if not torch.equal(got, x):
        size = (got / x).median().item()
        report.wrong(f"before training the output should be x; it is {size:.3f} times x in the median",
                     "" if (number := why_not_x(module, got / x)) is None else report.mistakes[number].cause)
    report.right("before training the output is x, to the bit")
    parameters = dict(module.named_parameters())
    if not parameters:
        raise NotAttempted
    if still := [name for name, p in parameters.items() if not p.requires_grad]:
        report.wrong(f"{', '.join(still)} cannot learn: requires_grad is False", "it was switched off; leave it as it is made.")
    seen, goal = dict.fromkeys(parameters, 0.0), numbers(4, 6, 5, 7, seed=1)
    for _ in range(2):      # by hand: to import torch.optim takes seconds
        module.zero_grad()
        if not (y := module(x)).requires_grad:
            report.wrong("what comes out does not depend on any parameter", report.mistakes[4].cause)
        (y - goal).square().mean().backward()
        for name, p in parameters.items():
            if p.grad is not None:
                seen[name] += p.grad.abs().sum().item()
                with torch.no_grad():
                    p -= 0.5 * p.grad
    if dead := [name for name, total in seen.items() if not total > 0]:
        report.wrong(f"no gradient within two steps: {', '.join(dead)}",
                     report.mistakes[4].cause if len(dead) == len(seen) else report.mistakes[3].cause)
    report.right("every parameter has a gradient within two steps")
    is_a_gate(report, module, x)
    noise_in(module)      # after two small steps the gate hardly looks at x, and a cut would not show
    whole_gradient(report, module, x)


def why_not_x(module: nn.Module, gate: Tensor) -> int | None:
    """The number of the mistake, from what the last layer holds and what its gate is; the exercise names both layers."""
    size = gate.median().item()
    last, first = getattr(module, "excite", None), getattr(module, "squeeze", None)
    zero = [isinstance(layer, nn.Linear) and not layer.weight.any() for layer in (last, first)]
    silent = zero[0] and (last.bias is None or not last.bias.any())      # a layer without biases is allowed
    if silent or not isinstance(last, nn.Linear):
        sizes = {0: 0.5, 11: 0.0, 12: 2.0, 13: 1.5, 14: 1 / gate.shape[1]}
        return next((number for number, wanted in sizes.items() if abs(size - wanted) < 1e-4), None)
    if zero[0]:
        return 1 if 0.9 < size < 0.9999 else 5
    return 10 if zero[1] else 2


def is_a_gate(report: Report, module: nn.Module, x: Tensor) -> None:
    """After two steps: one number for each channel of a picture, from that picture, and the same in evaluation mode."""
    with torch.no_grad():
        y, alone = module(x), torch.cat([module(one[None]) for one in x])
        asleep = module.eval()(x)
    if ((y / x).flatten(2).std(2) > 1e-3).any():
        report.wrong("after two steps of training y / x differs from place to place", report.mistakes[6].cause)
    if not torch.allclose(y, alone, atol=1e-4):
        report.wrong("a picture gets another result in a batch than by itself", report.mistakes[7].cause)
    if ((y / x).flatten(2).mean(2).std(1) < 1e-5).all():
        report.wrong("after two steps all channels of a picture have the same gate", report.mistakes[9].cause)
    if not torch.allclose(y, asleep, atol=1e-4):
        report.wrong("another result in evaluation mode", report.mistakes[8].cause)
    report.right("what it learns is a gate, one number for each channel of a picture")
