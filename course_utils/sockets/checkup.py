"""What the doctor found: one finding a module, the answers to seven questions, and what to do; as text, table and figure."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import NamedTuple

from ..cost import Comparison
from ..stats import seeds_needed
from ..tables import as_html, as_text
from .gates import Reading
from .trials import Loss, Norms

POINT = 0.01      # what counts as a difference at all: one point of accuracy, or one picture in a hundred


class Fault(NamedTuple):
    """What is wrong, by its name in the doctor's table of faults, and in words, with what to do."""

    name: str
    words: str


@dataclass(frozen=True)
class Finding:
    """What was found at one module that was plugged in.

    `runs` is how often it is called for one picture, and `wanted` how often its place was passed when it was plugged in.
    `change` is the largest |difference| that it makes to its map, by the largest |value|; 0 at the identity start, None where
    it stands for something else (instead, head, fuse). `gradient` is the norm of the gradients of its parameters, None where
    none can be had. `silent`: nothing but zeros comes in, so that nothing can be learned there yet. `asleep`: no gradient
    comes for weights of the host that begin at zero, this one and its like. `untrained`: its weights are those that it was
    plugged in with. `reading` is what it weighs by, None with fewer pictures than eight.
    """

    name: str
    module: str
    runs: int
    wanted: int
    finite: bool = True
    change: float | None = None
    gradient: float | None = None
    frozen: bool = False
    silent: bool = False
    start: str = ""
    untrained: bool = False
    reading: Reading | None = None
    same: bool = False          # its gate is the same for each picture
    asleep: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def complaints(self) -> tuple[str, ...]:
        return tuple(fault.words for fault in self.faults)


