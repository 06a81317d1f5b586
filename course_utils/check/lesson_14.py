"""Checks of lesson 14: what a gate moves, who is beaten by nobody, six diagnoses, and norms that settle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from .core import shown
from .report import Mistake, Report, exercise, numbers, untouched

SIZES = [(64, 56, 56), (256, 14, 14), (16, 7, 5)]
FLOAT = 4      # bytes


@exercise("What a gate moves", [
    Mistake("that is in numbers; each takes four bytes in float32.", lambda c, h, w: 3 * c * h * w),
    Mistake("the map passes three times: read for the mean, read again for the product, and the product is written.",
            lambda c, h, w: 2 * c * h * w * FLOAT),
    Mistake("that is the map once; it is read twice and written once.", lambda c, h, w: c * h * w * FLOAT),
    Mistake("height and width both count.", lambda c, h, w: 3 * c * h * FLOAT),
    Mistake("height was squared; the map has height times width positions.", lambda c, h, w: 3 * c * h * h * FLOAT),
    Mistake("that is in bits; a byte has eight.", lambda c, h, w: 3 * c * h * w * FLOAT * 8),
    Mistake("four times the map: it is read twice and written once.", lambda c, h, w: 4 * c * h * w * FLOAT),
    Mistake("the small vectors are counted too; leave them out.", lambda c, h, w: FLOAT * (3 * c * h * w + 4 * c)),
    Mistake("that is in half precision; float32 takes four bytes.", lambda c, h, w: 3 * c * h * w * 2),
])
def gate_bytes(report: Report, answer) -> None:
    """(channels, height, width) -> bytes that a channel gate on that map moves in float32, its small vectors left out."""
    for size in SIZES:
        report.agree(report.number(report.call(answer, *size), f"a map of {size}"), 3 * FLOAT * size[0] * size[1] * size[2],
                     f"a map of {size}")


POINTS = [
    {"plain": (1.0, 0.0), "a": (1.1, 0.5), "b": (1.2, 0.4), "c": (1.5, 0.6)},
    {"a": (2.0, 0.3), "b": (1.0, 0.3), "c": (1.0, 0.2), "d": (3.0, 0.9)},
    {"x": (5, -0.1), "y": (4, -0.2), "z": (6, -0.1)},
    {"same": (1.0, 0.5), "again": (1.0, 0.5), "worse": (1.0, 0.4)},
    {"alone": (3.0, 0.1)},
]


def beaten(points: Mapping, by: Callable[[tuple, tuple], bool]) -> list:
    return [n for n, p in points.items() if not any(by(q, p) for m, q in points.items() if m != n)]


def dominates(q: tuple, p: tuple) -> bool:
    return q[0] <= p[0] and q[1] >= p[1] and q != p


@exercise("Beaten by nobody", [
    Mistake("one that costs as little and gains as much is not better; of two that are alike, none is beaten.",
            lambda points: beaten(points, lambda q, p: q[0] <= p[0] and q[1] >= p[1])),
    Mistake("each one is compared with itself too, and beats itself: nobody is left.", lambda points: []),
    Mistake("the comparisons are turned round: less cost and more gain are better.",
            lambda points: beaten(points, lambda q, p: dominates(p, q))),
    Mistake("of those that cost the same only the one that gains most is beaten by nobody.",
            lambda points: [n for n, p in points.items() if not any(q[0] < p[0] and q[1] >= p[1] for q in points.values())]),
    Mistake("one that costs the same and gains more beats it too, as does one that gains the same for less.",
            lambda points: beaten(points, lambda q, p: q[0] < p[0] and q[1] > p[1])),
    Mistake("a small gain was taken for a good one: more gain is better.",
            lambda points: beaten(points, lambda q, p: q[0] <= p[0] and q[1] <= p[1] and q != p)),
    Mistake("a high cost was taken for a good one: less cost is better.",
            lambda points: beaten(points, lambda q, p: q[0] >= p[0] and q[1] >= p[1] and q != p)),
    Mistake("only the largest gain is left; one that gains less for less is beaten by nobody either.",
            lambda points: [n for n, p in points.items() if p[1] == max(q[1] for q in points.values())]),
    Mistake("only the cheapest is left; one that gains more for more is beaten by nobody either.",
            lambda points: [n for n, p in points.items() if p[0] == min(q[0] for q in points.values())]),
    Mistake("these are the ones that are beaten.",
            lambda points: [n for n in points if n not in beaten(points, dominates)]),
    Mistake("all are left.", lambda points: list(points)),
    Mistake("one that is beaten in gain per cost may still gain more than all that are cheaper: compare both, not their ratio.",
            lambda points: [n for n, p in points.items() if p[1] / p[0] == max(q[1] / q[0] for q in points.values())]),
])
def pareto_front(report: Report, answer) -> None:
    """{name: (cost, gain)} -> the names that no other beats: none is as cheap or cheaper and gains as much or more."""
    for points in POINTS:
        given = copy.deepcopy(points)
        got = report.call(answer, given)
        untouched(report, [given], [points])
        if isinstance(got, str) or not isinstance(got, Iterable):
            report.wrong(f"the names were expected, in a list, got {shown(got)}")
        names = list(report.call(lambda got=got: list(got)))
        if strange := [n for n in names if not isinstance(n, str) or n not in points]:
            report.wrong(f"{shown(strange[0])} is no name of {list(points)}", "the names are wanted, not costs, gains or places.")
        if len(set(names)) < len(names):
            report.wrong(f"{shown(names)} has a name twice")
        wanted = beaten(points, dominates)
        report.agree(sorted(names), sorted(wanted), f"of {points}")


DIAGNOSES = {1: "saturated", 2: "stale norms", 3: "does not run", 4: "mixes pictures", 5: "constant", 6: "no gradient"}
ADVICE = {"saturated": "its gates stand at 0 or 1 and differ between pictures.",
          "stale norms": "it is right again once its norms have seen some pictures, without any learning.",
          "does not run": "count the calls of its attention in one pass.",
          "mixes pictures": "give it a picture alone, and the same in a batch.",
          "constant": "its gates are in the middle, and the same for each picture.",
          "no gradient": "look at .grad of its attention after loss.backward()."}


@exercise("Six diagnoses", [
    Mistake(ADVICE["saturated"], DIAGNOSES | {1: "constant"}),
    Mistake(ADVICE["stale norms"], DIAGNOSES | {2: "mixes pictures"}),
    Mistake(ADVICE["does not run"], DIAGNOSES | {3: "no gradient"}),
    Mistake(ADVICE["mixes pictures"], DIAGNOSES | {4: "stale norms"}),
    Mistake(ADVICE["constant"], DIAGNOSES | {5: "saturated"}),
    Mistake(ADVICE["no gradient"], DIAGNOSES | {6: "does not run"}),
])
def diagnoses(report: Report, answer) -> None:
    """{1: "...", ..., 6: "..."}: what is wrong with each patient, in the words of the doctor."""
    if not isinstance(answer, Mapping):
        report.wrong(f"a dict from 1 to 6 was expected, got {shown(answer)}")
    words = {int(n) if isinstance(n, str) and n.isdecimal() else n: w for n, w in report.call(lambda: dict(answer)).items()}
    if missing := [n for n in DIAGNOSES if n not in words]:
        report.wrong(f"there is nothing about patient {', '.join(map(str, missing))}: a dict from 1 to 6 is wanted")
    for number, wanted in DIAGNOSES.items():
        said = words[number]
        plain = " ".join(said.replace("_", " ").split()).lower() if isinstance(said, str) else ""
        if plain not in ADVICE:
            report.wrong(f"patient {number}: {shown(said)} is none of the words: {', '.join(sorted(ADVICE))}")
        if plain != wanted:
            report.wrong(f"patient {number} is not {said!r}", ADVICE[wanted])
        report.right(f"patient {number}: {wanted}")


class Small(nn.Module):
    """A convolution, two norms and dropout, of which evaluation must make nothing."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.last(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


