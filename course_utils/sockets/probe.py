"""What a network does with a picture: which module hands what to which, read off a copy of it that has no weights.

The copy lives on torch's "meta" device, where tensors have a shape and nothing else: a run costs no memory, touches no
running statistics, and leaves the network itself alone. A network whose steps depend on the numbers in the picture cannot
run there; then a copy with its weights is run once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .surgery import restore

SIZES = (224, 32, 64, 28, 96, 128, 256, 299, 384, 512)      # tried in this order where the user names none


@dataclass(eq=False)
class Node:
    """One tensor on its way through the network: the function that made it, and from which tensors."""

    index: int
    function: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...]
    owner: Call | None          # the module whose forward made it; None: the picture
    readers: list[Node] = field(default_factory=list)

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 4

    @property
    def size(self) -> tuple[int, ...]:
        """H and W."""
        return self.shape[2:]


@dataclass(eq=False)
class Call:
    """One call of a module: what it got, what it gave back, and the calls inside."""

    name: str
    module: nn.Module           # of the copy
    parent: Call | None
    inputs: tuple[Node, ...]
    begin: int                  # number of nodes before it
    output: Node | None = None
    inside: list[Call] = field(default_factory=list)

    def within(self, other: Call) -> bool:
        """Is this call the other one, or somewhere inside it?"""
        call: Call | None = self
        while call is not None and call is not other:
            call = call.parent
        return call is other


@dataclass
class Run:
    """Everything that one forward pass did, in order."""

    nodes: list[Node]
    calls: list[Call]
    size: tuple[int, ...]       # (C, H, W) of the picture
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

    def times(self, call: Call) -> int:
        """How often the module of this call was called."""
        return sum(other.module is call.module for other in self.calls)

    def gateways(self) -> list[Node]:
        """The nodes that every path from the picture to the answer goes through, in order."""
        useful = self.ancestors[self.root.output.index] if self.root.output else 0
        found, open_until = [], 0
        for node in self.nodes:
            if not useful >> node.index & 1 or not self.ancestors[node.index] & 1:
                continue
            if open_until <= node.index:
                found.append(node)
            open_until = max([open_until, *(r.index for r in node.readers if useful >> r.index & 1)])
        return found


def tensors(value) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(tensors, value))
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


class Recorder(TorchFunctionMode):
    """Notes every torch function with the tensors that it reads and makes, and every call of a module."""

    def __init__(self, net: nn.Module, picture: Tensor):
        super().__init__()
        self.nodes: list[Node] = [Node(0, "picture", (), tuple(picture.shape), None)]
        self.calls: list[Call] = []
        self.stack: list[Call] = []
        self.known: dict[int, Node] = {id(picture): self.nodes[0]}
        self.keep: list[Tensor] = [picture]      # a tensor that is gone would hand its id to another
        self.names = {module: name for name, module in net.named_modules()}
        for module in net.modules():
            module.register_forward_pre_hook(self.enter, with_kwargs=True)
            module.register_forward_hook(self.leave)

    def of(self, value) -> tuple[Node, ...]:
        return tuple(self.known[id(t)] for t in tensors(value) if id(t) in self.known)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        inputs = self.of((args, kwargs))
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        made = args[:1] if name == "__setitem__" else tuple(tensors(out))
        for tensor in made:
            node = Node(len(self.nodes), name.strip("_"), tuple(dict.fromkeys(inputs)), tuple(tensor.shape),
                        self.stack[-1] if self.stack else None)
            self.nodes.append(node)
            self.known[id(tensor)] = node        # in place or not: from now on the tensor stands for what was just made
            self.keep.append(tensor)
        return out

    def enter(self, module: nn.Module, args, kwargs) -> None:
        parent = self.stack[-1] if self.stack else None
        call = Call(self.names.get(module, "?"), module, parent, self.of((args, kwargs)), len(self.nodes))
        if parent:
            parent.inside.append(call)
        self.calls.append(call)
        self.stack.append(call)

    def leave(self, module: nn.Module, args, out) -> None:
        made = self.of(out)
        self.stack.pop().output = made[0] if len(made) == 1 else None


def meta_copy(net: nn.Module, weights: bool) -> nn.Module:
    """A copy in eval mode, without hooks; its parameters and buffers have shapes only, unless `weights`."""
    memo: dict[int, Tensor] = {}
    if not weights:
        for tensor in chain(net.parameters(), net.buffers()):
            empty = torch.empty_like(tensor, device="meta", requires_grad=False)
            memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
    twin = copy.deepcopy(net, memo).eval()
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def run(net: nn.Module, size: tuple[int, int, int], weights: bool = False, plain: bool = True) -> Run:
    """One forward pass of such a copy on a picture of (C, H, W); `plain`: of the host, with nothing plugged in."""
    twin = meta_copy(net, weights)
    if plain:
        restore(twin)
    like = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    device = like.device if weights else "meta"
    picture = torch.zeros(1, *size, dtype=like.dtype, device=device)
    recorder = Recorder(twin, picture)
    # A generator of its own: what a network draws here must not shift the random numbers of the program around it.
    with torch.random.fork_rng(devices=[]), torch.no_grad(), recorder:
        twin(picture)
    return Run(recorder.nodes, recorder.calls, size)


def sizes(net: nn.Module, input_size) -> list[tuple[int, int, int]]:
    """The picture sizes to try: the one that was asked for, or the usual ones.

    Raises:
        ValueError: not a size, or a network without convolutions.
    """
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f"this {type(net).__name__} has no torch.nn.Conv2d: there is no convolution to plug attention around. "
                         "Modules in a plain list are not seen: keep them in nn.ModuleList.")
    if input_size is None:
        return [(first.in_channels, side, side) for side in SIZES]
    numbers = list(input_size) if isinstance(input_size, Iterable) else [input_size]
    if not 1 <= len(numbers) <= 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers):
        raise ValueError(f"input_size must be (C, H, W), (H, W) or one side in pixels, got {input_size!r}")
    numbers = numbers * 2 if len(numbers) == 1 else numbers
    return [tuple(numbers if len(numbers) == 3 else [first.in_channels, *numbers])]


def probe(net: nn.Module, input_size=None, plain: bool = True) -> Run:
    """What the network does with a picture of `input_size`; None: of a usual size that it can take.

    `plain`: the host alone, whatever is plugged in, so that its places keep their names.

    Raises:
        ValueError: not a size, no convolution, or a network that cannot be run on such a picture; the message has its error.
    """
    wanted, error = sizes(net, input_size), None
    for weights in (False, True):
        for size in wanted:
            try:
                return run(net, size, weights, plain)
            except Exception as problem:      # whatever a stranger's forward may raise
                error = error or problem
    tried = ", ".join("x".join(map(str, size)) for size in wanted)
    raise ValueError(f"this {type(net).__name__} could not be run as model(x) on one picture of {tried}. The first error was: "
                     f"{type(error).__name__}: {str(error).rstrip('.')}. Give the size that it takes: input_size=(C, H, W). Of a "
                     "model that takes more than a picture, plug into the part that takes the picture.") from error
