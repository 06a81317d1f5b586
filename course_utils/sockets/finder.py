"""Every place of a network where attention can be plugged in: one function for each socket, by name in FIND."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import nn

from .fuse import lines_of, meetings
from .head import pooling
from .paths import entries, makers, producer
from .places import Place
from .record import Call, Node, Run
from .skip import can_be_rewritten, meeting_lines
from .surgery import host_class
from .units import ELEMENTWISE, Unit, blocks, convolutions, is_norm, line_of, merges, single_convolutions, with_norm

CUTS = ("getitem", "narrow", "chunk", "split", "slice")


class Finder:
    """A network as its places are found in it: one run, its units, and the sizes of their maps as stages."""

    def __init__(self, run: Run, unit: str | None = None):
        self.run = run
        self.blocks = blocks(run)
        self.unit = unit or ("block" if self.blocks else "conv")
        self.units = self.blocks if self.unit == "block" else single_convolutions(run)
        self.stages = list(dict.fromkeys(u.end.size for u in self.units))
        self.missed: dict[str, list[tuple[str, str]]] = {}      # socket -> units without a place there, and why

    def at(self, socket: str) -> list[Place]:
        """The places of one socket, in the order of the network; of `both`, those of pre and post."""
        if socket == "both":
            return [*self.at("pre"), *self.at("post")]
        self.missed[socket] = []
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

    def miss(self, socket: str, unit: Unit, why: str) -> None:
        """Note that a unit has no place at this socket."""
        self.missed[socket].append((unit.name, why))

    def missed_at(self, socket: str) -> list[tuple[str, str]]:
        """Units that have no place at a socket, with the reason; of `both`, those that have none at pre or at post."""
        return [m for at in (("pre", "post") if socket == "both" else (socket,)) for m in self.missed.get(at, ())]

    def last(self, unit: Unit) -> Call | None:
        """The module at the end of the unit's branch."""
        if self.unit == "conv" and (unit.call.output is unit.branch or isinstance(unit.call.module, nn.Conv2d)):
            return with_norm(self.run, unit.call)
        return producer(self.run, unit.branch, unit.call)

    def windows(self, unit: Unit) -> list[Call]:
        """The convolutions of a block's branch that look at more than one position."""
        between = self.run.ancestors[unit.branch.index] & ~self.run.ancestors[unit.fork.index]
        return [c for c in convolutions(self.run) if between >> c.output.index & 1 and max(c.module.kernel_size) > 1]


def find_input(net: Finder) -> Iterator[Place]:
    """Before the modules that read the picture, as long as it has its channels and no convolution has seen it."""
    seen = [c.output for c in convolutions(net.run)]
    for node in net.run.gateways():
        if node.is_map and node.shape[1] == net.run.size[0] and not any(net.run.uses(node, out) for out in seen):
            picture = Unit("picture", net.run.root, node, net.run.root.outputs[0])
            if calls := entries(net.run, picture, net.run.root.outputs):
                yield from (net.apart("input", "picture", c, "before", node) for c in calls)
                return


def find_pre(net: Finder) -> Iterator[Place]:
    """Before a convolution, or before the modules through which a block's branch begins."""
    for unit in net.units:
        calls = [unit.call] if net.unit == "conv" else entries(net.run, unit)
        for call in calls:
            yield net.place("pre", unit, call, "before", call.first)
        if not calls:
            net.miss("pre", unit, "its branch begins in a line of code")


def find_inner(net: Finder) -> Iterator[Place]:
    """In a block, after its last window with its norm, if the branch goes on behind it; of parallel ones, where they have met."""
    for unit in net.units if net.unit == "block" else ():
        end = net.last(unit)
        inside = [conv for conv in net.windows(unit) if with_norm(net.run, conv) is not end]
        met = met_by(net, unit, inside) if inside else None
        if met and met[0].module is not (end.module if end else None):
            yield net.place("inner", unit, met[0], met[1], met[2])
        else:
            net.miss("inner", unit, "its paths meet in a line of code" if inside and not met else
                     "nothing of its branch lies behind a window")


def met_by(net: Finder, unit: Unit, windows: list[Call]) -> tuple[Call, str, Node] | None:
    """Where the outputs of all these windows have come together first: after a module, or before the one that reads them."""
    for node in net.run.gateways(unit.fork, (unit.branch,)):
        if not node.is_map or not all(net.run.uses(node, c.output) for c in windows):
            continue
        conv = [c for c in windows if c.output is node]
        if made := conv or makers(net.run, node, unit.call):
            behind = with_norm(net.run, made[-1])
            return behind, "after", behind.output
        read = entries(net.run, Unit(unit.name, unit.call, node, unit.branch))
        if len(read) == 1:
            after = is_norm(read[0].module)
            return (read[0], "after", read[0].output) if after else (read[0], "before", read[0].first)
    return None


