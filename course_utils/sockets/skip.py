"""Attention on a skip that is only a line of code, `x + branch(x)`: the forward of the block is rewritten by torch.fx."""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import fx, nn

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class OneForward(fx.Tracer):
    """Traces the forward of one module and leaves the modules inside as they are."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return True


def ancestors(node: fx.Node) -> set[fx.Node]:
    """The node, and all that it was made from."""
    found, waiting = set(), [node]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += one.all_input_nodes
    return found


def kernel_area(module: nn.Module, nodes: set[fx.Node]) -> int:
    """How much convolution these nodes hold."""
    parts = [module.get_submodule(n.target) for n in nodes if n.op == "call_module"]
    sizes = [getattr(m, "kernel_size", None) for part in parts for m in part.modules() if hasattr(m, "out_channels")]
    return sum(size[0] * size[1] for size in sizes if isinstance(size, tuple) and len(size) == 2)


def skips(module: nn.Module, graph: fx.Graph) -> list[tuple[fx.Node, fx.Node]]:
    """The additions of a branch and its own input in a forward: (addition, the operand that skips the branch)."""
    order, found = {node: i for i, node in enumerate(graph.nodes)}, []
    for node in graph.nodes:
        operands = [a for a in node.args if isinstance(a, fx.Node)]
        if node.target not in ADDITIONS or len(operands) != 2:
            continue
        one, other = map(ancestors, operands)
        if not one & other:
            continue
        fork = ancestors(max(one & other, key=order.get))
        areas = [kernel_area(module, side - fork) for side in (one, other)]
        if 0 in areas and areas != [0, 0]:
            found.append((node, operands[areas.index(0)]))
    return found


def traced(module: nn.Module) -> fx.Graph | None:
    """The steps of a module's own forward; None where they cannot be read, or differ between training and evaluation."""
    was, graphs = module.training, []
    try:
        for mode in (True, False):
            module.training = mode
            graphs.append(OneForward().trace(module))
    except Exception:      # a forward may do anything; fx can read only some of it
        return None
    finally:
        module.training = was
    return graphs[0] if str(graphs[0]) == str(graphs[1]) else None


def count_skips(module: nn.Module) -> int:
    """How many skips of this forward can be rewritten."""
    graph = traced(module)
    return 0 if graph is None else len(skips(module, graph))


def with_attention_on_skips(roomy: nn.Module, original: nn.Module, names: dict[str, int]) -> Callable:
    """The forward of `original`, with the part `name` of `roomy` on the skip number `names[name]`."""
    graph = traced(original)
    if graph is None:
        raise ValueError(f"the forward of {type(original).__name__} cannot be read by torch.fx: no attention on its skip")
    places = skips(original, graph)
    for name, number in names.items():
        addition, operand = places[number]
        with graph.inserting_before(addition):
            attended = graph.call_module(name, (operand,))
        addition.args = tuple(attended if a is operand else a for a in addition.args)
        places[number] = (addition, attended)
    return type(fx.GraphModule(roomy, graph)).forward
