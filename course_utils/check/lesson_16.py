"""Checks of lesson 16: pictures on both sides, an accuracy that counts classes alike, and a verdict."""

from __future__ import annotations

import torch
from torch import Tensor

from ..stats import difference
from .core import shown
from .report import Mistake, Report, exercise, integer, numbers, untouched


def pixels(*values: int, side: int = 4) -> Tensor:
    """Pictures (N, 3, side, side) of bytes, a pattern for each number."""
    return torch.stack([(numbers(3, side, side, seed=v) * 60 + 128).clamp(0, 255).to(torch.uint8) for v in values])


SPLITS = [((1, 2, 3, 4), (5, 1, 2)), ((1, 2), (3, 4, 5)), ((7, 8, 7), (7, 7, 8, 9)), ((1,), (1, 1, 1, 2))]


def almost(train: Tensor, test: Tensor) -> int:
    """A last pixel that differs is another picture."""
    return sum(any(torch.equal(a.flatten()[:-1], b.flatten()[:-1]) for b in train) for a in test)


def split_of(k: int) -> tuple[Tensor, Tensor]:
    """Of some test sets the last picture becomes one of the training set with one value changed by one, or one turned round."""
    train, test = map(lambda part: pixels(*part), SPLITS[k])
    if k % 2:
        test[-1] = train[0]
        test[-1, 2, 3, 3] ^= 1
    elif k == 0:
        test[0] = train[3].flip(2)
    return train, test


@exercise("Pictures on both sides", [
    Mistake("that counts pairs; a test picture that is there three times in the training set is one leak.",
            lambda train, test: sum(torch.equal(a, b) for a in test for b in train)),
    Mistake("that counts training pictures; asked is how many test pictures leak.",
            lambda train, test: sum(any(torch.equal(a, b) for b in test) for a in train)),
    Mistake("copies within the test set are no leak; look for each in the training set.",
            lambda train, test: len(test) - len({bytes(t.flatten().tolist()) for t in test})),
    Mistake("different leaking pictures were counted; one that is twice in the test set counts twice.",
            lambda train, test: len({bytes(t.flatten().tolist()) for t in train} & {bytes(t.flatten().tolist()) for t in test})),
    Mistake("only pictures at the same place were compared; look for each test picture in all of the training set.",
            lambda train, test: sum(torch.equal(a, b) for a, b in zip(train, test, strict=False))),
    Mistake("those that do not leak were counted.",
            lambda train, test: sum(not any(torch.equal(a, b) for b in train) for a in test)),
    Mistake("one pixel is enough to be another picture: compare all of them.", almost),
    Mistake("another picture may have the same mean: compare all pixels.",
            lambda train, test: sum(any(abs(a.double().mean() - b.double().mean()) < 1e-6 for b in train) for a in test)),
    Mistake("one value in common is not a copy: all of them must agree.",
            lambda train, test: sum(any((a == b).any() for b in train) for a in test)),
    Mistake("asked is how many, not whether.",
            lambda train, test: int(any(torch.equal(a, b) for a in test for b in train))),
])
def leaks(report: Report, answer) -> None:
    """(train, test), both (N, 3, H, W) of bytes -> how many test pictures are in the training set too, to the pixel."""
    for k in range(len(SPLITS)):
        train, test = split_of(k)
        wanted = sum(any(torch.equal(a, b) for b in train) for a in test)
        given = [train.clone(), test.clone()]
        got = report.call(answer, *given)
        untouched(report, given, [train, test])
        integer(report, got, wanted, f"{len(train)} training and {len(test)} test pictures")


