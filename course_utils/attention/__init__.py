"""Every mechanism of the course, by name: `REGISTRY["se"] -> SE`, `build("se", channels)`."""

from __future__ import annotations

from difflib import get_close_matches

from torch import nn

from .base import Gate
from .channel import ECA, SE, GatedChannel

REGISTRY: dict[str, type[nn.Module]] = {
    "se": SE,
    "eca": ECA,
    "gct": GatedChannel,
}

__all__ = ["ECA", "REGISTRY", "SE", "Gate", "GatedChannel", "build", "find"]


def find(name: str) -> type[nn.Module]:
    """The class of a mechanism.

    Raises:
        ValueError: no such name; the message lists the names and the closest one.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    near = get_close_matches(str(name).lower(), REGISTRY, 1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown mechanism {name!r}.{hint} Known: {', '.join(sorted(REGISTRY))}")


def build(name: str, channels: int, **options) -> nn.Module:
    """Make a mechanism for `channels` channels: `build("se", 64, reduction=4)`.

    Raises:
        ValueError: unknown name, or an argument that the mechanism refuses.
    """
    return find(name)(channels, **options)
