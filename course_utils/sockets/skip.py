"""Attention in a line of code, `x + branch(x)`, on the skip or in place of the sum: torch.fx rewrites the forward.

What a skip is is judged in one place, on the record of a run (`blocks` in units.py). Here the addition is only found again:
module and record go through the same lines, so the third addition of one is the third of the other. A second graph remains
because a record says what was computed, and only torch.fx can write that down as a forward with one step more.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import fx, nn

from .fuse import CONCATENATIONS, Meeting, lines_in
from .lists import UNREAD, Held, in_order, refuse_others, taken_apart
from .walk import RUNNING

if TYPE_CHECKING:
    from .record import Call

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class Skip(NamedTuple):
    """One operand of an addition of two tensors in a forward, both counted from 0 in the order of the run."""

    addition: int
    operand: int
    held: Held = Held()      # what goes through that forward in lists and dicts


class OneForward(fx.Tracer):
    """Traces the forward that a class has without attention, and leaves the modules inside as they are."""

    def __init__(self, module: nn.Module, held: Held):
        super().__init__()
        self.arguments, self.calls = dict(held.arguments), dict(held.calls)
        if hasattr(module, "_plugged_host"):
            self.traced_func_name = "_plugged_bare"

    def create_args_for_root(self, *args, **kwargs):
        function, (module, *given) = super().create_args_for_root(*args, **kwargs)
        for i, argument in enumerate(given):
            if isinstance(argument, fx.Proxy):
                given[i] = taken_apart(argument, self.arguments.get(i, self.arguments.get(argument.node.target, UNREAD)))
        return function, [module, *given]

    def call_module(self, module: nn.Module, *args):
        return taken_apart(super().call_module(module, *args), self.calls.get(self.path_of_module(module), UNREAD))

    def create_arg(self, value):
        return in_order(self, value) if isinstance(value, OrderedDict) else super().create_arg(value)

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return True


def additions(graph: fx.Graph) -> list[fx.Node]:
    """The sums of two different values that come from the inputs of the forward, in order; not those with a parameter."""
    return lines_in(graph, ADDITIONS)


def traced(module: nn.Module, held: Held) -> fx.Graph | None:
    """The steps of the forward of a module's class; None where they cannot be read, or differ between training and evaluation."""
    was, graphs = module.training, []
    RUNNING.walking.append(module)
    try:
        for mode in (True, False):
            module.training = mode
            graphs.append(OneForward(module, held).trace(module))
    except Exception:      # a forward may do anything; fx can read only some of it
        return None
    finally:
        module.training = was
        RUNNING.walking.pop()
    return graphs[0] if str(graphs[0]) == str(graphs[1]) else None


def can_be_rewritten(call: Call, count: int, find: Callable[[fx.Graph], list[fx.Node]] = additions) -> bool:
    """Does torch.fx see as many such lines as the run did? Otherwise it has read other lines than those that ran."""
    if call.own:      # the run was that of the object's own forward, which fx does not read
        return False
    graph = traced(call.module, call.held)
    if graph is None or len(lines := find(graph)) != count:
        return False
    # torch.fx takes every input for given; a forward that was called without one, as an optional skip, went another way.
    absent = {node for i, node in enumerate(n for n in graph.nodes if n.op == "placeholder") if not {i, node.target} & call.given}
    for node in graph.nodes:
        if absent.intersection(node.all_input_nodes):
            absent.add(node)
    return not absent.intersection(lines)


def meeting_lines(graph: fx.Graph) -> list[fx.Node]:
    """Sums and concatenations of two values that come from the inputs of the forward, in order."""
    return lines_in(graph, (*ADDITIONS, *CONCATENATIONS))


def with_attention_in_lines(module: nn.Module, lines: dict[str, Skip | Meeting]) -> Callable:
    """The forward of a plugged module's host class, with the parts of these names on these skips, or where two maps meet.

    Raises:
        ValueError: torch.fx cannot read it.
    """
    held = next(iter(lines.values())).held      # the same of all: they are lines of one forward
    graph = traced(module, held)
    if graph is None:
        raise ValueError(f"the forward of {module._plugged_host.__name__} cannot be read by torch.fx: no attention on its skip")
    sums = [(node, list(node.all_input_nodes)) for node in additions(graph)]
    meet = meeting_lines(graph)
    for name, line in sorted(lines.items(), key=lambda item: isinstance(item[1], Meeting)):      # skips first
        if isinstance(line, Meeting):
            node = meet[line.number]
            with graph.inserting_before(node):
                fused = graph.call_module(name, tuple(node.all_input_nodes))
            node.replace_all_uses_with(fused)
            graph.erase_node(node)
            continue
        node, operands = sums[line.addition]
        with graph.inserting_before(node):
            attended = graph.call_module(name, (operands[line.operand],))
        node.replace_input_with(operands[line.operand], attended)
        operands[line.operand] = attended      # one more on this skip comes behind this one
    forward = type(fx.GraphModule(module, graph)).forward
    if not held.arguments:
        return forward

    def checked(self, *args, **kwargs):
        refuse_others(type(self)._plugged_host.__name__, args, kwargs, held)
        return forward(self, *args, **kwargs)
    return checked
