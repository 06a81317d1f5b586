"""Every place of a network where attention can be plugged in: one function for each socket, by name in FIND."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from .head import pooling
from .paths import entries, makers, producer
from .probe import Call, Node, Run
from .skip import Skip, can_be_rewritten
from .units import ELEMENTWISE, Unit, blocks, convolutions, line_of, single_convolutions, with_norm

UNITS = ("block", "conv")


@dataclass(frozen=True)
class Place:
    """One place for attention.

    `module` is the module that attention joins, and `side` says how: "before" it, "after" it, on the "skip" of an addition
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
    skip: Skip | None = None    # on a skip: which operand of which addition of the module
    relu: bool = False          # at the head, after a module: a relu stands between it and the pooling
    flat: bool = False          # at the head: the pooling gives (N, C), not (N, C, 1, 1)


class Finder:
    """A network as its places are found in it: one run, its units, and the sizes of their maps as stages."""

    def __init__(self, run: Run, unit: str | None = None):
        self.run = run
        self.blocks = blocks(run)
        self.unit = unit or ("block" if self.blocks else "conv")
        self.units = self.blocks if self.unit == "block" else single_convolutions(run)
        self.stages = list(dict.fromkeys(u.end.size for u in self.units))

    def at(self, socket: str) -> list[Place]:
        """The places of one socket, in the order of the network; of `both`, those of pre and post."""
        if socket == "both":
            return [*self.at("pre"), *self.at("post")]
        found = FIND[socket](self)
        return list({(p.module, p.side, p.skip): p for p in found}.values())      # a module that is used twice: once

    def stage(self, unit: Unit) -> int:
        return self.stages.index(unit.end.size) + 1

    def place(self, socket: str, unit: Unit, call: Call, side: str, node: Node, **more) -> Place:
        """A place that belongs to a unit; `node` is the map there."""
        return self.apart(socket, unit.name, call, side, node, self.stage(unit), **more)

    def apart(self, socket: str, name: str, call: Call, side: str, node: Node, stage: int = 0, **more) -> Place:
        """A place that belongs to no unit."""
        return Place(socket, name, call.name, side, stage, node.shape[1], node.size, self.run.times(call), **more)

    def last(self, unit: Unit) -> Call | None:
        """The module at the end of the unit's branch."""
        if self.unit == "conv":
            return with_norm(self.run, unit.call)
        return producer(self.run, unit.branch, unit.call)

    def windows(self, unit: Unit) -> list[Call]:
        """The convolutions of a block's branch that look at more than one position."""
        between = self.run.ancestors[unit.branch.index] & ~self.run.ancestors[unit.fork.index]
        return [c for c in convolutions(self.run) if between >> c.output.index & 1 and max(c.module.kernel_size) > 1]


def find_input(net: Finder) -> Iterator[Place]:
    """Before the modules that read the picture, as long as it has kept its size."""
    for node in net.run.gateways():
        if node.is_map and node.size == net.run.size[1:]:
            picture = Unit("picture", net.run.root, node, net.run.root.output)
            if calls := entries(net.run, picture):
                yield from (net.apart("input", "picture", c, "before", node) for c in calls)
                return


def find_pre(net: Finder) -> Iterator[Place]:
    """Before a convolution, or before the modules through which a block's branch begins."""
    for unit in net.units:
        for call in [unit.call] if net.unit == "conv" else entries(net.run, unit):
            yield net.place("pre", unit, call, "before", call.inputs[0])


def find_inner(net: Finder) -> Iterator[Place]:
    """In a block, after its last window with its norm, if the branch goes on behind it."""
    for unit in net.units if net.unit == "block" else ():
        end = net.last(unit)
        inside = [c for conv in net.windows(unit) if (c := with_norm(net.run, conv)) is not end]
        if inside:
            yield net.place("inner", unit, inside[-1], "after", inside[-1].output)


def find_post(net: Finder) -> Iterator[Place]:
    """At the end of the branch, before the addition; after a convolution with its norm."""
    for unit in net.units:
        if call := net.last(unit):
            yield net.place("post", unit, call, "after", call.output)


def find_after_add(net: Finder) -> Iterator[Place]:
    """Behind the addition, and behind the functions of single values that follow it, where a module ends."""
    for unit in net.units:
        node = unit.add
        while node is not None:
            # A module that only hands the node on stands on one path of the next block.
            if calls := makers(net.run, node, net.run.root):
                yield net.place("after_add", unit, calls[-1], "after", node)
                break
            alone = len(node.readers) == 1 and node.readers[0].function in ELEMENTWISE
            node = node.readers[0] if alone else None


def find_identity(net: Finder) -> Iterator[Place]:
    """Behind the module that makes the skip; where the skip is the fork itself, in the line of code that adds it."""
    for unit in net.units:
        if unit.skip is None:
            continue
        made = unit.skip is not unit.fork and producer(net.run, unit.skip, unit.call)
        if made and made.output.index > unit.fork.index:
            yield net.place("identity", unit, made, "after", made.output)
        elif unit.skip is unit.fork and unit.call is not net.run.root:
            skip, additions = line_of(net.run, unit)
            if can_be_rewritten(unit.call.module, additions):
                yield net.place("identity", unit, unit.call, "skip", unit.skip, skip=skip)


def find_between(net: Finder) -> Iterator[Place]:
    """On the last map of a stage that everything goes through, behind its last unit and before the first of the next."""
    gateways = [g for g in net.run.gateways() if g.is_map]
    for number, size in enumerate(net.stages[:-1], start=1):
        later = [u.fork.index for u in net.units if net.stage(u) > number]
        ends = [u.end.index for u in net.units if net.stage(u) == number]
        for node in reversed(gateways):
            if node.size == size and max(ends) <= node.index <= min(later) and (calls := makers(net.run, node, net.run.root)):
                yield net.apart("between", f"stage {number}", calls[-1], "after", node, number)
                break


def find_instead(net: Finder) -> Iterator[Place]:
    """In place of a block's last window, or of every convolution with a window."""
    if net.unit == "block":
        chosen = [(u, c) for u in net.units for c in net.windows(u)[-1:]]
    else:      # the first convolution makes features of colours: there is no picture of features to choose by yet
        chosen = [(u, u.call) for u in net.units[1:] if max(u.call.module.kernel_size) > 1]
    for unit, call in chosen:
        if replaceable(call.module):
            yield net.place("instead", unit, call, "instead", call.inputs[0])


def find_head(net: Finder) -> Iterator[Place]:
    """In place of global average pooling, or after the last module before it where it is a line of code."""
    if found := pooling(net.run):
        yield net.apart("head", "pooling", found.call, found.side, found.node, relu=found.relu, flat=found.flat)


def replaceable(conv: nn.Conv2d) -> bool:
    """Square, odd, undilated, and padded with zeros so that the map keeps its size: what kernel attention can stand in for."""
    k, padding = conv.kernel_size[0], conv.padding
    return (conv.kernel_size == (k, k) and k % 2 == 1 and len(set(conv.stride)) == 1 and conv.dilation == (1, 1)
            and padding in ("same", (k // 2, k // 2)) and conv.padding_mode == "zeros")


FIND: dict[str, Callable[[Finder], Iterator[Place]]] = {
    "input": find_input, "pre": find_pre, "inner": find_inner, "post": find_post, "after_add": find_after_add,
    "identity": find_identity, "between": find_between, "instead": find_instead, "head": find_head}
SOCKETS = (*FIND, "both")