def small(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Small()
    with torch.no_grad():
        net.norm.running_mean.fill_(3.0)
        net.last.running_var.fill_(50.0)
    return net


def passes(net: nn.Module, batches, train: bool = True, learn: bool = False, back: bool = True,
           only: int | None = None):
    """Forward passes with one thing to get wrong."""
    was = net.training
    net.train(train)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with torch.set_grad_enabled(learn):
        for x in list(batches)[:only]:
            y = net(x)
            if learn:
                y.square().mean().backward()
                optimiser.step()
    if back:
        net.train(was)
    return net


def anew(net, batches):
    for m in net.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.reset_running_stats()
            m.momentum = None
    return passes(net, batches)


LEARNED = "the weights have changed: nothing is to be learned, so no optimiser and no step."


FROZEN = "the weights no longer ask for a gradient, so they could not be trained afterwards: use torch.no_grad() instead."
SWITCHED = "gradients are switched off for everything that comes after: use them as a block, with torch.no_grad():"


def reset_only(net, batches):
    for m in net.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.reset_running_stats()
    return net


@exercise("Norms that settle", [
    Mistake("in evaluation mode a norm uses what it has stored and stores nothing: net.train() while the batches pass.",
            lambda net, batches: passes(net, batches, train=False)),
    Mistake("in evaluation mode a norm uses what it has stored and stores nothing: net.train() while the batches pass.",
            lambda net, batches: passes(net, batches, train=False, back=False)),
    Mistake("the network may come in evaluation mode: say net.train() before the batches pass.",
            lambda net, batches: passes(net, batches, train=net.training)),
    Mistake(FROZEN, lambda net, batches: passes(net.requires_grad_(False), batches)),
    Mistake(SWITCHED, lambda net, batches: (torch.set_grad_enabled(False), passes(net, batches))[1]),
    Mistake(LEARNED,
            lambda net, batches: passes(net, batches, learn=True)),
    Mistake("the network is left in training mode: put back the mode that it was in.",
            lambda net, batches: passes(net, batches, back=False)),
    Mistake("one batch passed; let all of them pass.", lambda net, batches: passes(net, batches, only=1)),
    Mistake("the network is left in evaluation mode, whatever it was in before.",
            lambda net, batches: passes(net, batches).eval()),
    Mistake("the norms are at their very start now; let pictures pass, so that they hold their statistics.", reset_only),
    Mistake("a copy has settled, and the network itself has not.", lambda net, batches: passes(copy.deepcopy(net), batches)),
])
def settled(report: Report, answer) -> None:
    """(net, batches): pass the batches forward so that the norms settle; nothing is learned, the mode stays; returns net."""
    for seed, training in ((0, False), (1, True)):
        batches = [2 * numbers(8, 3, 6, 6, seed=seed + k) + 1 for k in range(5)]
        net, twin, fresh = small(seed).train(training), small(seed), small(seed)
        passes(twin, batches)
        anew(fresh, batches)      # from nothing, with the plain mean of all batches: as good
        weights = copy.deepcopy(dict(net.named_parameters()))
        given = [b.clone() for b in batches]
        with torch.enable_grad():
            got = report.call(answer, net, given)
            switched = not torch.is_grad_enabled()
        if switched:
            report.wrong("gradients stay switched off", SWITCHED)
        for now, was in zip(given, batches, strict=True):
            untouched(report, [now], [was])
        if not isinstance(got, nn.Module):
            report.wrong(f"the network was expected, got {shown(got)}")
        if not all(p.requires_grad for p in net.parameters()):
            report.wrong("weights that asked for a gradient do so no more", FROZEN)
        for name, p in net.named_parameters():
            if not torch.equal(p, weights[name]):
                report.wrong(f"{name} has changed", LEARNED)
            if p.grad is not None:
                report.wrong(f"{name} has a gradient", "no loss, no backward: with torch.no_grad().")
        if got is not net:
            report.wrong("another network came back than went in")
        begun = dict(fresh.named_buffers())
        if all(torch.allclose(b.float(), begun[name].float(), rtol=1e-4, atol=1e-6) for name, b in net.named_buffers()):
            twin = fresh
        for name, wanted in twin.named_buffers():
            report.same(dict(net.named_buffers())[name].float(), wanted.float(), f"{name}, after {len(batches)} batches")
        if net.training is not training:
            report.wrong(f"the network was in {'training' if training else 'evaluation'} mode and is not any more")
    report.right("the norms have settled, the weights and the mode have stayed")
