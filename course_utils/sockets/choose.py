"""Which of the places of a socket are meant: by stage, by the names of layers, by a function of the place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from numbers import Integral

from torch import nn

from ..names import hint
from .places import Place

Layers = str | Iterable[str] | Callable[[Place], bool] | None


def of_stages(places: list[Place], stages: int | Iterable[int], last: int) -> list[Place]:
    """The places of these stages; `last` is how many the network has.

    Raises:
        ValueError: a stage that is not there, or none.
    """
    numbers = [stages] if isinstance(stages, str) or not isinstance(stages, Iterable) else list(stages)
    there = sorted({p.stage for p in places})
    if wrong := [n for n in numbers if isinstance(n, bool) or not isinstance(n, Integral) or n not in there]:
        named = (" Stages are numbers; by name choose with layers='layer4.*'." if isinstance(wrong[0], str) else
                 " The two ends of the network, 0, belong to no stage.")
        raise ValueError(f"stages={wrong[0]!r} is not there: this network has {last} stages (sizes of map), and this socket "
                         f"has places in {', '.join(map(str, there))}.{named}")
    if not numbers:
        raise ValueError("stages names no stage; leave it out for all of them")
    return [p for p in places if p.stage in numbers]


def matches(place: Place, pattern: str) -> bool:
    """Does the pattern fit the place's unit or its module, as file names are matched?"""
    return fnmatchcase(place.unit, pattern) or fnmatchcase(place.module, pattern)


def patterns_in(layers: Layers) -> list[str]:
    """The name patterns.

    Raises:
        TypeError: something else.
    """
    names = [layers] if isinstance(layers, str) else list(layers) if isinstance(layers, Iterable) else [None]
    if isinstance(layers, nn.Module) or not all(isinstance(name, str) for name in names):
        def short(item) -> str:      # a module's repr is a page long
            return type(item).__name__ if isinstance(item, nn.Module) else repr(item)
        got = f"[{', '.join(map(short, layers))}]" if isinstance(layers, list | tuple) else short(layers)
        raise TypeError(f"layers must be a name pattern such as 'layer4.*', several of them, or a function of a Place; got {got}"
                        ". list_sockets(model) shows the names.")
    return names


def of_names(places: list[Place], patterns: list[str]) -> list[Place]:
    """The places that one of the patterns fits.

    Raises:
        ValueError: a pattern that fits none.
    """
    for pattern in patterns:
        if not any(matches(p, pattern) for p in places):
            units = [p.unit for p in places]
            raise ValueError(f"layers={pattern!r} matches none of the {len(units)} places. They are called {units[0]!r} to "
                             f"{units[-1]!r}.{hint(pattern, units, 0.3)} list_sockets(model) shows them all; "
                             "single convolutions of a network with blocks need unit='conv'.")
    return [p for p in places if any(matches(p, pattern) for pattern in patterns)]


def choose(places: list[Place], stages, layers: Layers, last: int) -> list[Place]:
    """Those of the wanted stages whose names match.

    Raises:
        ValueError: a stage that is not there, a pattern that matches nothing. TypeError: neither names nor a function.
    """
    if stages is not None:
        places = of_stages(places, stages, last)
    if layers is None:
        return places
    if callable(layers) and not isinstance(layers, nn.Module):
        chosen, wanted = [p for p in places if layers(p)], "the predicate"
    else:
        chosen, wanted = of_names(places, patterns_in(layers)), f"layers={layers!r}"
    if not chosen:
        raise ValueError(f"{wanted} leaves none of the {len(places)} places. list_sockets(model) shows them, with the fields of "
                         "a Place: socket, unit, module, stage, channels, size.")
    return chosen
