"""Every place of a network where attention can be plugged in, by the name of its socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from .probe import Call, Node, Run
from .skip import count_skips
from .units import ELEMENTWISE, Unit, blocks, convolutions, single_convolutions, with_norm

SOCKETS = ("input", "pre", "inner", "post", "after_add", "identity", "between", "instead", "head", "both")
UNITS = ("block", "conv")
POOLS = frozenset({"mean", "adaptive_avg_pool2d", "avg_pool2d", "flatten", "squeeze", "view", "reshape"})


@dataclass(frozen=True)
class Place:
    """One place for attention.

    `module` is the module that attention joins, and `side` says how: "before" it, "after" it, on the "skip" of the addition
    in its forward, or "instead" of it. `unit` is the block or convolution that the place belongs to, `channels` and `size`
    (H, W) those of the map there, `stage` the number of the unit's map size, from 1; 0 at the two ends.
    """

    socket: str
    unit: str
    module: str
    side: str
    stage: int
    channels: int
    size: tuple[int, int]
    calls: int = 1
    order: int = 0          # on a skip: which addition of the module
    relu: bool = False      # at the head, after a module: a relu stands between it and the pooling
    flat: bool = False      # at the head: the pooling gives (N, C), not (N, C, 1, 1)


def shared_without_weights(run: Run, call: Call) -> bool:
    """A ReLU that is used in several places: what joins it would be in all of them."""
    return run.times(call) > 1 and not any(True for _ in call.module.parameters())


def makers(run: Run, node: Node, within: Call) -> list[Call]:
    """The modules in `within` that made this node, the innermost last; not those that only hand it on."""
    return [c for c in run.calls if c.gives is node and node not in c.reads and c is not within and c.within(within)
            and not shared_without_weights(run, c)]


def giver(run: Run, node: Node, within: Call) -> Call | None:
    """The innermost module that gives this node; where none does, what gave it before a function of single values."""
    while True:
        if calls := makers(run, node, within):
            return calls[-1]
        for call in run.calls:      # a module that does nothing in evaluation, such as stochastic depth or nn.Identity
            if call.gives is node and node in call.reads and call is not within and call.within(within) \
                    and not shared_without_weights(run, call) and node.frame is within:
                return call
        if node.function not in ELEMENTWISE or len(node.inputs) != 1 or node.inputs[0].shape != node.shape:
            return None
        node = node.inputs[0]


def entries(run: Run, unit: Unit) -> list[Call]:
    """The innermost modules through which the fork enters the branch: one, or one for each of several paths."""
    found: list[Call] = []
    waiting = [unit.fork]
    while waiting:
        node = waiting.pop()
        readers = [c for c in run.calls if c.reads and c.reads[0] is node and c.within(unit.call) and c is not unit.call
                   and c.gives is not None and c.gives is not node and run.uses(unit.branch, c.gives)
                   and not (unit.skip and run.uses(unit.skip, c.gives))]
        inner = [c for c in readers if not any(d is not c and d.within(c) for d in readers)]
        found += [c for c in inner if not shared_without_weights(run, c)]
        waiting += [c.gives for c in inner if shared_without_weights(run, c)]
        if not inner:
            waiting += [r for r in node.readers if r.function in ELEMENTWISE and r.shape == node.shape
                        and run.uses(unit.branch, r) and not (unit.skip and run.uses(unit.skip, r))]
    return list({c.module: c for c in found}.values())


class Finder:
    """Finds the places of every socket in one run."""

    def __init__(self, run: Run, unit: str | None = None):
        self.run = run
        self.blocks = blocks(run)
        self.unit = unit or ("block" if self.blocks else "conv")
        self.units = self.blocks if self.unit == "block" else single_convolutions(run)
        self.stages = list(dict.fromkeys(u.end.size for u in self.units))

    def stage(self, node: Node) -> int:
        return self.stages.index(node.size) + 1 if node.size in self.stages else 0

    def place(self, socket: str, unit: Unit | str, call: Call, side: str, at: Node, stage: int, **more) -> Place:
        name = unit if isinstance(unit, str) else unit.name
        return Place(socket, name, call.name, side, stage, at.shape[1], at.size, self.run.times(call), **more)

    def at(self, socket: str) -> list[Place]:
        """The places of one socket, in the order of the network."""
        found = [place for place in getattr(self, "find_" + socket)()]
        return list({(p.module, p.side, p.order): p for p in found}.values())      # a module that is used twice: once

    def find_input(self) -> Iterable[Place]:
        for node in self.run.gateways():
            if node.is_map and node.size == self.run.size[1:]:
                picture = Unit("picture", self.run.root, node, self.run.root.gives)
                if calls := entries(self.run, picture):
                    return [self.place("input", "picture", c, "before", node, 0) for c in calls]
        return []

    def find_pre(self) -> Iterable[Place]:
        for unit in self.units:
            calls = [unit.call] if self.unit == "conv" else entries(self.run, unit)
            for call in calls:
                yield self.place("pre", unit, call, "before", call.reads[0], self.stage(unit.end))

    def last(self, unit: Unit) -> Call | None:
        """The module at the end of the unit's branch."""
        if self.unit == "conv":
            return with_norm(self.run, unit.call)
        return giver(self.run, unit.branch, unit.call)

    def find_post(self) -> Iterable[Place]:
        for unit in self.units:
            if call := self.last(unit):
                yield self.place("post", unit, call, "after", call.gives, self.stage(unit.end))

    def windows(self, unit: Unit) -> list[Call]:
        """The convolutions of a block's branch that look at more than one position."""
        between = self.run.ancestors[unit.branch.index] & ~self.run.ancestors[unit.fork.index]
        return [c for c in convolutions(self.run) if between >> c.gives.index & 1 and max(c.module.kernel_size) > 1]

    def find_inner(self) -> Iterable[Place]:
        if self.unit == "block":
            for unit in self.units:
                end = self.last(unit)
                inside = [c for conv in self.windows(unit) if (c := with_norm(self.run, conv)) is not end]
                if inside:
                    yield self.place("inner", unit, inside[-1], "after", inside[-1].gives, self.stage(unit.end))

    def find_after_add(self) -> Iterable[Place]:
        for unit in self.units:
            node = unit.add
            while node is not None:
                # A module that only hands the node on stands on one path of the next block.
                if calls := makers(self.run, node, self.run.root):
                    yield self.place("after_add", unit, calls[-1], "after", node, self.stage(unit.end))
                    break
                alone = len(node.readers) == 1 and node.readers[0].function in ELEMENTWISE
                node = node.readers[0] if alone else None

    def find_identity(self) -> Iterable[Place]:
        plain = [u.call for u in self.units if u.skip is not None and u.skip is u.fork]
        order = {call: 0 for call in plain}
        for unit in self.units:
            if unit.skip is None:
                continue
            made = unit.skip is not unit.fork and giver(self.run, unit.skip, unit.call)
            if made and made.gives.index > unit.fork.index:
                yield self.place("identity", unit, made, "after", made.gives, self.stage(unit.end))
            elif unit.skip is unit.fork and unit.call is not self.run.root \
                    and count_skips(unit.call.module) == plain.count(unit.call):
                yield self.place("identity", unit, unit.call, "skip", unit.skip, self.stage(unit.end), order=order[unit.call])
                order[unit.call] += 1

    def find_between(self) -> Iterable[Place]:
        gateways = [g for g in self.run.gateways() if g.is_map]
        for number, size in enumerate(self.stages[:-1], start=1):
            later = [u.fork.index for u in self.units if self.stage(u.end) > number]
            ends = [u.end.index for u in self.units if self.stage(u.end) == number]
            for node in reversed(gateways):
                if (node.size == size and max(ends) <= node.index <= min(later)
                        and (calls := makers(self.run, node, self.run.root))):
                    yield self.place("between", f"stage {number}", calls[-1], "after", node, number)
                    break

    def find_instead(self) -> Iterable[Place]:
        if self.unit == "block":
            chosen = [(u, c) for u in self.units for c in self.windows(u)[-1:]]
        else:      # the first convolution makes features of colours: there is no picture of features to choose by yet
            chosen = [(u, u.call) for u in self.units[1:] if max(u.call.module.kernel_size) > 1]
        for unit, call in ((u, c) for u, c in chosen if replaceable(c.module)):
            yield self.place("instead", unit, call, "instead", call.reads[0], self.stage(unit.end))

    def find_head(self) -> Iterable[Place]:
        gateways = self.run.gateways()
        for last, pooled in zip(gateways, gateways[1:], strict=False):
            if last.is_map and last.size != (1, 1) and pooled.shape[:2] == last.shape[:2] and set(pooled.shape[2:]) <= {1}:
                break
        else:
            return
        channels = last.shape[1]
        for call in reversed(self.run.calls):
            if call.reads[:1] == (last,) and call.gives is not None and call.gives.shape[1:2] == (channels,) \
                    and set(call.gives.shape[2:]) <= {1} and len(call.gives.shape) in (2, 4) and is_mean(call):
                yield self.place("head", "pooling", call, "instead", last, 0, flat=len(call.gives.shape) == 2)
                return
        node, relu = last, False
        while node.function == "relu" and not any(c.gives is node for c in self.run.calls):
            node, relu = node.inputs[0], True
        call = giver(self.run, node, self.run.root)
        if call and pooled.function in POOLS and call.gives is node and self.run.times(call) == 1:
            yield self.place("head", "pooling", call, "after", node, 0, relu=relu)


def replaceable(conv: nn.Conv2d) -> bool:
    """Square, odd, undilated, and padded with zeros so that the map keeps its size: what kernel attention can stand in for."""
    k, padding = conv.kernel_size[0], conv.padding
    return (conv.kernel_size == (k, k) and k % 2 == 1 and len(set(conv.stride)) == 1 and conv.dilation == (1, 1)
            and padding in ("same", (k // 2, k // 2)) and conv.padding_mode == "zeros")


def is_mean(call: Call) -> bool:
    """Does this module pool by the plain mean? Seen from the functions on the way from what it read to what it gave."""
    node = call.gives
    while node is not call.reads[0]:
        if node.function not in POOLS or len(node.inputs) != 1:
            return False
        node = node.inputs[0]
    return True
