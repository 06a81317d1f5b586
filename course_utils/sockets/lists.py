"""Arguments that are lists or dicts of tensors, as pyramids and necks get them: torch.fx is told what they hold.

By itself it puts one stand-in in the place of a whole argument, or of all that a module gives, and a forward that goes
through it cannot be read. What was in it in the run is noted with the place.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, fx


class Holds(NamedTuple):
    """A container: its type, its keys (of a list the positions), and what lies under each.

    `Tensor` stands for any tensor, a container for itself; texts, None, True and False are themselves, as the names of a
    pyramid's maps, or the skip that a decoder does not have.
    """

    kind: type
    keys: tuple
    parts: tuple


class Held(NamedTuple):
    """What goes through one forward in containers."""

    arguments: tuple[tuple[int | str, Holds], ...] = ()      # by position or name
    calls: tuple[tuple[str, Holds], ...] = ()                # what the modules in it give, by name

    def __repr__(self) -> str:
        return f"Held({told(self)})"


UNREAD = object()
MAPPINGS = (dict, OrderedDict)


def held(args: tuple, kwargs: dict) -> Held:
    """The arguments that are containers with tensors in them."""
    found = [(key, look_into(value)) for key, value in (*enumerate(args), *kwargs.items())]
    return Held(tuple((key, holds) for key, holds in found if has_tensors(holds)))


def has_tensors(holds) -> bool:
    """Is it a container that can be taken apart, with tensors in it?"""
    return isinstance(holds, Holds) and any(part is Tensor or has_tensors(part) for part in holds.parts)


def look_into(value):
    """What it holds; `UNREAD` where there is anything that may be another in the next run."""
    if isinstance(value, Tensor):
        return Tensor
    if value is None or isinstance(value, str | bool):
        return value
    if type(value) not in (list, tuple, *MAPPINGS):
        return UNREAD
    keys = tuple(value) if type(value) in MAPPINGS else tuple(range(len(value)))
    parts = tuple(look_into(value[key]) for key in keys)
    return UNREAD if UNREAD in parts else Holds(type(value), keys, parts)


def taken_apart(given: fx.Proxy, holds):
    """The container itself, with a stand-in for each tensor in it."""
    if not isinstance(holds, Holds):
        return given if holds in (Tensor, UNREAD) else holds
    parts = [taken_apart(given[key], part) for key, part in zip(holds.keys, holds.parts, strict=True)]
    return holds.kind(zip(holds.keys, parts, strict=True) if holds.kind in MAPPINGS else parts)


def in_order(tracer: fx.Tracer, value: OrderedDict) -> fx.Node:
    """An OrderedDict that a forward gives on; torch.fx would note a plain dict."""
    pairs = [(key, tracer.create_arg(part)) for key, part in value.items()]
    return tracer.create_node("call_function", OrderedDict, (pairs,), {})


def refuse_others(name: str, args: tuple, kwargs: dict, wanted: Held) -> None:
    """A forward that was read for three maps would leave a fourth one out, without a word.

    Raises:
        ValueError: an argument does not hold what it held when attention was plugged in.
    """
    if keys(got := held(args, kwargs)) != keys(wanted):
        raise ValueError(f"{name} was given {told(wanted)} when attention was plugged in where its maps meet, and is given "
                         f"{told(got)} now. unplug() it, and plug in again with inputs= as it gets them now.")


def keys(found):
    """All that is to be the same from one run to the next; a tuple does for a list."""
    if isinstance(found, Held):
        return tuple((key, keys(holds)) for key, holds in found.arguments)
    return (found.keys, tuple(map(keys, found.parts))) if isinstance(found, Holds) else found


def told(found: Held) -> str:
    """In words."""
    return " and ".join(f"one {holds.kind.__name__} of {len(holds.keys)} ({', '.join(map(str, holds.keys))})"
                        for _, holds in found.arguments) or "no list or dict of maps"
