"""What a plugged network does with pictures as it is, with settled norms, and with its attention frozen; and what it costs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import cost, stats
from .gates import Reading, held, readings
from .probe import Example, duplicate, unnoticed
from .record import tensors
from .surgery import restore

Score = Callable[[object, Tensor], Tensor]      # (outputs, labels) -> one number a picture, more is better

LEAST = 8           # pictures: with fewer nothing can be said of what differs between them
LOOK = 64           # pictures whose gates are read
AT_ONCE = 128       # pictures that run together, and whose mean a frozen gate is
WIDEST = 2 ** 27    # numbers of gates and maps that are held at a time: half a gigabyte
PARTS = 8           # so many places, or groups of them, are frozen one by one


def check_labels(labels, pictures) -> Tensor | None:
    """The labels as a tensor.

    Raises:
        ValueError: without pictures, too few, or not as many.
    """
    if labels is None:
        return None
    labels = torch.as_tensor(labels)
    batch = next(iter(Example((pictures,)).tensors), None)
    if batch is None or batch.ndim != 4:
        got = type(pictures).__name__ if batch is None else f"tensors such as {tuple(batch.shape)}"
        raise ValueError(f"labels need a batch of pictures, a tensor (N, C, H, W), got {got}: doctor(model, pictures, labels). "
                         "From arrays: torch.from_numpy(...); of a list of pictures of one size: torch.stack(pictures).")
    count = len(batch)
    if labels.ndim == 0 or len(labels) != count or count < LEAST:
        raise ValueError(f"labels must be one for each picture, of {LEAST} pictures or more, got labels {tuple(labels.shape)} "
                         f"and {count} pictures: doctor(model, pictures, labels). Some hundreds say more.")
    return labels


def right(outputs: object, labels: Tensor) -> Tensor:
    """1 where the answer of a classifier is right, (N,); of dense labels (N, H, W) the share of right pixels.

    Raises:
        ValueError: the outputs are not logits for these labels.
    """
    logits = next(iter(tensors(outputs)), None)
    fits = logits is not None and logits.ndim == labels.ndim + 1 and len(logits) == len(labels) \
        and logits.shape[2:] == labels.shape[1:]
    if not fits or labels.is_floating_point():
        got = "no tensor" if logits is None else tuple(logits.shape)
        raise ValueError(f"labels {tuple(labels.shape)}, {labels.dtype}, do not fit outputs {got}: wanted logits (N, classes) "
                         "and labels (N,) of whole numbers, or (N, classes, H, W) and (N, H, W). For other answers give a score: "
                         "doctor(model, pictures, labels, score=...), a function (outputs, labels) -> (N,), more is better.")
    labels, classes = labels.to(logits.device), logits.shape[1]
    counts = ((labels >= 0) & (labels < classes)).float()      # pixels of no class, 255 as a rule, do not count
    if labels.ndim == 1 and not counts.all():
        raise ValueError(f"labels must lie between 0 and {classes - 1}, one for each of the {classes} outputs, got "
                         f"{labels.min()} to {labels.max()}")
    hits = (logits.argmax(1) == labels).float()
    return hits if labels.ndim == 1 else (hits * counts).flatten(1).sum(1) / counts.flatten(1).sum(1).clamp_min(1)


@dataclass(frozen=True)
class Loss:
    """What is lost by a change, over pictures: `whole` before, `left` after it, and their difference with its 95 % interval."""

    name: str
    whole: float
    left: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        return self.whole - self.left


def loss(name: str, whole: Tensor, left: Tensor) -> Loss:
    """Paired by picture."""
    _, low, high = stats.t_interval((whole - left).tolist())
    if all(0 <= t.min() and t.max() <= 1 for t in (whole, left)):      # shares: no more than all can be lost
        low, high = max(low, -1.0), min(high, 1.0)
    return Loss(name, whole.mean().item(), left.mean().item(), low, high)


@dataclass(frozen=True)
class Norms:
    """The norms with the statistics that they hold, and with those of these pictures.

    `settled`: what is lost by settling, where there are labels; below zero, it is a gain. `worst`, `ratio`: the norm whose
    stored variance is furthest off, and the middle over its channels of what now comes, by what is stored.
    """

    worst: str = ""
    ratio: float = 1.0
    settled: Loss | None = None


class Subject:
    """A copy of a network with pictures, on which the questions of the doctor are tried."""

    def __init__(self, net: nn.Module, example: Example, labels: Tensor | None, score: Score | None):
        self.net, self.example = net, example
        self.labels, self.score = labels, score or right
        self.count = len(example.tensors[0])
        # Not cut up: pictures with something that is not one for each, such as a list of places. A single number is for all.
        self.whole_only = any(len(t) != self.count for t in example.tensors if t.ndim)
        self.at_once = min(AT_ONCE, self.count)

    def parts(self, most: int) -> Iterator[tuple[slice, Example]]:
        """Copies of so many pictures at a time: a network may write into them.

        A last one by itself, of which no mean and no norm is, goes with those before it.
        """
        if self.whole_only:
            yield slice(None), self.example.map(torch.clone)
            return
        starts = range(0, max(1, self.count - 1), most)
        for start, end in zip(starts, [*starts[1:], self.count], strict=True):
            yield slice(start, end), self.example.part(slice(start, end))

    def look(self, modules: dict[str, nn.Module], starts: dict[str, str]) -> dict[str, Reading]:
        """What each module weighs by on the first pictures."""
        def run(most: int) -> Callable[[], object]:
            _, few = next(self.parts(most))
            return lambda: self.net(*few.args, **few.named)
        found, numbers = readings(self.net, modules, starts, run(LEAST))
        most = max(LEAST, WIDEST // max(1, numbers // min(LEAST, self.count)))
        self.at_once = min(self.at_once, most)
        return readings(self.net, modules, starts, run(min(LOOK, most)))[0] if self.count > LEAST else found

    def answer(self, part: Example) -> object:
        """All that the network gives. What it draws is the same each time, or two passes could not be compared."""
        with unnoticed(self.net):
            return self.net(*part.args, **part.named)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """What `score` says of each picture, (N,); there must be labels."""
        found = []
        for piece, part in self.parts(self.at_once):
            told = self.score(self.answer(part), self.labels[piece])
            if not isinstance(told, Tensor) or told.shape != self.labels[piece].shape[:1]:
                shape = tuple(told.shape) if isinstance(told, Tensor) else type(told).__name__
                raise ValueError(f"score must give one number a picture, ({len(self.labels[piece])},), got {shape}")
            found.append(told.float().cpu())
        return torch.cat(found)

    @torch.no_grad()
    def outputs(self) -> Tensor | None:
        """The first output (N, ...) of all pictures; None where there is none with a row a picture."""
        found = []
        for _, part in self.parts(self.at_once):
            first = next(iter(tensors(self.answer(part))), None)
            if first is None or first.ndim < 2 or len(first) != len(part.tensors[0]):
                return None
            found.append(first.float().flatten(1).cpu())
        return torch.cat(found)

    def kept(self, before: Tensor | None) -> Tensor | None:
        """(N,): 1 where a picture's answer, the largest of its outputs, is that of `before`."""
        after = self.outputs()
        same = before is not None and after is not None and before.shape == after.shape
        return (before.argmax(1) == after.argmax(1)).float() if same else None

    def frozen(self, groups: dict[str, list[str]], found: dict[str, Reading]) -> list[Loss]:
        """What is lost with each group at its mean: right answers, or without labels answers that are no longer the same."""
        able = {words: kept for words, names in groups.items() if (kept := [n for n in names if found[n].kind != "-"])}
        if not able:      # nothing was frozen, and nothing can be said: not that nothing is lost
            return []
        before = self.scores() if self.labels is not None else self.outputs()
        losses = []
        for words, names in able.items():
            with held(self.net, names, found):
                after = self.scores() if self.labels is not None else self.kept(before)
            if after is not None:
                losses.append(loss(words, before if self.labels is not None else torch.ones_like(after), after))
        return losses

    @contextmanager
    def settled(self) -> Iterator[Norms]:
        """While the block runs, the norms hold the statistics of these pictures: forward passes only, nothing is learned."""
        norms = {name: m for name, m in self.net.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
                 and m.track_running_stats and (m.num_batches_tracked or self.labels is not None)}
        stored = {name: copy.deepcopy(m.state_dict()) for name, m in norms.items()}
        modes = {name: (m.training, m.momentum) for name, m in norms.items()}
        before = self.scores() if norms and self.labels is not None else None
        try:
            for m in norms.values():
                m.reset_running_stats()
                m.momentum = None      # the plain mean over all that passes
                m.train()
            with torch.no_grad():
                for _, part in self.parts(min(self.at_once, LOOK)) if norms else ():
                    self.net(*part.args, **part.named)
            for name, m in norms.items():
                m.eval()
                if not m.num_batches_tracked:      # passed by: nothing is known of it
                    m.load_state_dict(stored[name])
            ratios = {name: (m.running_var / stored[name]["running_var"].clamp_min(1e-12)).median().item()
                      for name, m in norms.items()}
            worst = max(ratios, key=lambda n: abs(torch.tensor(ratios[n]).clamp_min(1e-12).log()), default="")
            gain = loss("norms settled", before, self.scores()) if before is not None else None
            yield Norms(worst, ratios.get(worst, 1.0), gain)
        finally:
            for name, m in norms.items():
                m.load_state_dict(stored[name])
                m.training, m.momentum = modes[name]


def groups_of(names: list[str]) -> dict[str, list[str]]:
    """What is frozen together: each place, or where there are many, all of one part of the network, such as layer3."""
    groups = {name: [name] for name in names}
    if len(groups) > PARTS:
        groups = {}
        for name in names:
            groups.setdefault(f"{name.split('.')[0]}.*", []).append(name)
    return groups if 1 < len(groups) <= PARTS else {}


def costs(net: nn.Module, example: Example) -> cost.Comparison | None:
    """With the attention, and without; None where the network takes more than one tensor of pictures."""
    if example.named or len(example.args) != 1 or not isinstance(example.args[0], Tensor):
        return None
    plain = duplicate(net)
    restore(plain)
    try:
        return cost.compare({"without": plain, "with attention": net}, example.args[0][:32], repeats=7, warm_up=2)
    except Exception:      # what a stranger's network or a converted one does not let itself be measured
        return None
