"""What was found in the pictures, and what it means for the comparison, in words."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..tables import as_html, as_text
from ..tasks.pictures import SHOWN

UNEVEN = 1.5      # the largest class has so many times the pictures of the smallest: the balanced accuracy is compared
FEW = 1000      # pictures: below that each seed divides them anew, because one test set would be a matter of luck
MEANS = {
    "grey": "of grey tones alone, which are repeated for red, green and blue",
    "16 bits": "of 16 bits, brought to 8",
    "CMYK": "in the colours of a printer (CMYK), made RGB; their colours may be off",
    "animated": "of several frames, of which the first is taken",
    "transparent": "with transparency, laid on white",
    "very large": "with a side of 10,000 pixels or more: of a JPEG a smaller version is unpacked, and all are cut to the middle "
                  "square, which is a small part of a panorama",
}


@dataclass(frozen=True)
class Twins:
    """Pictures that are there more than once, to the pixel."""

    more: int = 0      # than one of each
    leaking: int = 0      # test pictures that are among the training pictures too
    leaks: tuple[str, ...] = ()      # some of them
    clashing: int = 0      # pictures that are there under two labels
    clashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What `look` has found. Printed, a table of the classes and a sentence for each finding."""

    source: str
    task: str      # as a trial names it
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]      # split ("" where there is none) -> class -> pictures that can be read
    own_split: bool
    listed: int
    opened: int
    sides: tuple[int, int, int]      # of the shorter side in pixels: smallest, median, largest
    kinds: Mapping[str, int]      # what is special -> how many
    broken: tuple[str, ...]
    others: Mapping[str, int]      # ending -> files that are no pictures, or of a kind that is not read
    twins: Twins
    telling: tuple[str, ...]
    seconds: float
    print: str      # of all pictures: has the folder changed since?

    @property
    def total(self) -> int:
        return sum(map(sum, (count.values() for count in self.counts.values())))

    @property
    def of_class(self) -> dict[str, int]:
        return {name: sum(count[name] for count in self.counts.values()) for name in self.classes}

    @property
    def uneven(self) -> bool:
        """Would a guess at the largest class score well? Then the balanced accuracy is what is compared."""
        return max(self.of_class.values()) > UNEVEN * min(self.of_class.values())

    @property
    def split(self) -> str:
        """How trials divide the pictures: the setting `split` of a trial."""
        return "" if self.own_split else "by_seed" if self.total < FEW else "once"

    @property
    def tests(self) -> int:
        """How many pictures there are to test on."""
        if self.own_split:
            return sum(self.counts["test"].values())
        return sum(min(max(round(0.2 * n), 1), n - 1) for n in self.of_class.values())

    @property
    def words(self) -> list[str]:
        """What was found and what is done about it, a sentence each."""
        few, many = min(self.of_class.values()), max(self.of_class.values())
        small, middle, large = self.sides
        side = f"{small} pixels" if small == large else f"{small} to {large} pixels, in half of them {middle} or more"
        each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        said = [f"{self.total:,} pictures in {len(self.classes)} classes, {each} each; the shorter side has {side}."]
        if self.opened < self.listed:
            said.append(f"Opened were {self.opened:,} of {self.listed:,}, in a mixed order, for want of time; what follows is "
                        "said of these.")
        said.append({"": f"It has a split of its own: {self.tests:,} pictures are tested on.",
                     "once": f"{self.tests:,} pictures are kept back to test on, the same for all seeds; copies of one picture "
                             "stay on one side.",
                     "by_seed": f"So few pictures that one test set would be a matter of luck: each seed keeps back {self.tests} "
                                f"others to test on, and a single run moves in steps of {100 / self.tests:.1f} points. Copies of "
                                "one picture stay on one side."}[self.split])
        if self.uneven:
            said.append("The classes differ much in size: compared is the balanced accuracy, the mean over classes of the "
                        "accuracy on each.")
        said += [f"{number:,} {MEANS[kind]}." for kind, number in self.kinds.items()]
        if self.broken:
            more = f"; and {len(self.broken) - SHOWN} more" if len(self.broken) > SHOWN else ""
            said.append(f"{len(self.broken)} cannot be read and {'is' if len(self.broken) == 1 else 'are'} left out: "
                        f"{'; '.join(self.broken[:SHOWN])}{more}.")
        if self.others:
            said.append("Files that are not looked at: " + ", ".join(f"{n} {kind}" for kind, n in self.others.items())
                        + ". Convert them to PNG or JPEG if they are pictures.")
        return said + self.warnings

    @property
    def warnings(self) -> list[str]:
        """What may make the answer wrong."""
        t, said = self.twins, []
        if self.own_split and t.leaking:
            said.append(f"Leak: {t.leaking:,} of {self.tests:,} test pictures ({t.leaking / self.tests:.1%}) are among the "
                        f"training pictures too, such as {'; '.join(t.leaks[:3])}. What was learnt by heart counts as right "
                        "there, for all arms alike; take them out of one of the two.")
        elif t.more:
            said.append(f"{t.more:,} {'copy' if t.more == 1 else 'copies'} of pictures that are there already, to the pixel.")
        if t.clashing:
            said.append(f"{t.clashing:,} pictures are there under two labels, such as {'; '.join(t.clashes[:3])}: one of the "
                        "two is wrong.")
        return said + [f"Label leak: {what}. A network may read that instead of what is shown; save all classes in the same way."
                       for what in self.telling]

    @property
    def rows(self) -> tuple[list[str], list[list[str]]]:
        splits = list(self.counts)
        head = ["class", *(split or "pictures" for split in splits)]
        rows = [[name, *(f"{self.counts[split][name]:,}" for split in splits)] for name in self.classes]
        if len(rows) > 2 * SHOWN:      # those with the fewest are what matters
            rows = sorted(rows, key=lambda row: int(row[1].replace(",", "")))[:SHOWN] + [["...", *[""] * len(splits)]]
        return head, rows

    def __str__(self) -> str:
        return "\n".join([as_text(*self.rows), *self.words])

    def _repr_html_(self) -> str:
        return as_html(*self.rows) + "".join(f"<p>{html.escape(line)}</p>" for line in self.words)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Survey:
        twins = Twins(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry["twins"].items()})
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in {**entry, "twins": twins}.items()})
