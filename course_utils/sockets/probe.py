"""Running a copy of a network, to see what it does: on torch's "meta" device where that is possible.

There tensors have a shape and nothing else: a run costs no memory, touches no running statistics, and leaves the network
itself alone. A network whose steps depend on the numbers in the picture cannot run there; then a copy with its weights is
run once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from .record import Recorder, Run, tensors
from .surgery import restore

SIZES = (224, 32, 64, 28, 96, 128, 160, 256, 299, 384, 512)      # tried in this order where the user names none


@dataclass
class Example:
    """What a network is run on: the arguments of its forward, by position and by name."""

    args: tuple = ()
    named: dict[str, Any] = field(default_factory=dict)

    def map(self, change: Callable[[Tensor], Tensor]) -> Example:
        """The same with other tensors."""
        return Example(changed(self.args, change), changed(self.named, change))

    def part(self, piece: slice) -> Example:
        """A copy of some of its pictures, with what there is one of for each."""
        count = len(self.tensors[0])
        return self.map(lambda t: (t[piece] if t.ndim and len(t) == count else t).clone())

    def filled(self) -> Example:
        """Zeros on the processor where a tensor has only a shape."""
        return self.map(lambda t: torch.zeros(t.shape, dtype=t.dtype, device="cpu") if t.is_meta else t)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Each tensor once, the pictures (the first map of four or three dimensions) in front."""
        found = list({id(t): t for t in tensors((self.args, self.named))}.values())
        return tuple(sorted(found, key=lambda t: t.ndim not in (3, 4)))

    @property
    def size(self) -> tuple[int, ...]:
        """(C, H, W) of the first picture."""
        return tuple(self.tensors[0].shape[-3:])

    def __str__(self) -> str:
        """One picture as CxHxW, several tensors with their whole shapes."""
        shapes = [t.shape for t in self.tensors]
        return " and ".join("x".join(map(str, shape[1:] if len(shapes) == 1 and len(shape) == 4 else shape)) for shape in shapes)


def changed(value, change: Callable[[Tensor], Tensor]):
    """The same lists, tuples and dicts with other tensors."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        twin = copy.copy(value)      # whatever its class asks of those who make one, as a defaultdict does
        twin.update((k, changed(v, change)) for k, v in value.items())
        return twin
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(changed(v, change) for v in value))
    return type(value)(changed(v, change) for v in value) if isinstance(value, list | tuple) else value


def computed(net: nn.Module) -> Iterator[Tensor]:
    """Tensors of its modules that were made from others: a map that was kept, a weight that is pruned or normalised."""
    for module in net.modules():
        for value in vars(module).values():
            inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
            yield from (t for t in inside if isinstance(t, Tensor) and not t.is_leaf)


def duplicate(net: nn.Module, memo: Mapping[int, Tensor] = MappingProxyType({})) -> nn.Module:
    """A copy, also of what is computed, which copy.deepcopy refuses. `memo`: id of a tensor -> what stands for it."""
    return copy.deepcopy(net, {id(t): t.detach().clone() for t in computed(net)} | memo)


def copied(net: nn.Module, weights: bool) -> nn.Module:
    """A copy in eval mode, without hooks; its parameters and buffers have shapes only, unless `weights`."""
    memo: dict[int, Tensor] = {}
    if not weights:
        for tensor in chain(net.parameters(), net.buffers(), computed(net)):
            empty = torch.empty_like(tensor, device="meta", requires_grad=False)
            memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
    twin = duplicate(net, memo).eval()
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


@contextmanager
def unnoticed(net: nn.Module):
    """Without gradients, and with random numbers of its own: what a network draws here must not shift those around it.

    On the processor and on the network's own device. Not by torch.manual_seed, which would seed every device there is.
    """
    cards = sorted({p.device.index for p in net.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=cards), torch.no_grad():
        torch.default_generator.manual_seed(0)
        for card in cards:
            torch.cuda.default_generators[card].manual_seed(0)
        yield


def run(net: nn.Module, example: Example, weights: bool = False, plain: bool = True) -> Run:
    """One forward pass of a copy; `plain`: of the host, with nothing plugged in."""
    twin = copied(net, weights)
    if plain:
        restore(twin)
    like = next((p for p in net.parameters()), torch.empty(0))
    given = example.map(lambda t: t.to(like.device if weights else "meta", copy=True))
    recorder = Recorder(twin, given.tensors)
    with unnoticed(twin), recorder:
        twin(*given.args, **given.named)
    return Run(recorder.nodes, recorder.calls, given.size, len(given.tensors))


def examples(net: nn.Module, input_size=None, inputs=None) -> list[Example]:
    """What to try: the inputs or the size that were asked for, or pictures of usual sizes.

    Raises:
        ValueError: not a size, no tensor among the inputs, both, or a network without convolutions.
    """
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f"this {type(net).__name__} has no torch.nn.Conv2d: there is no convolution to plug attention around. "
                         "Modules in a plain list are not seen: keep them in nn.ModuleList.")
    like = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    if inputs is not None:
        if input_size is not None:
            raise ValueError("give inputs or input_size, not both: the inputs have a size")
        given = Example(named=inputs) if isinstance(inputs, dict) else Example(inputs if isinstance(inputs, tuple) else (inputs,))
        if not given.tensors or given.tensors[0].ndim not in (3, 4):
            raise ValueError(f"inputs must hold a picture, a tensor (N, C, H, W): give the tensor, a tuple of the arguments of "
                             f"model(...), or a dict of those by name; got {type(inputs).__name__}"
                             + (f" with {given}" if given.tensors else " without a tensor. From an array: "
                                "torch.from_numpy(...), from a DataLoader: next(iter(loader))[0]"))
        return [given]
    # A stem that first sorts pixels into channels has a convolution of more channels than the picture.
    counts = (first.in_channels,) if first.in_channels in (1, 3) else (first.in_channels, 3, 1)
    if input_size is None:
        wanted = [(channels, side, side) for channels in counts for side in SIZES]
    else:
        numbers = list(input_size) if isinstance(input_size, Iterable) else [input_size]
        if not 1 <= len(numbers) <= 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers):
            raise ValueError(f"input_size must be (C, H, W), (H, W) or one side in pixels, got {input_size!r}")
        numbers = numbers * 2 if len(numbers) == 1 else numbers
        wanted = [tuple(numbers)] if len(numbers) == 3 else [(channels, *numbers) for channels in counts]
    return [Example((torch.zeros(1, *size, dtype=like.dtype, device="meta"),)) for size in wanted]


def amiss(given: Example) -> str:
    """What looks wrong with the pictures that somebody gave, and what to do; empty if nothing does."""
    first, whole = given.tensors[0], given.args[0] if given.args else None
    if not first.is_floating_point():
        return f"They are {first.dtype}, and most networks want floats, as in training: x.float() / 255. "
    if whole is first and first.ndim == 3:
        return "It has no batch dimension: x[None]. "
    if isinstance(whole, list) and first.ndim == 4:
        return "A list goes in as it is, which detectors take; of batches give one, or torch.cat(...) of all. "
    return ""


def told(error: Exception) -> str:
    """Its kind and its first line: torch may go on for a page."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0].rstrip('.')}"


