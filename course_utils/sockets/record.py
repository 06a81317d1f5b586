"""A record of one forward pass: every tensor, what it was made from, and which module made it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .lists import Held, has_tensors, held, look_into


@dataclass(eq=False)
class Node:
    """One tensor on its way through the network: the function that made it, and from which tensors."""

    index: int
    function: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...]
    owner: Call | None          # the module whose forward made it; None: an input of the network
    channels_last: bool = False     # (N, H, W, C), or four dimensions of which nobody says what they are
    readers: list[Node] = field(default_factory=list)

    @property
    def is_map(self) -> bool:
        """(N, C, H, W)."""
        return len(self.shape) == 4 and not self.channels_last

    @property
    def size(self) -> tuple[int, ...]:
        """H and W."""
        return self.shape[2:]


@dataclass(eq=False)
class Call:
    """One call of a module: what it got, what it gave back, and the calls inside.

    `first` is the tensor that it got as its first argument: what attention before it would change. `output` is what it gave
    back, if that was one tensor.
    """

    name: str
    module: nn.Module           # of the copy
    parent: Call | None
    first: Node | None
    inputs: tuple[Node, ...]
    begin: int                  # number of nodes before it
    own: bool                   # its forward was the object's, not the class's
    given: frozenset = frozenset()      # its arguments that were not None, by position or name
    lists: Held = Held()        # its arguments that were lists or dicts of tensors
    gave: object = None         # what it gave back, if that was one: its Holds
    output: Node | None = None
    outputs: tuple[Node, ...] = ()
    inside: list[Call] = field(default_factory=list)

    @property
    def held(self) -> Held:
        """What went through its forward in lists and dicts."""
        start = len(self.name) + 1 if self.name else 0
        return self.lists._replace(calls=tuple((c.name[start:], c.gave) for c in self.inside if has_tensors(c.gave)))

    def within(self, other: Call) -> bool:
        """Is this call the other one, or somewhere inside it?"""
        call: Call | None = self
        while call is not None and call is not other:
            call = call.parent
        return call is other


@dataclass
class Run:
    """Everything that one forward pass did, in order. The first `sources` nodes are the inputs of the network."""

    nodes: list[Node]
    calls: list[Call]
    size: tuple[int, ...]       # (C, H, W) of the picture
    sources: int = 1
    ancestors: list[int] = field(default_factory=list)      # node -> bits of itself and of all that it was made from

    def __post_init__(self):
        for node in self.nodes:
            bits = 1 << node.index
            for source in node.inputs:
                bits |= self.ancestors[source.index]
                source.readers.append(node)
            self.ancestors.append(bits)

    @property
    def root(self) -> Call:
        return self.calls[0]

    def uses(self, node: Node, source: Node) -> bool:
        """Was `node` made from `source`, or is it the same?"""
        return bool(self.ancestors[node.index] >> source.index & 1)

    def seen(self, node: Node) -> bool:
        """Was `node` made from an input of the network?"""
        return bool(self.ancestors[node.index] & (1 << self.sources) - 1)

    def between(self, source: Node, end: Node) -> Iterator[Node]:
        """What lies on a path from `source` to `end`: behind the one, up to and with the other."""
        bits = self.ancestors[end.index]
        return (n for n in self.nodes[source.index + 1:end.index + 1] if bits >> n.index & 1 and self.uses(n, source))

    def times(self, call: Call) -> int:
        """How often the module of this call was called."""
        return sum(other.module is call.module for other in self.calls)

    def gateways(self, source: Node | None = None, ends: tuple[Node, ...] | None = None) -> list[Node]:
        """The nodes that every path from `source` to `ends` goes through, in order; from the inputs to the answers if not said.

        A network may give several tensors: what all of them were made from is on the way to each.
        """
        ends = ends or tuple(n for n in self.root.outputs if self.seen(n))
        useful = functools.reduce(int.__or__, (self.ancestors[end.index] for end in ends), 0)
        sources = [source] if source else [n for n in self.nodes[:self.sources] if useful >> n.index & 1]
        start = sum(1 << n.index for n in sources)
        last = max((end.index for end in ends), default=-1)
        found, open_until = [], sources[-1].index + 1 if len(sources) > 1 else 0
        for node in self.nodes[:last + 1]:
            if not useful >> node.index & 1 or not self.ancestors[node.index] & start:
                continue
            if open_until <= node.index:
                found.append(node)
            readers = [r.index for r in node.readers if useful >> r.index & 1]
            open_until = max([open_until, *readers, *([last + 1] if node in ends and node.index < last else ())])
        return found


def tensors(value) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples, dicts and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(tensors, value))
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from tensors([getattr(value, f.name, None) for f in dataclasses.fields(value)])


IN_ORDER = frozenset({"conv2d", "batch_norm", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "group_norm", "interpolate"})


def permuted(name: str, args: tuple, kwargs: dict) -> tuple[int, ...]:
    """The order of four dimensions after this function, in numbers of those before; empty where it does not change them."""
    if name == "permute":
        dims = kwargs.get("dims", args[1] if len(args) == 2 else args[1:])
        return tuple(d % 4 for d in dims) if len(dims) == 4 else ()
    if name in ("transpose", "swapaxes") and len(args) == 3 and args[0].ndim == 4:
        dims = list(range(4))
        one, other = args[1] % 4, args[2] % 4
        dims[one], dims[other] = other, one
        return tuple(dims)
    return ()


def order(name: str, inputs: tuple[Node, ...], dims: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Are the channels of what was made last, or is nothing known of them?"""
    if name in IN_ORDER or not inputs:
        return False
    before = inputs[0]
    if dims:
        return dims.index(3 if before.channels_last else 1) != 1
    if len(before.shape) == 4 or name not in RESHAPES:      # a gate of (N, C, 1, 1) says nothing of what it weighs
        return any(node.channels_last for node in [n for n in inputs if n.shape == shape] or inputs)
    while len(before.shape) != 4 and before.inputs:      # four dimensions again, after three or five
        before = before.inputs[0]
    return not (before.is_map and before.shape[2:] == shape[2:])


