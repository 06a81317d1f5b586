"""Where a network pools: the last map, and the module that attention replaces or joins there."""

from __future__ import annotations

from typing import NamedTuple

from .paths import producer
from .record import Call, Node, Run

POOLS = frozenset({"mean", "adaptive_avg_pool2d", "avg_pool2d", "flatten", "squeeze", "view", "reshape"})


class Pooling(NamedTuple):
    """Global average pooling of the map `node`: by the module `call`, or in a line of code behind it.

    `relu`: one stands between the module and that line. `flat`: the module gives (N, C), not (N, C, 1, 1).
    """

    call: Call
    side: str
    node: Node
    relu: bool = False
    flat: bool = False


def one_position(shape: tuple[int, ...]) -> bool:
    """(N, C) or (N, C, 1, 1)."""
    return set(shape[2:]) <= {1}


def last_map(run: Run) -> tuple[Node, Node] | None:
    """The map that every path goes through and of which one position is made next, and what is made."""
    gateways = run.gateways()
    for node, pooled in zip(gateways, gateways[1:], strict=False):
        if node.is_map and node.size != (1, 1) and pooled.shape[:2] == node.shape[:2] and one_position(pooled.shape):
            return node, pooled
    return None


def is_mean(call: Call) -> bool:
    """Does this module pool by the plain mean? Seen from the functions on the way from what it read to what it gave."""
    node = call.output
    while node is not call.first:
        if node.function not in POOLS or len(node.inputs) != 1:
            return False
        node = node.inputs[0]
    return True


def pooling(run: Run) -> Pooling | None:
    """The global average pooling of a network; None where it pools otherwise, or where no module is there to join."""
    if not (found := last_map(run)):
        return None
    node, pooled = found
    for call in reversed(run.calls):
        out = call.output
        if (call.first is node and out is not None and len(out.shape) in (2, 4) and one_position(out.shape)
                and out.shape[1] == node.shape[1] and is_mean(call)):
            return Pooling(call, "instead", node, flat=len(out.shape) == 2)
    relu = False
    while node.function == "relu" and not any(c.output is node for c in run.calls):
        node, relu = node.inputs[0], True
    call = producer(run, node, run.root)
    if call and pooled.function in POOLS and call.output is node and run.times(call) == 1:
        return Pooling(call, "after", node, relu)
    return None