ANSWERS = [([0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), ([0, 0, 1, 2, 2, 1], [0, 0, 1, 2, 2, 2]),
           ([5, 5, 2, 2, 2], [5, 2, 2, 2, 5]), ([1, 1, 1], [1, 1, 0])]


def by_class(y: list[int], said: list[int]) -> list[float]:
    return [sum(s == t for s, t in zip(said, y, strict=True) if t == c) / y.count(c) for c in sorted(set(y))]


def truth(y: list[int], said: list[int]) -> float:
    return sum(by_class(y, said)) / len(set(y))


@exercise("The balanced accuracy", [
    Mistake("that is the plain accuracy: a large class counts more. Take the accuracy of each class first, then their mean.",
            lambda y, said: (y == said).float().mean().item()),
    Mistake("the classes are those of the answers; they must be those of the truth.",
            lambda y, said: sum(((y == said) & (said == c)).sum().item() / (said == c).sum().item() for c in said.unique())
            / len(said.unique())),
    Mistake("divided by all classes up to the largest number; classes without a picture do not count.",
            lambda y, said: sum(by_class(y.tolist(), said.tolist())) / (int(y.max()) + 1)),
    Mistake("that is the sum over the classes; divide by their number.",
            lambda y, said: sum(by_class(y.tolist(), said.tolist()))),
    Mistake("the worst class counts alone; asked is the mean.", lambda y, said: min(by_class(y.tolist(), said.tolist()))),
    Mistake("divided by all classes up to the largest number; classes without a picture do not count.",
            lambda y, said: sum((said[y == k] == k).float().mean().item() for k in range(int(max(y.max(), said.max())) + 1))
            / (int(max(y.max(), said.max())) + 1)),
    Mistake("classes that were only answered count as well; the classes are those that are in y.",
            lambda y, said: sum(by_class(y.tolist(), said.tolist())) / len({*y.tolist(), *said.tolist()})),
    Mistake("those are percentages; a share is wanted.", lambda y, said: 100 * truth(y.tolist(), said.tolist())),
    Mistake("only classes of which something is right were counted.",
            lambda y, said: (v := [b for b in by_class(y.tolist(), said.tolist()) if b]) and sum(v) / len(v)),
    Mistake("that is the share of mistakes; asked is what is right.", lambda y, said: 1 - truth(y.tolist(), said.tolist())),
])
def balanced(report: Report, answer) -> None:
    """(y, said), both (N,) of whole numbers: the mean over the classes of y of the accuracy on each."""
    for y, said in ANSWERS:
        given = [torch.tensor(y), torch.tensor(said)]
        got = report.call(answer, *given)
        untouched(report, given, [torch.tensor(y), torch.tensor(said)])
        report.agree(report.number(got, f"y = {y}"), truth(y, said), f"y = {y}, said = {said}", near=1e-5)


def arm(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


PLAIN = arm(0.80, 0.82, 0.79, 0.81, 0.80)
STUDIES = [(arm(0.85, 0.86, 0.84, 0.86, 0.85), PLAIN, arm(0.81, 0.82, 0.79, 0.82, 0.80)),      # better than both
           (arm(0.85, 0.86, 0.84, 0.86, 0.85), PLAIN, arm(0.85, 0.87, 0.84, 0.85, 0.85)),      # as the wider one
           (arm(0.85, 0.86, 0.84, 0.86, 0.85), PLAIN, arm(0.80, 0.89, 0.82, 0.87, 0.79)),      # above the wider one, not clearly
           (arm(0.85, 0.86, 0.84, 0.86, 0.85), PLAIN, arm(0.82, 0.84, 0.81, 0.83, 0.82)),      # clearly above both, one by one
           (arm(0.80, 0.85, 0.78, 0.84, 0.79), PLAIN, arm(0.75, 0.76, 0.75, 0.76, 0.75)),      # nothing clear
           (arm(0.75, 0.76, 0.75, 0.76, 0.75), PLAIN, arm(0.81, 0.82, 0.79, 0.82, 0.80)),      # worse
           (arm(0.75, 0.76, 0.75, 0.76, 0.75), PLAIN, arm(0.70, 0.71, 0.69, 0.71, 0.70)),      # worse, and the wider one more so
           (arm(0.90, 0.81, 0.79, 0.81, 0.80), PLAIN, arm(0.81, 0.82, 0.79, 0.82, 0.80))]      # a single lucky seed
WORDS = ("attention helps", "no more than a wider host", "no clear difference", "worse")


def word(ours: dict, plain: dict, wider: dict) -> str:
    gain, beyond = difference(ours, plain), difference(ours, wider)
    if gain.high < 0:
        return "worse"
    if gain.low <= 0:
        return "no clear difference"
    return "attention helps" if beyond.low > 0 else "no more than a wider host"


@exercise("The verdict", [
    Mistake("the means were compared; a mean without its interval may be luck.",
            lambda o, p, w: "attention helps" if sum(o.values()) > max(sum(p.values()), sum(w.values())) else
            "no more than a wider host" if sum(o.values()) > sum(p.values()) else "worse"),
    Mistake("the wider host was not asked: what it gains as well is no merit of attention.",
            lambda o, p, w: "attention helps" if (d := difference(o, p)).low > 0 else "worse" if d.high < 0
            else "no clear difference"),
    Mistake("the plain host was not asked: compare with it first.",
            lambda o, p, w: "attention helps" if (d := difference(o, w)).low > 0 else "worse" if d.high < 0
            else "no more than a wider host"),
    Mistake("a clear loss is called no clear difference; an interval below zero says worse.",
            lambda o, p, w: "no clear difference" if word(o, p, w) == "worse" else word(o, p, w)),
    Mistake("the difference was taken the other way round: ours minus plain.",
            lambda o, p, w: word(p, o, w) if difference(p, o).clear else word(o, p, w)),
    Mistake("what is not clear was called worse; an interval that holds zero decides nothing.",
            lambda o, p, w: "worse" if word(o, p, w) == "no clear difference" else word(o, p, w)),
    Mistake("the wider host counts as well when its own gain is smaller: compare attention with it, seed by seed.",
            lambda o, p, w: "no more than a wider host" if difference(o, p).low > 0 and difference(w, p).mean > 0
            else word(o, p, w)),
    Mistake("attention was compared with the wider host by the means alone: that interval counts too.",
            lambda o, p, w: word(o, p, p) if sum(o.values()) > sum(w.values()) else word(o, p, w)),
    Mistake("the wider host was compared with the plain one; compare attention with it, seed by seed.",
            lambda o, p, w: word(o, p, p) if difference(o, p).low > 0 and difference(w, p).low <= 0 else
            "no more than a wider host" if difference(o, p).low > 0 else word(o, p, w)),
    Mistake("the plain host comes first: where attention is not clearly better than that, nothing is clear.",
            lambda o, p, w: "no more than a wider host" if difference(o, p).high >= 0 and difference(o, w).low <= 0
            else word(o, p, w)),
])
def verdict_word(report: Report, answer) -> None:
    """(ours, plain, wider), each seed -> accuracy: one of four verdicts."""
    for ours, plain, wider in STUDIES:
        given = [dict(ours), dict(plain), dict(wider)]
        got = report.call(answer, *given)
        untouched(report, given, [ours, plain, wider])
        if not isinstance(got, str) or got not in WORDS:
            report.wrong(f"one of {', '.join(map(repr, WORDS))} was expected, got {shown(got)}")
        means = [f"{sum(part.values()) / len(part):.3f}" for part in (ours, plain, wider)]
        report.agree(got, word(ours, plain, wider), f"means of {', '.join(means)}")
