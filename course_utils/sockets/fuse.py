"""Where two maps meet, an addition or a concatenation in a line of code, and what takes its place: attention that reads both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, fx, nn

from .lists import Held

if TYPE_CHECKING:
    from .record import Call, Node, Run

JOINS = {"add": "add", "iadd": "add", "radd": "add", "cat": "cat", "concat": "cat", "concatenate": "cat"}
CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)


class Meeting(NamedTuple):
    """One line of a forward in which two maps meet, counted from 0 among those lines, in the order of the run.

    `a` is the map that came the longer way, the branch of a block or what comes from below in a U-Net; `b` the other, the
    skip. `channels` are those of both, `turned` says that the line has b in front.
    """

    number: int
    joins: str                  # "add" or "cat"
    channels: tuple[int, int]
    turned: bool
    held: Held = Held()         # what goes through that forward in lists and dicts


class Fuse(nn.Module):
    """Attention where two maps were added or concatenated: `attention(a, b)`.

    In place of a sum it gives the map that goes on. Before a concatenation it gives the skip as it shall go in, of the
    channels of b; or in place of it the whole, with the channels of both, in the order of the line.
    """

    def __init__(self, attention: nn.Module, meeting: Meeting):
        super().__init__()
        self.attention = attention
        self.joins, self.turned = meeting.joins, meeting.turned

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        a, b = (other, one) if self.turned else (one, other)
        y = self.attention(a, b)
        if self.joins == "add" or y.shape[1] != b.shape[1]:
            return y
        return torch.cat([y, a] if self.turned else [a, y], 1)

    def extra_repr(self) -> str:
        return f"joins={self.joins!r}, turned={self.turned}"


class GatedSkip(nn.Module):
    """An attention gate for a meeting: what comes from below says which positions of the skip may pass."""

    def __init__(self, gate: nn.Module, joins: str):
        super().__init__()
        self.gate, self.joins = gate, joins

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + self.gate(b, a) if self.joins == "add" else self.gate(b, a)


class EasedFuse(nn.Module):
    """Any module of two maps, started as what the network did there: y = r + w (module(a, b) - r), with w = 0 at first.

    r is a + b; at a concatenation b, or both side by side, as the module gives the one or the other.
    """

    def __init__(self, module: nn.Module, meeting: Meeting):
        super().__init__()
        self.module, self.joins, self.turned = module, meeting.joins, meeting.turned
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        y = self.module(a, b)
        r = plain(a, b, self, y)
        return r + self.weight * (y - r)


def plain(a: Tensor, b: Tensor, meeting: Meeting | EasedFuse, like: Tensor) -> Tensor:
    """What a fusion that does nothing gives, where it gives something like this."""
    if meeting.joins == "add":
        return a + b
    return b if like.shape[1] == b.shape[1] else torch.cat([b, a] if meeting.turned else [a, b], 1)


def is_meeting(run: Run, node: Node) -> bool:
    """A sum or a concatenation of two different tensors that come from the inputs of the network."""
    return node.function in JOINS and len(node.inputs) == 2 and all(map(run.seen, node.inputs))


def of_maps(node: Node) -> bool:
    """Do two maps of one size meet here, channel by channel or side by side?"""
    one, other = node.inputs
    if not (one.is_map and other.is_map and node.is_map and one.size == other.size == node.size != (1, 1)):
        return False
    count = node.shape[1]
    return one.shape == other.shape == node.shape if JOINS[node.function] == "add" else one.shape[1] + other.shape[1] == count


def way(run: Run, node: Node, other: Node) -> int:
    """How many steps this map took that the other did not."""
    return (run.ancestors[node.index] & ~run.ancestors[other.index]).bit_count()


def lines_of(run: Run) -> dict[Call, list[Node]]:
    """The meetings of each call that has any, in order, whatever it is that meets."""
    found: dict[Call, list[Node]] = {}
    for node in run.nodes:
        if node.owner is not None and is_meeting(run, node):
            found.setdefault(node.owner, []).append(node)
    return found


def meetings(run: Run, lines: list[Node]) -> list[tuple[Node, Meeting]]:
    """Those of the lines of one call where two maps meet."""
    found = []
    for number, node in enumerate(lines):
        if of_maps(node):
            one, other = node.inputs
            turned = way(run, one, other) < way(run, other, one)
            a, b = (other, one) if turned else (one, other)
            found.append((node, Meeting(number, JOINS[node.function], (a.shape[1], b.shape[1]), turned, node.owner.held)))
    return found


def lines_in(graph: fx.Graph, targets: tuple) -> list[fx.Node]:
    """Such lines in a forward that torch.fx has read: these functions of two different values that come from its inputs."""
    given = {node for node in graph.nodes if node.op == "placeholder"}
    for node in graph.nodes:
        if given.intersection(node.all_input_nodes):
            given.add(node)
    return [node for node in graph.nodes if node.target in targets and len(node.all_input_nodes) == 2
            and given.issuperset(node.all_input_nodes)]
