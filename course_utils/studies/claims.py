"""What has been published about the place of attention: who claims what, compared with what, and how far that carries.

    claims()              the claims of data/claims.toml, as a table
    print(claims()[0])    one of them, with every number, where it stands and what could make it noise

The file holds what others say, and nothing of ours. A number in it has been read where `where` says.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .. import names, tables
from ..paths import DATA, shipped

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = DATA / "claims.toml"
ASKS = ("depth", "clutter", "subtle", "both", "real", "norms")      # the studies of the answer that can speak to a claim
MAY_BE_EMPTY = ("interval", "asks")
NOT_SAID = "not said"
PAPER = re.compile(r"arXiv \d{4}\.\d{4,5}|doi 10\.\S+|github\.com/\S+")


def words(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


@dataclass(frozen=True)
class Arm:
    """One of the places that are compared; without a value where no number could be read."""

    arm: str
    value: float | str | None = None
    metric: str = ""

    @property
    def complete(self) -> bool:
        number = type(self.value) in (int, float) and math.isfinite(self.value)
        measured = (number or words(self.value)) and words(self.metric)
        return words(self.arm) and (measured or self.value is None and self.metric == "")


@dataclass(frozen=True)
class Claim:
    """A published claim; what each entry means is said at the top of data/claims.toml.

    Raises:
        ValueError: an entry that is empty or of the wrong kind; the message names the claim and the entry.
    """

    name: str
    says: str
    source: str
    paper: str
    where: str
    read: str
    compared: tuple[Arm, ...]
    host: str
    data: str
    n: int | str
    interval: str
    asks: str
    caution: str

    def __post_init__(self):
        for entry in [key for key in ENTRIES if key not in ("compared", "n")]:
            if not words(value := getattr(self, entry)) and (entry not in MAY_BE_EMPTY or value != ""):
                raise self.wrong(entry, f"wants words, got {value!r}")
        for entry, good, wanted in (
                ("paper", PAPER.fullmatch(self.paper), "'arXiv NUMBER', 'doi NUMBER' or 'github.com/OWNER/NAME'"),
                ("read", self.read.startswith(("paper, ", "repository, ")), "'paper, ...' or 'repository, ...': what was read"),
                ("asks", self.asks in ("", *ASKS), f"'' or one of {', '.join(ASKS)}"),
                ("n", self.n == NOT_SAID or type(self.n) is int and self.n >= 1, f"a number of runs, or {NOT_SAID!r}"),
                ("compared", len(self.compared) > 1 and all(arm.complete for arm in self.compared),
                 "two arms or more, each with a name, and with a value and its metric or with neither")):
            if not good:
                raise self.wrong(entry, f"wants {wanted}, got {getattr(self, entry)!r}")

    def wrong(self, entry: str, what: str) -> ValueError:
        return ValueError(f"claim {self.name!r}: {entry} {what}")

    def shown(self, value: float | str, metric: str) -> str:
        """With as many digits as the others of its metric: 22.20 beside 22.28."""
        numbers = [str(arm.value) for arm in self.compared if arm.metric == metric and not isinstance(arm.value, str)]
        return value if isinstance(value, str) else f"{value:.{max(len(n.partition('.')[2]) for n in numbers)}f}"

    @property
    def range(self) -> str:
        """From the smallest to the largest number of the first metric."""
        metric = next((arm.metric for arm in self.compared if isinstance(arm.value, int | float)), None)
        if metric is None:
            return "in words" if any(arm.value for arm in self.compared) else "none read"
        values = [arm.value for arm in self.compared if arm.metric == metric and not isinstance(arm.value, str)]
        return f"{self.shown(min(values), metric)} to {self.shown(max(values), metric)} {metric}"

    def __str__(self) -> str:
        arms = [f"  {a.arm}" + (f": {self.shown(a.value, a.metric)} ({a.metric})" if a.metric else "") for a in self.compared]
        return "\n  ".join([
            f"{self.name}: {self.says}", f"{self.source}; {self.paper}, {self.where}", f"Read: {self.read}",
            f"{self.host}; {self.data}; runs per cell: {self.n}; {self.interval or 'no interval'}", *arms,
            f"But: {self.caution}", *([f"Our study: {self.asks}"] if self.asks else [])])


ENTRIES = [field.name for field in fields(Claim)]


class Register(tuple[Claim, ...]):
    """The claims in the order of the file; printed, a table."""

    def __str__(self) -> str:
        return show(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.as_html(*rows(self), foot(self))


def claim(entry: Mapping[str, Any]) -> Claim:
    """One entry of the file. Raises ValueError as `Claim` does, and for one that is missing or not known."""
    name = entry.get("name", "without a name")
    for missing in [key for key in ENTRIES if key not in entry]:
        raise ValueError(f"claim {name!r}: {missing} is missing")
    for key in [key for key in entry if key not in ENTRIES]:
        raise ValueError(f"claim {name!r}: {names.unknown('entry', key, ENTRIES)}")
    try:
        return Claim(**{**entry, "compared": tuple(Arm(**arm) for arm in entry["compared"])})
    except TypeError as error:
        raise ValueError(f"claim {name!r}: compared is a list of {{arm = ..., value = ..., metric = ...}} ({error})") from error


def claims(path: Path = FILE) -> Register:
    """The claims of the file that ships with the course.

    Raises:
        FileNotFoundError: it is not there. ValueError: it is no TOML, a claim in it is incomplete, or two have one name.
    """
    found = Register(map(claim, tomllib.loads(shipped(path).read_text(encoding="utf-8")).get("claim", [])))
    for i, one in enumerate(found):
        if one.name in [other.name for other in found[:i]]:
            raise one.wrong("name", "is there twice")
    return found


def rows(found: Iterable[Claim]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table."""
    head = ["claim", "paper", "arms", "numbers", "runs per cell", "our study"]
    return head, [[c.name, c.paper, str(len(c.compared)), c.range, str(c.n), c.asks or "-"] for c in found]


def foot(found: Iterable[Claim]) -> str:
    """What the table amounts to."""
    found = tuple(found)
    numbers, repeated = sum(c.range != "none read" for c in found), sum(c.n not in (1, NOT_SAID) for c in found)
    intervals, asked = sum(c.interval != "" for c in found), sum(c.asks != "" for c in found)
    return (f"{len(found)} claims, {numbers} with numbers, {repeated} known to rest on more than one run per cell, {intervals} "
            f"with an interval. Our studies can speak to {asked}.")


def show(found: Iterable[Claim]) -> str:
    """The table in plain text."""
    found = tuple(found)
    return f"{tables.as_text(*rows(found))}\n{foot(found)}"
