"""What a network remembers of what was plugged into it: so that a loss is noticed, and training that never came."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

MEMORY = "_attention_places"      # the name of the note in a module


class Remembered(NamedTuple):
    """Of one plugged module: how often it was called for one picture, its start, and a print of its first weights."""

    calls: int | None = None
    start: str = ""
    weights: tuple[float, ...] | None = None


def weighed(module: nn.Module) -> tuple[float, ...] | None:
    """A print of a module's weights: two sums of each, the same on every device, which training changes. None on "meta"."""
    if any(p.is_meta for p in module.parameters()):
        return None
    numbers = [p.detach().cpu().double().flatten() for p in module.parameters()]
    return tuple(n for p in numbers for n in (p.sum().item(), p.square().sum().item()))


def remember(net: nn.Module, told: dict[str, Remembered]) -> None:
    """Note in the network what was plugged into it.

    In the network and in each part that holds some of it: what is made of a part, as by merging adapters, still knows.
    """
    for at, module in net.named_modules():
        start = f"{at}." if at else ""
        inside = {name.removeprefix(start): tuple(one) for name, one in told.items() if name.startswith(start)}
        if inside and not at.rpartition(".")[2].startswith("attention_"):
            vars(module)[MEMORY] = {**vars(module).get(MEMORY, {}), **inside}


def forget(net: nn.Module, stays: Callable[[str], bool]) -> None:
    """Take what is unplugged out of that note; `stays` says of a name whether it is not."""
    for module in net.modules():
        if MEMORY in vars(module):
            kept = {name: told for name, told in vars(module)[MEMORY].items() if stays(name)}
            vars(module).pop(MEMORY)
            if kept:
                vars(module)[MEMORY] = kept


def remembered(net: nn.Module) -> dict[str, Remembered]:
    """What was plugged into the network and its parts, by name."""
    return {f"{at}.{name}".lstrip("."): Remembered(*told) for at, module in net.named_modules()
            for name, told in vars(module).get(MEMORY, {}).items()}
