"""A name that is not known: one way to say so, with the closest one and all that there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")
MOST = 100      # of more names than these a message lists the closest alone


def hint(name: object, known: Iterable[str], cutoff: float = 0.4) -> str:
    """" Did you mean 'se'?", or nothing where no known name is close."""
    near = get_close_matches(str(name).lower(), list(known), 1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, name: object, known: Iterable[str], cutoff: float = 0.4) -> ValueError:
    """The error to raise: "unknown task 'wat'. Did you mean 'what'? Known: what, where, ..."."""
    known = list(known)
    listed = known if len(known) <= MOST else [*(get_close_matches(str(name).lower(), known, 8, cutoff) or known[:8]),
                                               f"... ({len(known):,} in all)"]
    return ValueError(f"unknown {kind} {name!r}.{hint(name, known, cutoff)} Known: {', '.join(listed)}")


def find(kind: str, name: object, known: Mapping[str, T], cutoff: float = 0.4) -> T:
    """known[name].

    Raises:
        ValueError: no such name; the message lists the names and the closest one.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    raise unknown(kind, name, known, cutoff)