RESHAPES = frozenset("view reshape unflatten".split())


class Recorder(TorchFunctionMode):
    """Notes every torch function with the tensors that it reads and makes, and every call of a module of `net`, a copy.

    Calls are seen at the forward itself, which is exchanged, and not by hooks: `block.forward(x)` is a call as well.
    """

    def __init__(self, net: nn.Module, inputs: tuple[Tensor, ...]):
        super().__init__()
        self.nodes = [Node(i, "picture", (), tuple(x.shape), None) for i, x in enumerate(inputs)]
        self.calls: list[Call] = []
        self.stack: list[Call] = []
        self.known = {id(x): node for x, node in zip(inputs, self.nodes, strict=True)}
        self.keep = list(inputs)      # a tensor that is gone would hand its id to another
        for name, module in net.named_modules():
            vars(module)["forward"] = functools.partial(self.call, name, module, module.forward, "forward" in vars(module))

    def of(self, value) -> tuple[Node, ...]:
        return tuple(self.known[id(t)] for t in tensors(value) if id(t) in self.known)

    def add(self, name: str, inputs: tuple[Node, ...], tensor: Tensor, dims: tuple[int, ...] = ()) -> None:
        node = Node(len(self.nodes), name, inputs, tuple(tensor.shape), self.stack[-1] if self.stack else None,
                    order(name, inputs, dims, tuple(tensor.shape)))
        self.nodes.append(node)
        self.known[id(tensor)] = node        # in place or not: from now on the tensor stands for what was just made
        self.keep.append(tensor)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        inputs = tuple(dict.fromkeys(self.of((args, kwargs))))
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        written = args[0] if name == "__setitem__" or name.endswith("_") and not name.endswith("__") and args else None
        plain = name.strip("_")
        if plain in IN_ORDER and inputs:      # whoever reads it so says what its dimensions are
            inputs[0].channels_last = False
        for tensor in args[:1] if name == "__setitem__" else tensors(out):
            self.add(plain, inputs, tensor, permuted(plain, args, kwargs or {}))
        base = getattr(written, "_base", None) if isinstance(written, Tensor) else None
        if base is not None and id(base) in self.known:      # what is written to a part of a tensor is in the whole of it
            self.add("setitem", tuple(dict.fromkeys((self.known[id(base)], *self.of(written)))), base)
        return out

    def call(self, name: str, module: nn.Module, forward: Callable, own: bool, *args, **kwargs):
        parent = self.stack[-1] if self.stack else None
        first = self.of(args[:1]) if args and isinstance(args[0], Tensor) else ()
        call = Call(name, module, parent, first[0] if first else None, self.of((args, kwargs)), len(self.nodes), own,
                    frozenset(key for key, value in (*enumerate(args), *kwargs.items()) if value is not None),
                    held(args, kwargs))
        if parent:
            parent.inside.append(call)
        self.calls.append(call)
        self.stack.append(call)
        out = forward(*args, **kwargs)
        self.stack.pop()
        call.outputs, call.gave = self.of(out), look_into(out)
        call.output = call.outputs[0] if len(call.outputs) == 1 else None
        return out
