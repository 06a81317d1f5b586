"""The natural units of a network, found in what it did: residual blocks where it has them, convolutions with their norms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .probe import Call, Node, Run
from .skip import Skip

# Functions that change each value by itself: attention before or after such a one sees the same places.
ELEMENTWISE = frozenset(
    "relu relu6 hardtanh hardswish hardsigmoid silu gelu elu leaky_relu mish sigmoid tanh mul imul rmul div dropout "
    "dropout2d alpha_dropout feature_dropout contiguous clone float half bfloat16 to type_as detach".split())


@dataclass(eq=False)
class Unit:
    """A residual block, a block of the same class without a skip, or a convolution with its norm.

    `fork` is the tensor that goes in, `branch` what the convolutions make of it. In a residual block `skip` is the other
    operand of the addition, and `add` its result.
    """

    name: str
    call: Call
    fork: Node
    branch: Node
    skip: Node | None = None
    add: Node | None = None

    @property
    def end(self) -> Node:
        """The last tensor of the unit; its size says to which stage the unit belongs."""
        return self.add or self.branch


def is_norm(module: nn.Module) -> bool:
    """A norm of torch, or somebody's own that says so in its name and has no modules inside."""
    known = isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)
    return known or ("norm" in type(module).__name__.lower() and not any(module.children()))


def convolutions(run: Run) -> list[Call]:
    """The calls of two-dimensional convolutions on maps, in order; not those on a single position.

    On a single position a convolution is a linear layer: the two inside squeeze-and-excitation, or a classifier.
    """
    return [call for call in run.calls if isinstance(call.module, nn.Conv2d) and call.inputs
            and call.output is not None and call.output.is_map and call.inputs[0].size != (1, 1)]


def with_norm(run: Run, conv: Call) -> Call:
    """The norm that reads what the convolution gives, if nothing else does; otherwise the convolution itself."""
    readers = [c for c in run.calls if conv.output in c.inputs and is_norm(c.module) and c.output is not None]
    alone = readers and all(r.owner is not None and r.owner.within(readers[0]) for r in conv.output.readers)
    return readers[0] if alone and readers[0].output.shape == conv.output.shape else conv


def kernel_area(run: Run, node: Node, since: Node, convs: list[Call]) -> int:
    """How much convolution lies between two nodes: the sum of the kernel areas."""
    between = run.ancestors[node.index] & ~run.ancestors[since.index]
    return sum(c.module.kernel_size[0] * c.module.kernel_size[1] for c in convs if between >> c.output.index & 1)


def is_addition(run: Run, node: Node) -> bool:
    """The sum of two different tensors that come from the picture, not of one and a parameter."""
    return (node.function in ("add", "iadd", "radd") and len(node.inputs) == 2
            and all(run.uses(operand, run.nodes[0]) for operand in node.inputs))


def residual(run: Run, node: Node, convs: list[Call]) -> Unit | None:
    """The residual unit that ends in this node, if it is the sum of a branch and a skip of one fork."""
    if not is_addition(run, node) or not node.is_map or node.owner is None:
        return None
    one, other = node.inputs
    if one.shape != other.shape or node.size == (1, 1):
        return None
    fork = run.nodes[(run.ancestors[one.index] & run.ancestors[other.index]).bit_length() - 1]
    if fork.index < node.owner.begin and fork not in node.owner.inputs:
        return None                                  # it comes from elsewhere: two paths are merged, no block is closed
    left, right = kernel_area(run, one, fork, convs), kernel_area(run, other, fork, convs)
    if left == right:
        return None
    branch, skip = (one, other) if left > right else (other, one)
    return Unit(node.owner.name, node.owner, fork, branch, skip, node)


def line_of(run: Run, unit: Unit) -> tuple[Skip, int]:
    """Where the skip of a residual unit is in the forward of its module, and how many additions there are in it."""
    sums = [node for node in run.nodes if node.owner is unit.call and is_addition(run, node)]
    return Skip(sums.index(unit.add), unit.add.inputs.index(unit.skip)), len(sums)


def innermost(units: list[Unit]) -> list[Unit]:
    """Of additions in one forward the outermost, of blocks inside each other the innermost."""
    def inside(a: Unit, b: Unit) -> bool:
        return a is not b and b.fork.index <= a.fork.index and a.add.index <= b.add.index

    units = [a for a in units if not any(inside(a, b) and a.call is b.call for b in units)]
    return [b for b in units if not any(inside(a, b) for a in units)]


def blocks(run: Run) -> list[Unit]:
    """Residual blocks, and calls of the same classes that have no skip (where they change the size), in order."""
    convs = convolutions(run)
    found = innermost([u for node in run.nodes if (u := residual(run, node, convs))])
    for unit in found:
        if unit.call is run.root or sum(u.call is unit.call for u in found) > 1:      # written out in a longer forward
            unit.name = next((c.name for c in run.calls if c.output is unit.branch and c is not run.root), unit.name)
    classes = {type(u.call.module) for u in found if u.call is not run.root}
    for call in run.calls:
        if (type(call.module) in classes and call.output is not None and len(call.inputs) == 1 and call.output.is_map
                and not any(u.call.within(call) or call.within(u.call) for u in found)
                and any(c.within(call) for c in convs)):
            found.append(Unit(call.name, call, call.inputs[0], call.output))
    return sorted(found, key=lambda u: u.end.index)


def single_convolutions(run: Run) -> list[Unit]:
    """Every convolution with its norm, in order."""
    return [Unit(call.name, call, call.inputs[0], with_norm(run, call).output) for call in convolutions(run)]