def find_post(net: Finder) -> Iterator[Place]:
    """At the end of the branch, before the addition; after a convolution with its norm."""
    for unit in net.units:
        if call := net.last(unit):
            yield net.place("post", unit, call, "after", call.output)
        else:
            net.miss("post", unit, "only a part of its channels is added" if unit.branch.function in CUTS else
                     "its branch ends in a line of code")


def find_after_add(net: Finder) -> Iterator[Place]:
    """Behind the addition, and behind the functions of single values that follow it, where a module ends."""
    for unit in net.units:
        node = unit.add
        while node is not None:
            # A module that only hands the node on stands on one path of the next block.
            if calls := makers(net.run, node, net.run.root):
                yield net.place("after_add", unit, calls[-1], "after", node)
                break
            node = then(node)
        else:
            net.miss("after_add", unit, "it has no addition" if unit.add is None else "only a part of its channels is added"
                     if unit.branch.function in CUTS else "no module ends with its addition")


def then(node: Node) -> Node | None:
    """What a function of single values makes of this node, if nothing else reads it; x * sigmoid(x) is one."""
    first, *others = node.readers or [None]
    if first is None or first.function not in ELEMENTWISE:
        return None
    if not others:
        return first if first.shape == node.shape else None
    product = others[0] if others[0].function in ("mul", "imul") and len(others) == 1 else None
    return product if product and first.readers == [product] and set(product.inputs) == {node, first} else None


def find_identity(net: Finder) -> Iterator[Place]:
    """Behind the module that makes the skip; where the skip is the fork itself, in the line of code that adds it."""
    for unit in net.units:
        if unit.skip is None:
            net.miss("identity", unit, "it has no skip")
            continue
        made = unit.skip is not unit.fork and producer(net.run, unit.skip, unit.call)
        if made and made.output.index > unit.fork.index:
            yield net.place("identity", unit, made, "after", made.output)
        elif unit.skip is unit.fork and unit.call is not net.run.root:
            skip, additions = line_of(net.run, unit)
            if can_be_rewritten(unit.call, additions):
                yield net.place("identity", unit, unit.call, "skip", unit.skip, skip=skip)
            else:
                net.miss("identity", unit, "torch.fx cannot read the forward that adds it")
        else:
            net.miss("identity", unit, "the skip is made in a line of code")


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
    # The first convolution of all makes features of colours: there is no picture of features to choose by yet.
    for unit in net.units if net.unit == "block" else net.units[1:]:
        call = (net.windows(unit) or [None])[-1] if net.unit == "block" else unit.call
        if call is not None and replaceable(call.module):
            yield net.place("instead", unit, call, "instead", call.first)
        else:
            net.miss("instead", unit, "no square, odd, undilated window that keeps the size")


def find_head(net: Finder) -> Iterator[Place]:
    """In place of global average pooling, or after the last module before it where it is a line of code."""
    if found := pooling(net.run):
        yield net.apart("head", "pooling", found.call, found.side, found.node, relu=found.relu, flat=found.flat)


def find_fuse(net: Finder) -> Iterator[Place]:
    """In the lines where two maps are added or concatenated: those of residual blocks, of pyramids, the skips of a U-Net.

    Not where parallel convolutions are added that one convolution could stand for.
    """
    together = [u.call for u in merges(net.run, convolutions(net.run))]
    for owner, lines in lines_of(net.run).items():
        found = [] if owner in together else meetings(net.run, lines)
        readable = bool(found) and can_be_rewritten(owner, len(lines), meeting_lines)
        for node, meeting in found:
            unit = next((u for u in net.blocks if u.add is node), Unit(owner.name or "network", owner, node, node))
            if readable:
                stage = net.stages.index(node.size) + 1 if node.size in net.stages else 0
                place = net.apart("fuse", unit.name, owner, "fuse", node, stage, skip=meeting)
                yield replace(place, channels=meeting.channels[0])
            else:
                net.miss("fuse", unit, "torch.fx cannot read the forward in which they meet")


def replaceable(conv: nn.Module) -> bool:
    """Can kernel attention stand for it? A square, odd, undilated window, padded with zeros so that the map keeps its size."""
    # Several that are added, or a class that does more than convolve, such as one that standardises its kernel each time.
    if not isinstance(conv, nn.Conv2d) or host_class(type(conv)).forward is not nn.Conv2d.forward:
        return False
    k, padding = conv.kernel_size[0], conv.padding
    return (conv.kernel_size == (k, k) and k % 2 == 1 and k > 1 and len(set(conv.stride)) == 1 and conv.dilation == (1, 1)
            and padding in ("same", (k // 2, k // 2)) and conv.padding_mode == "zeros")


FIND: dict[str, Callable[[Finder], Iterator[Place]]] = {
    "input": find_input, "pre": find_pre, "inner": find_inner, "post": find_post, "after_add": find_after_add,
    "identity": find_identity, "between": find_between, "instead": find_instead, "head": find_head,
    "fuse": find_fuse}