@dataclass(frozen=True)
class Checkup:
    """What `doctor` found, a `Finding` for each module; printed as tables with what to do. True if there is no complaint.

    With pictures enough it also holds: `norms`, as they are and settled; `losses`, what is lost with each place, and with all,
    frozen at the mean gate (`scored`: right answers; otherwise answers that are no longer the same); `cost` with attention
    and without; and `spread`, that of pairs of runs, for the number of seeds.
    """

    findings: tuple[Finding, ...]
    host: str
    asked: bool = True          # for gradients: the outputs carry some
    pictures: int = 0           # 0: the second half was not asked
    scored: bool = False
    norms: Norms | None = None
    losses: tuple[Loss, ...] = ()
    cost: Comparison | None = None
    spread: float = POINT
    guess: float | None = None      # right answers of who always says what is commonest among the labels
    faults: tuple[Fault, ...] = ()      # of the network as a whole

    def __bool__(self) -> bool:
        return not self.complaints

    @property
    def named(self) -> tuple[str, ...]:
        """The names of all faults that were found, each once."""
        return tuple(dict.fromkeys(fault.name for holder in (*self.findings, self) for fault in holder.faults))

    @property
    def complaints(self) -> list[str]:
        """What is wrong and what to do, each once, with the modules that it concerns."""
        told: dict[str, list[str]] = {}
        for finding in self.findings:
            for complaint in finding.complaints:
                told.setdefault(complaint, []).append(finding.name)
        return [f"{who[0]}{f' and {len(who) - 1} more' if len(who) > 1 else ''}: {what}" for what, who in told.items()] \
            + [fault.words for fault in self.faults]

    @property
    def lost(self) -> Loss | None:
        """What is lost with all attention frozen."""
        return next((loss for loss in self.losses if loss.name == "all"), None)

    @property
    def rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        def number(value: float | None, form: str) -> str:
            return "-" if value is None else format(value, form)

        def gate(r: Reading | None) -> list[str]:
            if r is None or r.kind == "-":
                return ["-", "-"]
            return [f"{r.kind} {number(r.low, '.2g')} to {number(r.high, '.2g')}", number(r.between, ".1%")]

        head = ("plugged in", "module", "runs", "changes its map by", "gradient")
        rows = [[f.name, f.module, f"{f.runs} of {f.wanted}", number(f.change, ".1%"),
                 "frozen" if f.frozen else number(f.gradient, ".1e")] for f in self.findings]
        if not self.pictures:
            return head, rows
        return (*head, "weighs by, 5 to 95 %", "differs between pictures by"), \
            [row + gate(f.reading) for row, f in zip(rows, self.findings, strict=True)]

    @property
    def answers(self) -> list[tuple[str, str]]:
        """Each question of the doctor with its answer, in order; those that could not be asked say why."""
        def those(*names: str) -> int:
            return sum(any(fault.name in names for fault in f.faults) for f in self.findings)
        count = len(self.findings)
        lost_ones = those("gone", "does not run", "runs too often", "not finite")
        dead = those("no gradient", "gradient not finite") + sum(bool(f.asleep) for f in self.findings)
        gates = [f"{those(name)} {words}" for name, words in (
            ("saturated", "saturated"), ("untrained", "still at the start"), ("mixes pictures", "depending on other pictures"))
            if those(name)] + ([f"{same} the same for each picture"] if (same := sum(f.same for f in self.findings)) else [])
        return [("Does it run?", f"{count - lost_ones} of {count}"),
                ("Does a gradient reach it?", f"{count - dead - lost_ones} of {count}" if self.asked else "not asked: no output "
                 "carries one"),
                ("Does its gate look at the picture?", ", ".join(gates) or (
                    "nothing to complain of" if any(f.reading is not None and f.reading.kind != "-" for f in self.findings)
                    else "not asked: none could be read")),
                ("Do the norms fit?", self.fit), ("Frozen at its mean, what is lost?", self.use),
                ("What does it cost?", self.price), ("How many seeds would show it?", self.seeds)]

    @property
    def fit(self) -> str:
        if self.norms is None or not self.norms.worst:
            return "not asked: no norm holds statistics of training"
        gain = self.norms.settled
        told = f"variance now {self.norms.ratio:.2g} times what is stored in {self.norms.worst!r}, the furthest off"
        return f"right answers {gain.whole:.3f} as they are, {gain.left:.3f} settled; {told}" if gain else told

    @property
    def use(self) -> str:
        if self.lost is None:
            return "could not be asked: nothing here can be frozen, or the outputs have no row for each picture"
        if not self.scored:
            return (f"{self.lost.mean:.1%} of the answers become others ({self.lost.low:.1%} to {self.lost.high:.1%}, "
                    f"{self.pictures} pictures)")
        once = ", once the norms have settled" if "stale norms" in self.named else ""
        return (f"{self.lost.whole:.3f} right -> {self.lost.left:.3f}: {self.lost.mean:+.3f} lost ({self.lost.low:+.3f} to "
                f"{self.lost.high:+.3f}, {self.pictures} pictures{once})")

    @property
    def price(self) -> str:
        if self.cost is None:
            return "not measured: the network takes more than a batch of pictures"
        plain, ours = self.cost.costs.values()
        parts = [f"{name} {(b / a - 1):+.1%}" for name, a, b in (
            ("parameters", plain.parameters, ours.parameters), ("multiply-adds", plain.multiply_adds, ours.multiply_adds),
            ("time", plain.latency, ours.latency), ("memory", plain.memory, ours.memory)) if a]
        return (f"{', '.join(parts)} ({1e3 * plain.latency:.1f} to {1e3 * ours.latency:.1f} ms a batch of {self.cost.batch[0]}, "
                f"{self.cost.device})")

    @property
    def seeds(self) -> str:
        """Freezing says what this network uses; what plugging in gained, only a control over seeds can say."""
        lost = self.lost
        clear = lost is not None and self.scored and (lost.low > 0 or lost.high < 0) and abs(lost.mean) >= POINT / 10
        size = abs(lost.mean) if clear else POINT
        of = "the difference found by freezing" if clear else "one point"
        try:
            n = f"{seeds_needed(size, self.spread)} pairs of runs, with and without,"
        except ValueError:
            n = "more than 10,000 pairs of runs"
        return f"to see {size:.3f} ({of}) in four studies of five: {n} if pairs spread by {self.spread:.3g}"

    @property
    def foot(self) -> str:
        if not self.findings:
            return (f"{self.host}: nothing is plugged in. What plug_in has put in is looked at, and nothing else: no attention "
                    "that belongs to the model itself, or stands in a container.")
        count = len(self.findings)
        idle = sum(f.gradient == 0 for f in self.findings)
        reached = f"{count - idle or 'none'} of them" if idle else "each"
        learns = (f", their outputs are finite, and a gradient reaches {reached}" if self.asked else
                  " and their outputs are finite")
        well = f"{self.host}: all {count} modules run{learns}."
        moved = sum(f.start == "identity" and bool(f.change) for f in self.findings)
        silent = sum(f.silent for f in self.findings)
        told = [f"{moved} of {count} have left their identity start: by training, or because net.apply(init) has set their "
                "weights anew."] if moved and not self.scored else []
        told += [f"{silent} of {count} get a map of nothing but zeros, as behind a norm that starts at zero: they learn once "
                 "that has moved."] if silent else []
        asleep = [f.asleep for f in self.findings if f.asleep]
        told += [f"{len(asleep)} of {count} get no gradient yet, for weights of the host begin at zero, such as {asleep[0]}: "
                 "they learn once that has moved."] if asleep else []
        first = [f.name for f in self.findings if f.untrained]
        told += [f"{len(first)} of {count} still have the weights that they were plugged in with."] if first and not self.scored \
            else []
        same = [f.name for f in self.findings if f.same and not f.faults]
        told += [f"The same for each picture: {', '.join(same)}. Others are not, so this is no fault; it might as well not be "
                 "there."] if same else []
        told += [] if self.asked else ["No gradient was asked for: the outputs carry none (a detector that has found nothing, "
                                       "labels in place of logits, all weights frozen). Ask for a part, or with other pictures."]
        return "\n".join([*(self.complaints or [well]), *told])

    def figure(self):
        """Gates, what freezing loses, and the cost: a figure.

        Raises:
            ValueError: the second half was not asked.
        """
        from ..plots import checkup  # matplotlib, only where a picture is wanted
        if not self.pictures:
            raise ValueError(f"there is nothing to draw: {self.foot}" if not self.findings else
                             "there is nothing to draw: give the doctor pictures, eight or more, better some hundreds, and their "
                             "labels: doctor(model, pictures, labels)")
        gates = {f.name: (f.reading.low, f.reading.middle, f.reading.high) for f in self.findings
                 if f.reading is not None and f.reading.low is not None}
        losses = {loss.name: (loss.mean, loss.low, loss.high) for loss in self.losses}
        plain, ours = self.cost.costs.values() if self.cost else (None, None)
        ratios = {} if plain is None else {
            name: getattr(ours, field) / getattr(plain, field) - 1 for name, field in (
                ("parameters", "parameters"), ("multiply-adds", "multiply_adds"), ("time", "latency"), ("memory", "memory"))
            if getattr(plain, field)}
        return checkup(gates, losses, ratios, scored=self.scored, faults=self.named)

    def __str__(self) -> str:
        if not self.findings:
            return self.foot
        asked = [as_text(("question", "answer"), self.answers)] if self.pictures else []
        return "\n".join([*asked, as_text(*self.rows), self.foot])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.findings:
            return f"<p>{html.escape(self.foot)}</p>"
        return (as_html(("question", "answer"), self.answers) if self.pictures else "") + as_html(*self.rows, self.foot)
