"""The natural units of a network, found in what it did: residual blocks where it has them, convolutions with their norms.

A residual block ends in an addition of two things that are made from one tensor, the fork: of the branch, in which there are
convolutions; and of the skip, which is the fork itself, or the fork after a 1x1 convolution with its norm, pooled, padded, or
cut. All of it happens inside the module that adds, at one size of map or at smaller and smaller ones: a map that was made
small and large again meets what it was, as in a U-Net, and closes no block.

So an addition is a merge, and no block, where both sides hold windows; where several paths, all linear, are added that could
be folded into one convolution, as in RepVGG or with an adapter beside a convolution; where the skip is multiplied with
something made from it, as in a gate; or where one side comes from outside, as in a feature pyramid.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .record import Call, Node, Run
from .skip import Skip

# Functions that change each value by itself: attention before or after such a one sees the same places.
ELEMENTWISE = frozenset(
    "relu relu6 hardtanh hardswish hardsigmoid silu gelu elu leaky_relu mish sigmoid tanh mul imul rmul div dropout "
    "dropout2d alpha_dropout feature_dropout contiguous clone float half bfloat16 to type_as detach".split())
# What may happen on a skip, besides these: the positions are moved, joined or left out, and channels, all by a fixed rule.
ROUTES = frozenset("avg_pool2d max_pool2d adaptive_avg_pool2d adaptive_max_pool2d max_pool2d_with_indices pad interpolate "
                   "getitem cat concat slice chunk split narrow permute transpose reshape view flatten".split())
LINEAR = frozenset("conv2d batch_norm add iadd radd sub avg_pool2d adaptive_avg_pool2d pad cat getitem chunk split linear "
                   "permute reshape view flatten dropout contiguous clone to float half bfloat16 detach".split())
SCALING = frozenset("mul imul rmul div".split())      # linear, by what does not come from the picture
CASTS = frozenset("to type_as float half bfloat16 contiguous".split())
UPWARD = frozenset("interpolate upsample conv_transpose2d pixel_shuffle grid_sample max_unpool2d".split())


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
    return [call for call in run.calls if isinstance(call.module, nn.Conv2d) and call.first
            and call.output is not None and call.output.is_map and call.first.size != (1, 1)]


def with_norm(run: Run, call: Call) -> Call:
    """The norm that reads what the convolution gives, if nothing else does; otherwise the convolution itself."""
    readers = [c for c in run.calls if call.output in c.inputs and is_norm(c.module) and c.output is not None]
    alone = readers and all(r.owner is not None and r.owner.within(readers[0]) for r in call.output.readers)
    return readers[0] if alone and readers[0].output.shape == call.output.shape else call


def is_addition(run: Run, node: Node) -> bool:
    """The sum of two different tensors that come from the picture, not of one and a parameter."""
    return node.function in ("add", "iadd", "radd") and len(node.inputs) == 2 and all(map(run.seen, node.inputs))


def is_skip(run: Run, fork: Node, node: Node, convs: list[Call]) -> bool:
    """Is `node` the fork, or no more than a 1x1 convolution with its norm, pooling, padding or cutting away from it?"""
    way = list(run.between(fork, node))
    projections = [c.module for c in convs if c.output in way]
    if any(max(conv.kernel_size) > 1 for conv in projections) or len(projections) > 1:
        return False
    known = ELEMENTWISE | ROUTES | ({"conv2d", "batch_norm", "group_norm", "layer_norm"} if projections else set())
    inside_norms = {n for c in run.calls if is_norm(c.module) and projections for n in way if n.owner and n.owner.within(c)}
    return all(n in inside_norms or n.function in known and sum(map(run.seen, n.inputs)) == 1 for n in way)


def is_linear(run: Run, way: list[Node]) -> bool:
    """Is what lies on this way linear in the picture, so that it could be folded into one convolution?"""
    return all(n.function in LINEAR or n.function in SCALING and sum(map(run.seen, n.inputs)) == 1 for n in way)


def returns(run: Run, fork: Node, node: Node, way: list[Node]) -> bool:
    """Does everything between become smaller and large again?"""
    gates = [g.size for g in run.gateways(fork, (node,)) if g.is_map]
    return any(n.function in UPWARD for n in way) and min(gates, default=node.size) < min(fork.size, node.size)


def is_branch(run: Run, fork: Node, node: Node, skip: Node, owner: Call, convs: list[Call]) -> bool:
    """Does the node come from the fork through convolutions, all inside the module that adds, and not just beside the skip?"""
    way = list(run.between(fork, node))
    inside = all(n.owner is not None and n.owner.within(owner) for n in way)
    if not inside or not any(c.output in way for c in convs) or returns(run, fork, node, way):
        return False
    if not is_linear(run, way):
        return True
    return skip is fork and not any(is_addition(run, n) for n in way)      # one path: x + norm(conv(x))


def residual(run: Run, node: Node, convs: list[Call]) -> Unit | None:
    """The residual unit that ends in this node, if it is the sum of a branch and a skip of one fork."""
    if not is_addition(run, node) or not node.is_map or node.owner is None:
        return None
    one, other = node.inputs
    common = run.ancestors[one.index] & run.ancestors[other.index]
    if one.shape != other.shape or node.size == (1, 1) or not common:
        return None
    fork = run.nodes[common.bit_length() - 1]
    if fork.index < node.owner.begin and fork not in node.owner.inputs:
        return None                                  # it comes from elsewhere: two paths are merged, no block is closed
    for branch, skip in ((one, other), (other, one)):
        if is_skip(run, fork, skip, convs) and is_branch(run, fork, branch, skip, node.owner, convs):
            return Unit(node.owner.name, node.owner, fork, branch, skip, node)
    return None


def line_of(run: Run, unit: Unit) -> tuple[Skip, int]:
    """Where the skip of a residual unit is in the forward of its module, and how many additions there are in it."""
    sums = [node for node in run.nodes if node.owner is unit.call and is_addition(run, node)]
    return Skip(sums.index(unit.add), unit.add.inputs.index(unit.skip), unit.call.held), len(sums)


def innermost(run: Run, units: list[Unit]) -> list[Unit]:
    """Of additions in one forward the outermost, of blocks inside each other the innermost."""
    def inside(a: Unit, b: Unit) -> bool:
        """By what was made from what: parallel branches run one after the other, and are not in each other."""
        return a is not b and run.uses(a.fork, b.fork) and run.uses(b.add, a.add)

    units = [a for a in units if not any(inside(a, b) and a.call is b.call for b in units)]
    return [b for b in units if not any(inside(a, b) for a in units)]


def blocks(run: Run) -> list[Unit]:
    """Residual blocks, and calls of the same classes that have no skip (where they change the size), in order."""
    convs = convolutions(run)
    found = innermost(run, [u for node in run.nodes if (u := residual(run, node, convs))])
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


def merges(run: Run, convs: list[Call]) -> list[Unit]:
    """Modules that add parallel convolutions of what they get, and so compute what one convolution could: RepVGG, adapters."""
    found: dict[Call, Unit] = {}
    for node in run.nodes:
        owner = node.owner
        if owner is None or owner is run.root or owner.first is None or not is_addition(run, node) or not node.is_map:
            continue
        while len(node.readers) == 1 and node.readers[0].function in CASTS and node.readers[0].owner is owner:
            node = node.readers[0]
        way = list(run.between(owner.first, node))
        if is_linear(run, way) and sum(c.output in way for c in convs) > 1 and all(n.owner.within(owner) for n in way):
            found[owner] = Unit(owner.name, owner, owner.first, node)      # of several additions the last
    return [u for u in found.values() if not any(u.call is not v.call and u.call.within(v.call) for v in found.values())]


def single_convolutions(run: Run) -> list[Unit]:
    """Every convolution with its norm, in order; parallel ones that a module adds are one."""
    convs = convolutions(run)
    together = merges(run, convs)
    alone = [c for c in convs if not any(c.within(unit.call) for unit in together)]
    units = [*together, *(Unit(call.name, call, call.first, with_norm(run, call).output) for call in alone)]
    return sorted(units, key=lambda u: u.branch.index)
