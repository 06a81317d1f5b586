"""From a tensor to the modules that attention can join: which module made it, and through which it enters a branch."""

from __future__ import annotations

from .record import Call, Node, Run
from .units import ELEMENTWISE, Unit


def shared_without_weights(run: Run, call: Call) -> bool:
    """A ReLU that is used in several places: what joins it would be in all of them."""
    return run.times(call) > 1 and not any(True for _ in call.module.parameters())


def makers(run: Run, node: Node, within: Call) -> list[Call]:
    """The modules in `within` that made this node, the innermost last; not those that only hand it on."""
    return [c for c in run.calls if c.output is node and node not in c.inputs and c is not within and c.within(within)
            and not shared_without_weights(run, c)]


def handed_on(run: Run, node: Node, within: Call) -> Call | None:
    """A module that does nothing with this node in evaluation, such as stochastic depth or nn.Identity."""
    for call in run.calls:
        if (call.output is node and node in call.inputs and call is not within and call.within(within)
                and not shared_without_weights(run, call) and node.owner is within):
            return call
    return None


def producer(run: Run, node: Node, within: Call) -> Call | None:
    """The innermost module that gives this node; where none does, what gave it before a function of single values."""
    while True:
        if calls := makers(run, node, within):
            return calls[-1]
        if call := handed_on(run, node, within):
            return call
        if node.function not in ELEMENTWISE or len(node.inputs) != 1 or node.inputs[0].shape != node.shape:
            return None
        node = node.inputs[0]


def in_branch(run: Run, node: Node, unit: Unit, ends: tuple[Node, ...] = ()) -> bool:
    """Does this node lie on the way to the end of the branch (or one of several ends), and not on the skip?"""
    return any(run.uses(end, node) for end in ends or (unit.branch,)) and not (unit.skip and run.uses(unit.skip, node))


def readers(run: Run, node: Node, unit: Unit, ends: tuple[Node, ...] = ()) -> list[Call]:
    """The innermost modules of the unit's branch that read this node first and make something of it.

    Not those that get it and leave it, as a decoder that takes all maps and drops the picture.
    """
    found = [c for c in run.calls if c.first is node and c.within(unit.call) and c is not unit.call
             and any(r.owner is not None and r.owner.within(c) for r in node.readers)
             and any(n is not node and in_branch(run, n, unit, ends) for n in c.outputs)]
    return [c for c in found if not any(d is not c and d.within(c) for d in found)]


def entries(run: Run, unit: Unit, ends: tuple[Node, ...] = ()) -> list[Call]:
    """The innermost modules through which the fork enters the branch: one, or one for each of several paths.

    Where one module inside the unit takes the fork and holds all these paths, it is that one.
    Goes on behind what attention cannot join: a ReLU that is used elsewhere too, and a function of single values.
    """
    found: list[Call] = []
    waiting = [unit.fork]
    while waiting:
        node = waiting.pop()
        calls = readers(run, node, unit, ends)
        found += [c for c in calls if not shared_without_weights(run, c)]
        waiting += [c.output for c in calls if shared_without_weights(run, c)]
        if not calls:
            waiting += [r for r in node.readers
                        if r.function in ELEMENTWISE and r.shape == node.shape and in_branch(run, r, unit, ends)]
    found = list({c.module: c for c in found}.values())
    whole = [c for c in run.calls if c.first is unit.fork and c.within(unit.call) and c not in (unit.call, run.root)
             and all(f.within(c) for f in found)] if len(found) > 1 else []
    return whole[-1:] or found
