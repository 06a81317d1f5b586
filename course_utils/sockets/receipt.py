"""What was plugged where: the receipt of plug_in, and the list of all places, as tables."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from ..tables import as_html, as_text
from .places import Place

UNIT = {"block": "blocks", "conv": "convolutions"}
MOST_ROWS = 16      # a longer receipt is shown by stages
CODE = """from course_utils.sockets import plug_in, unplug

receipt = plug_in(net, "{}", at="{}")
print(receipt)           # what, where, how much
...                      # train, measure
unplug(net)              # as it was"""


def by_stage(places: Sequence[Place], numbers: Sequence[int] | None = None) -> list[list[str]]:
    """Rows of places, one for each socket, stage and number of channels, with the numbers added up."""
    groups: dict[tuple, list[int]] = {}
    for i, place in enumerate(places):
        groups.setdefault((place.socket, place.stage, place.channels, place.size), []).append(i)
    rows = []
    for (socket, stage, channels, size), members in groups.items():
        first, last = (places[i].module or "the network" for i in (members[0], members[-1]))
        names = first if len(members) == 1 else f"{first} to {last}"
        rows.append([socket, str(stage or "-"), str(len(members)), names, str(channels), "x".join(map(str, size))]
                    + ([f"{sum(numbers[i] for i in members):,}"] if numbers else []))
    return rows


class SocketList(list):
    """Every place of a network, printed as a table. Its entries are `Place`; `missing` are the sockets that it does not have."""

    def __init__(self, places: Sequence[Place], missing: Sequence[str], size: tuple[int, ...], unit: str, host: str,
                 units: int = 0):
        super().__init__(places)
        self.missing, self.input_size, self.unit, self.host, self.units = tuple(missing), size, unit, host, units

    HEAD = ("socket", "stage", "places", "modules", "channels", "map")

    @property
    def foot(self) -> str:
        size = "x".join(map(str, self.input_size))
        lack = f" It has no {', '.join(self.missing)}." if self.missing else ""
        return f"{self.host} on a picture of {size}; unit: {self.unit}.{lack}"

    def __str__(self) -> str:
        return f"{as_text(self.HEAD, by_stage(self))}\n{self.foot}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.HEAD, by_stage(self), self.foot)


@dataclass(frozen=True)
class Receipt:
    """What plug_in did: the places, the names of the new modules, and how many parameters each brought.

    `removed` counts the parameters of convolutions that were set aside. Printed, it is a table; in a notebook, with the
    emblem above it, its sockets lit.
    """

    attention: str
    at: str
    start: str
    host: str
    places: tuple[Place, ...]
    names: tuple[str, ...]
    added: tuple[int, ...]
    removed: int = 0
    units: int = 0                                  # blocks or convolutions of the host
    missed: tuple[tuple[str, str], ...] = ()        # those without a place at this socket, and why
    unit: str = "block"
    unproved: str = ""                              # why the outputs could not be compared, if so

    def __len__(self) -> int:
        return len(self.names)

    @property
    def parameters(self) -> int:
        """Parameters added to the host, less those set aside."""
        return sum(self.added) - self.removed

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(p.channels for p in self.places)

    def modules(self, model: nn.Module) -> list[nn.Module]:
        """The new modules, in the order of the names."""
        return [model.get_submodule(name) for name in self.names]

    @property
    def rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        if len(self) > MOST_ROWS:
            return ("socket", "stage", "places", "modules", "channels", "map", "parameters"), by_stage(self.places, self.added)
        rows = [[p.socket, str(p.stage or "-"), name, str(p.channels), "x".join(map(str, p.size)), f"{n:,}"]
                for p, name, n in zip(self.places, self.names, self.added, strict=True)]
        return ("socket", "stage", "new module", "channels", "map", "parameters"), rows

    @property
    def reach(self) -> str:
        """Which units of the host were not reached, and why; empty where all were."""
        if not self.missed:
            return ""
        whys = Counter(why for _, why in dict(self.missed).items())
        told = "; ".join(f"{count}: {why}" for why, count in whys.most_common())
        return f" {self.units - whys.total()} of {self.units} {UNIT[self.unit]}; of the others {told}."

    @property
    def foot(self) -> str:
        less = f", {self.removed:,} set aside" if self.removed else ""
        shared = sum(p.calls > 1 for p in self.places)
        twice = (f" {shared} of them in a module that the host uses more than once; they are shared in the same way."
                 if shared else "")
        return (f"{self.attention} at {self.at!r} of {self.host}, {self.start} start: {len(self)} module{'s' * (len(self) > 1)}, "
                f"{sum(self.added):,} parameters added{less}.{self.reach}{twice}"
                + (f" Its outputs were not compared with those of before: {self.unproved}." if self.unproved else ""))

    def emblem(self):
        """The host block of the course with these sockets lit: a figure."""
        from ..plots import emblem  # matplotlib, only where a picture is wanted
        return emblem(dict.fromkeys(p.socket for p in self.places))

    def card(self, facts: Mapping[str, str] = MappingProxyType({})):
        """The same on one page, with the call that plugs it in: a figure. `facts` are added, a line each."""
        from ..plots import card
        told = {"host": self.host, "places": str(len(self))}
        for name, p in (("first", self.places[0]), ("last", self.places[-1])):
            shape = ", ".join(map(str, ("N", p.channels, *p.size)))
            told |= {name: f"{p.side} {p.module or 'network'}", f"{name} shape": shape}
        told["parameters"] = f"{self.parameters:+,}"
        return card(self.at, told | dict(facts), CODE.format(self.attention, self.at), title=f"{self.attention} at {self.at}")

    def __str__(self) -> str:
        return f"{as_text(*self.rows)}\n{self.foot}"

    def _repr_html_(self) -> str:
        import base64

        from ..plots.look import css_width, sentence, to_png
        figure = self.emblem()
        png = to_png(figure)
        picture = (f'<img alt="{html.escape(figure.alt)}" width="{css_width(png)}" style="max-width:100%" '
                   f'src="data:image/png;base64,{base64.b64encode(png).decode()}">')
        return picture + sentence(figure.alt) + as_html(*self.rows, self.foot)