def warn_of_size(net: nn.Module, done: Run) -> None:
    """Say so where a network makes its pictures much larger by itself, as detectors do: each trial of it costs that much."""
    large = max((node.size for node in done.nodes if node.is_map), key=lambda size: size[0] * size[1], default=(0, 0))
    h, w = done.size[1:]
    if large[0] * large[1] > max(4 * h * w, 400 * 400):
        warnings.warn(f"this {type(net).__name__} makes {large[0]}x{large[1]} pixels of a picture of {h}x{w}, so looking at it "
                      "takes much time and memory. torchvision's detectors do so by min_size=800: set "
                      "net.transform.min_size = (96,) while you plug in, and set it back afterwards.", stacklevel=5)


def probe(net: nn.Module, input_size=None, inputs=None) -> tuple[Run, Example]:
    """What the host does, whatever is plugged in, and on what; without a size or inputs on a usual picture that it can take.

    Raises:
        ValueError: not a size, no convolution, or a network that cannot be run so; the message has its own error, of the first
            try and with the network's weights.
    """
    wanted, real = examples(net, input_size, inputs), {}
    for weights in (False, True):
        for example in wanted:
            filled = example.filled() if weights else example
            try:
                done = run(net, filled, weights)
                if weights:
                    warn_of_size(net, done)
                return done, example
            except Exception as problem:      # whatever a stranger's forward may raise
                if weights:
                    real[str(example)] = problem
    error = next(iter(real.values()))
    once = len({str(e) for e in real.values()}) == 1 and len(real) > 1
    remedy = ("It is the same for every size, so the size is not the cause. " if once else amiss(wanted[0]) if inputs is not None
              else "Give the size that it takes: input_size=(C, H, W). ")
    call = "model(...)" if inputs is not None else "model(x)"
    raise ValueError(f"this {type(net).__name__} could not be run as {call} on one picture of {', '.join(real)}. The first error "
                     f"was: {told(error)}. {remedy}Of a model that takes more than a picture, give inputs=..., the arguments of "
                     "model(...), or plug into the part that takes the picture.") from error
