"""A reader's guess beside what came out: what was meant counts, not how it is written."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

NUMBER = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?)\s*(?:/\s*(\d+))?\s*(%?)", re.I)
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?!\d)")      # as the tables of the course write them; 0,125 is a share
NOTHING = {"none", "nothing", "no", "zero", ""}
ROUNDING = 1e-9      # 0.55 - 0.5 is more than 0.05


def number(value: Any) -> float | None:
    """What is meant by 0.9, Fraction(9, 10), "0,9", "90 %", "9/10", "1,200" or "none"; None where it is no number."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):      # of numpy or torch
        value = value.item()
    if isinstance(value, str):
        text = value.strip()
        found = NUMBER.fullmatch(text.replace(",", "") if THOUSANDS.match(text) else text)
        if not found:
            return 0.0 if plain(value) in NOTHING else None
        shown, below, percent = found.groups()
        if below and not int(below):
            return None
        return float(shown.replace(",", ".")) / int(below or 1) / (100 if percent else 1)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def plain(text: Any) -> str:
    """Without capitals, and with spaces for hyphens and underscores."""
    return " ".join(re.sub(r"[-_\s]+", " ", str(text)).lower().split())


def parts(guess: Any) -> list[Any]:
    """The members of a guess that may be a list, a set, or one text: "SE, ECA", "SE and ECA", "none"."""
    if isinstance(guess, str):
        guess = [part for part in re.split(r",|\band\b|&", guess) if plain(part) not in NOTHING]
    return list(guess) if isinstance(guess, list | tuple | set | frozenset) else [guess]


def meets(guess: Any, came_out: Any, within: float = 0.0) -> bool | None:
    """Is the guess what came out? None where the two cannot be compared: a word for a number.

    Numbers agree if they are `within` so much. Of a set the order does not matter. For a list, one number stands for all of
    its members; for a dictionary, its values in their order may be given without the names.
    """
    if isinstance(came_out, set | frozenset):
        return set(map(plain, parts(guess))) == set(map(plain, came_out))
    if isinstance(came_out, dict):
        if isinstance(guess, dict):
            return guess.keys() == came_out.keys() and all(meets(guess[name], value, within) for name, value in came_out.items())
        return meets(guess, list(came_out.values()), within)
    if isinstance(came_out, list | tuple):
        given = parts(guess)
        given = given * len(came_out) if len(given) == 1 and number(given[0]) is not None else given
        return len(given) == len(came_out) and all(meets(*pair, within) for pair in zip(given, came_out, strict=True))
    if isinstance(came_out, str):
        joined = guess if isinstance(guess, str) else ", ".join(map(str, parts(guess)))
        return list(map(plain, joined.split(","))) == list(map(plain, came_out.split(",")))
    wanted, meant = number(came_out), number(guess)
    if wanted is None:
        return guess == came_out
    return None if meant is None else abs(meant - wanted) <= within + ROUNDING
