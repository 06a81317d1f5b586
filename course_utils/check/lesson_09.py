"""Checks of lesson 09, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
from torch import Tensor

from .report import Mistake, Report, compare, exercise, numbers, rough_number


@exercise("How much of the picture matters", [
    Mistake("that is the ratio of the sides; asked is the share of the area, so its square.", 12 / 80),
    Mistake("that is the digit's number of pixels; divide it by the picture's, 80 * 80.", 144),
    Mistake("that is in percent; asked is a share between 0 and 1.", 2.25),
    Mistake("that is the share in a picture of 64x64; this one is 80x80.", (12 / 64) ** 2),
    Mistake("that is for a digit of 28x28, its size before it was made smaller; here it is 12x12.", (28 / 80) ** 2),
    Mistake("that is the share that the digit does not cover.", 1 - (12 / 80) ** 2),
    Mistake("that is how many times larger the picture is; asked is the digit's share of it.", (80 / 12) ** 2),
    Mistake("one of the two sides is not squared: 12 * 12 pixels of 80 * 80.", 144 / 80),
    Mistake("one of the two sides is not squared: 12 * 12 pixels of 80 * 80.", 12 / 6400),
])
def evidence_pixels(report: Report, answer: float) -> None:
    """12 * 12 pixels of 80 * 80."""
    rough_number(report, answer, 0.0225, "share of the pixels", 6e-4)


def means(gate: Tensor, mask: Tensor, over: tuple[int, ...] = (1, 2, 3)) -> tuple[Tensor, Tensor]:
    """The mean of the gate inside the mask, and outside; mask (N, 1, H, W)."""
    inside, outside = gate * mask, gate * ~mask
    return inside.sum(over) / mask.sum(over), outside.sum(over) / (~mask).sum(over)


def like_ratio(result=lambda inside, outside: inside / outside, mask=lambda mask: mask[:, None], **options):
    """A ratio of inside and outside with one thing to get wrong."""
    return lambda gate, where: result(*means(gate, mask(where), **options))


def true_ratio(gate: Tensor, mask: Tensor) -> Tensor:
    return torch.stack([picture[0][where].mean() / picture[0][~where].mean() for picture, where in zip(gate, mask, strict=True)])


def broadcast(gate: Tensor, mask: Tensor) -> Tensor:
    """What becomes of (N, 1, H, W) times (N, H, W): every gate with every mask, (N, N, H, W)."""
    return ((gate * mask).sum((1, 2, 3)) / mask.sum((1, 2))) / ((gate * ~mask).sum((1, 2, 3)) / (~mask).sum((1, 2)))


@exercise("The gate inside and outside", [
    Mistake("the means run over all pictures of the batch; each picture has its own.",
            lambda gate, mask: like_ratio(over=(0, 1, 2, 3))(gate, mask).expand(len(gate))),
    Mistake("what is inside and what is outside must be divided each by its own number of pixels: a large mask must not count "
            "for more.",
            lambda gate, mask: (gate[:, 0] * mask).sum((1, 2)) / (gate[:, 0] * ~mask).sum((1, 2))),
    Mistake("(N, 1, H, W) times (N, H, W) is (N, N, H, W): every gate with every mask. Use gate[:, 0] or mask[:, None].",
            broadcast),
    Mistake("(N, 1, H, W) times (N, H, W) is (N, N, H, W): every gate with every mask. Use gate[:, 0] or mask[:, None].",
            lambda gate, mask: (gate * mask).sum((1, 2, 3)) / (gate * ~mask).sum((1, 2, 3))),
    Mistake("that is outside divided by inside.", like_ratio(lambda inside, outside: outside / inside)),
    Mistake("that is the difference of the means; asked is inside divided by outside.",
            like_ratio(lambda inside, outside: inside - outside)),
    Mistake("that is the mean inside; it is not divided by the mean outside yet.", like_ratio(lambda inside, outside: inside)),
    Mistake("that is inside as a share of both means; divide by the mean outside alone.",
            like_ratio(lambda inside, outside: inside / (inside + outside))),
    Mistake("outside is the mean over all pixels; those inside do not belong to it.",
            lambda gate, mask: like_ratio(lambda inside, _: inside)(gate, mask) / gate.mean((1, 2, 3))),
    Mistake("the largest values instead of the means.",
            lambda gate, mask: (gate[:, 0] * mask).amax((1, 2)) / (gate[:, 0] * ~mask).amax((1, 2))),
    Mistake("averaged over the pictures; one number for each is wanted.",
            lambda gate, mask: true_ratio(gate, mask).mean()),
    Mistake("a dimension of size one is left; the result is (N,).", like_ratio(over=(2, 3))),
])
def inside_outside(report: Report, answer) -> None:
    """gate (N, 1, H, W), mask (N, H, W) bool -> (N,)."""
    for n, h, w in [(3, 4, 6), (4, 4, 4), (1, 5, 3)]:      # N equals H and W: a wrong axis has a valid shape
        gate, mask = numbers(n, 1, h, w).sigmoid(), numbers(n, h, w, seed=1) > 0.3
        compare(report, answer, (gate, mask), true_ratio(gate, mask), f"gates of shape {(n, 1, h, w)}", gradient=False)


def over_places(logits: Tensor) -> Tensor:
    return logits.flatten(1).softmax(1).view_as(logits)


def gating(gate):
    return lambda x, logits: x * gate(logits)


@exercise("A mask that starts as the identity", [
    Mistake("the 2 is missing: a sigmoid of 0 is one half, so the picture starts half as bright.", gating(torch.sigmoid)),
    Mistake("softmax over the places instead of 2 * sigmoid: the places must not compete for a sum of one.", gating(over_places)),
    Mistake("softmax over the places, times their number, starts right, but makes the places compete; take 2 * sigmoid.",
            gating(lambda s: over_places(s) * s[0].numel())),
    Mistake("tanh of 0 is 0, so the picture starts black, and tanh can be negative.", gating(torch.tanh)),
    Mistake("that has the right ends and the right start, but twice the slope: 2 * sigmoid(s) is 1 + tanh(s / 2).",
            gating(lambda s: 1 + s.tanh())),
    Mistake("1 + sigmoid is never below 1: nothing can be made darker, and the picture starts too bright.",
            gating(lambda s: 1 + s.sigmoid())),
    Mistake("relu starts at 0, and has no upper end.", gating(torch.relu)),
    Mistake("1 + logits, cut off below, has no upper end.", gating(lambda s: (1 + s).relu())),
    Mistake("1 + logits, cut off at 0 and 2, has no gradient beyond these ends; take 2 * sigmoid.",
            gating(lambda s: (1 + s).clamp(0, 2))),
    Mistake("exp has no upper end; the picture should be at most twice as bright.", gating(torch.exp)),
    Mistake("the 2 is inside the sigmoid; it belongs outside: 2 * sigmoid(logits).", gating(lambda s: (2 * s).sigmoid())),
    Mistake("the gate is returned by itself: multiply x by it.", lambda x, s: (2 * s.sigmoid()).expand_as(x)),
    Mistake("the picture is added back: then it starts twice as bright.", lambda x, s: x + x * 2 * s.sigmoid()),
    Mistake("every picture gets the mask of the first one.", lambda x, s: x * 2 * s[:1].sigmoid()),
    Mistake("the logits are used as if they were (N, H, W): with (N, C, H, W) that pairs pictures with channels.",
            lambda x, s: x * 2 * s[:, 0].sigmoid()),
])
def identity_mask(report: Report, answer) -> None:
    """x (N, C, H, W), logits (N, 1, H, W) -> x * 2 * sigmoid(logits)."""
    for shape in [(3, 3, 4, 5), (2, 4, 3, 3), (1, 1, 2, 6)]:      # C equals N: picture and channel can be mixed up
        x, logits = numbers(*shape), 2 * numbers(shape[0], 1, *shape[2:], seed=1)
        gate = 2 / (1 + torch.exp(-logits))
        compare(report, answer, (x, logits), torch.stack([plane * gate[:, 0] for plane in x.unbind(1)], 1), f"a {shape} picture")
    for value, times, words in [(0.0, 1, "0: the picture itself"), (60.0, 2, "60: twice as bright"), (-60.0, 0, "-60: black")]:
        compare(report, answer, (x, torch.full_like(x[:, :1], value)), times * x, f"logits of {words}")
