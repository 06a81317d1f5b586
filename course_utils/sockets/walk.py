"""A container that attention joins is walked over as before: attention is a part of it, and no step of it.

`nn.Sequential`, `nn.ModuleList`, `nn.ModuleDict` and what is derived from them run what they hold, and some forwards go
through `self.children()`. They must not meet the attention there: it would run a second time, in another place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from torch import nn

WALKS = {"children", "named_children"}


class Running(threading.local):
    """What is running in this thread: forwards that were set on objects, and modules whose forward asks for its children.

    A copy of a module may share such a forward with the module.
    """

    def __init__(self):
        self.forwards: list[Callable] = []
        self.walking: list[nn.Module] = []


RUNNING = Running()


def steps(module: nn.Module) -> dict[str, nn.Module]:
    """What the module held before attention joined it, by name."""
    return {name: part for name, part in module._modules.items() if name not in module._plugged_parts}


def bare(module: nn.Module) -> nn.Module:
    """The container as it was, around the same modules; only to ask it something."""
    host = type(module)._plugged_host
    twin = host.__new__(host)
    vars(twin).update(vars(module), _modules=steps(module))
    return twin


class OverList:
    """Of `nn.Sequential` and `nn.ModuleList`."""

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(steps(self).values())

    def __len__(self) -> int:
        return len(steps(self))

    def __getitem__(self, index):
        return bare(self)[index]


class OverDict:
    """Of `nn.ModuleDict`."""

    def __iter__(self) -> Iterator[str]:
        return iter(steps(self))

    def __len__(self) -> int:
        return len(steps(self))

    def keys(self):
        return steps(self).keys()

    def items(self):
        return steps(self).items()

    def values(self):
        return steps(self).values()


class OverChildren:
    """Of a module whose forward goes through `self.children()`: while that forward runs, attention is no child."""

    def forward(self, *args, **kwargs):
        RUNNING.walking.append(self)
        try:
            return super().forward(*args, **kwargs)
        finally:
            RUNNING.walking.pop()

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        here = any(module is self for module in RUNNING.walking)
        return ((name, part) for name, part in super().named_children() if not here or name not in self._plugged_parts)


def walkers(host: type[nn.Module]) -> tuple[type, ...]:
    """What a class needs so that attention is left out where it goes through what it holds."""
    found = [OverList] if issubclass(host, nn.Sequential | nn.ModuleList) else []
    found += [OverDict] if issubclass(host, nn.ModuleDict) else []
    code = getattr(host.forward, "__code__", None)
    return (*found, *([OverChildren] if code and WALKS & set(code.co_names) else []))
