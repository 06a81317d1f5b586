"""Does the network use what its attention sees? Change the gates of a trained network while it runs, and score it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from .base import Mechanism

CHANGED = ("gate", "map", "weights", "theta", "offsets")      # what else is noted is a part of these, or follows from them
At = str | Sequence[str] | None


def chosen(net: nn.Module, at: At) -> dict[str, Mechanism]:
    """Those whose names match.

    Raises:
        ValueError: there is no attention in `net`, or none with such a name.
    """
    found = {name or type(m).__name__: m for name, m in net.named_modules() if isinstance(m, Mechanism)}
    if not found:
        raise ValueError(f"no mechanism in this {type(net).__name__}, so there is no gate to change. Plug one in first: "
                         "plug_in(net, 'se', at='post').")
    patterns = ["*"] if at is None else at if isinstance(at, list | tuple) else [at]
    if strange := [pattern for pattern in patterns if not isinstance(pattern, str)]:
        raise ValueError(f"at={strange[0]!r} is no name. Names are {', '.join(found)}. A star stands for anything: "
                         "at='layer1.*'.")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise ValueError(f"at={pattern!r} names no mechanism of this {type(net).__name__}. It has: {', '.join(found)}. "
                             "A star stands for anything: at='layer1.*'.")
    return {name: m for name, m in found.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


@contextmanager
def changing(net: nn.Module, at: At, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While the block runs, `edit` of what the chosen mechanisms weigh by takes its place."""
    modules = chosen(net, at)
    heard: set[str] = set()
    before = {name: m.editor for name, m in modules.items()}

    def editor(owner: str) -> Callable[[str, Tensor], Tensor]:
        inner = before[owner]      # an intervention around this one comes first

        def change(name: str, value: Tensor) -> Tensor:
            value = inner(name, value) if inner is not None else value
            if name not in CHANGED:
                return value
            heard.add(owner)
            if len(value) < 2:
                raise ValueError(f"{owner} sees a single picture, and its gate is compared with those of others: run a batch of "
                                 "at least 2, better some hundreds.")
            return edit(value)
        return change

    ran = [False]
    handle = net.register_forward_hook(lambda *_: ran.__setitem__(0, True))
    try:
        for name, module in modules.items():
            module.editor = editor(name)
        yield
    finally:
        handle.remove()
        for name, module in modules.items():
            module.editor = before[name]
    parts = {id(part) for name in heard for part in modules[name].modules()}      # of CBAM, whose gate is the product of two
    if ran[0] and (unheard := [name for name, m in modules.items() if id(m) not in parts]):
        raise ValueError(f"{', '.join(unheard)}: nothing was changed there, though the network ran. A mechanism of your "
                         "own hands out its gate, and goes on with what comes back: gate = self.note('gate', gate).")


@contextmanager
def frozen(net: nn.Module, at: At = None) -> Iterator[None]:
    """Every picture gets the mean gate of its batch: what is left is attention that no longer looks at the picture.

        with attention.frozen(net, at="layer1.*"):
            print(train.accuracy(net, batch))

    What is changed is what a mechanism weighs by: the gate (N, C or 1, H or 1, W or 1), the map of mixing and pooling
    (N, heads, places, places), the weights over kernels (N, K), the weights and the places of the samples of a deformable
    convolution, the six numbers of a spatial transformer. Of a gate at its mean the network keeps the average and loses the
    difference between pictures; if the accuracy stays, that difference was of no use. Take a large batch: the mean is over the
    pictures that run together. Interventions may be nested, the outer one first.

    Args:
        net: with mechanisms in it; in evaluation mode, or norms see the changed maps and learn from them.
        at: names of mechanisms, as `attention.read` has them, with stars (`receipt.names` are such names); None: all.

    Raises:
        ValueError: nothing to change, a name that is not there, a batch of one, or a mechanism that hands no gate out.
    """
    with changing(net, at, lambda value: value.mean(0, keepdim=True).expand_as(value)):
        yield


@contextmanager
def shuffled(net: nn.Module, at: At = None, seed: int = 0) -> Iterator[None]:
    """Every picture gets the gate of another picture of its batch: the same one in all places, and never its own.

    As `frozen`, but each gate is one that the network has seen: the mean of gates may be none that it knows.

    Args:
        net, at: as for `frozen`.
        seed: of the order; the same for every batch of that size.

    Raises:
        ValueError: as `frozen`.
    """
    with changing(net, at, lambda value: value[others(len(value), seed).to(value.device)]):
        yield


def others(n: int, seed: int) -> Tensor:
    """For each of n another one: an order (n,) in which nobody keeps its place, all in one ring."""
    ring = torch.randperm(n, generator=torch.Generator().manual_seed(seed), device="cpu")
    order = torch.empty_like(ring)
    order[ring] = ring.roll(1)
    return order


@contextmanager
def swapped(net: nn.Module, labels: Tensor, at: At = None, seed: int = 0) -> Iterator[None]:
    """Every picture gets the gate of a picture of another class: does the gate carry the class, or what else is in the picture?

    `labels` need not be the classes of the task: with the colour of the frame, or the place of the dot, the gates are swapped
    between pictures that ask for different things. Compare with `shuffled`, which takes any other picture.

    Args:
        net, at, seed: as for `shuffled`.
        labels: (N,), of the batch that will run, in its order.

    Raises:
        ValueError: as `frozen`; labels that are not one for each picture, or of one class only.
    """
    labels = torch.as_tensor(labels).detach().cpu()
    if labels.ndim != 1 or len(labels.unique()) < 2:
        raise ValueError(f"labels must be (N,) with at least two classes, got shape {tuple(labels.shape)} with "
                         f"{len(labels.unique())}. With a single class there is no other to swap with.")
    different = (labels[:, None] != labels[None]).float()
    partner = torch.multinomial(different, 1, generator=torch.Generator().manual_seed(seed))[:, 0]

    def edit(value: Tensor) -> Tensor:
        if len(value) != len(partner):
            raise ValueError(f"swapped got {len(partner)} labels and a batch of {len(value)}: one for each picture is wanted, "
                             "and the whole batch in one pass.")
        return value[partner.to(value.device)]

    with changing(net, at, edit):
        yield
