"""What a network costs: parameters, multiply-adds, traffic, seconds, memory; of one network, or of several side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .runtime import keep_memory
from .tables import as_html, as_text
from .train import evaluating


def check_fits(net: nn.Module, x: Tensor) -> None:
    """Refuse a batch that this network cannot be measured on.

    Raises:
        TypeError: not a network and a tensor. ValueError: an empty batch, or one on another device than the network.
    """
    if not isinstance(net, nn.Module) or not isinstance(x, Tensor):
        raise TypeError(f"wanted a torch.nn.Module and a batch of pictures, got {type(net).__name__} and {type(x).__name__}")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"wanted a batch of at least one picture, (N, C, H, W), got {tuple(x.shape)}")
    there = next((t.device for t in (*net.parameters(), *net.buffers())), x.device)
    if there != x.device:
        raise ValueError(f"this {type(net).__name__} is on {there} and the batch on {x.device}: use x.to({str(there)!r})")


def parameters(net: nn.Module) -> int:
    """How many numbers the network learns; shared ones count once."""
    return sum(p.numel() for p in net.parameters())


def multiply_adds(net: nn.Module, x: Tensor) -> float:
    """Multiply-adds of one forward pass in eval mode, per picture of `x` (N, C, H, W).

    Convolutions, matrix products and fused attention are counted, as in the papers; element-wise work such as norms, gates
    and pooling is not, and neither is the time that it takes.
    """
    check_fits(net, x)
    x = x.clone()
    with evaluating(net), FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops() / 2 / len(x)


class Traffic(TorchDispatchMode):
    """Adds up the bytes that torch's operators read and write; a view moves none."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += sum(t.nbytes for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor))
        return out


def traffic(net: nn.Module, x: Tensor) -> float:
    """Bytes that go to and from memory in one forward pass in eval mode, per picture of `x` (N, C, H, W). Taught in lesson 14.

    What the operators of torch read and write, as if nothing stayed in a cache between them; a weight counts for the whole
    batch. Compiled code joins operators and moves less.
    """
    check_fits(net, x)
    x = x.clone()
    with evaluating(net), Traffic() as counter:
        net(x)
    return counter.bytes / len(x)


def seconds(net: nn.Module, x: Tensor) -> float:
    """One forward pass by the clock. A GPU works on by itself: it is waited for before and after."""
    x = x.clone()      # for a network that writes into its pictures
    wait(x.device)
    start = time.perf_counter()
    net(x)
    wait(x.device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def latencies(nets: Sequence[nn.Module], x: Tensor, repeats: int, warm_up: int) -> list[float]:
    """The median of each; in every round each network has its turn, so that a busy moment hits all alike."""
    for name, value, least in (("repeats", repeats, 1), ("warm_up", warm_up, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"latency: {name} must be an integer of at least {least}, got {value!r}")
    for net in nets:
        check_fits(net, x)
    keep_memory()      # which of two nets pays for pages that come and go would be an accident
    with evaluating(*nets):
        rounds = [[seconds(net, x) for net in nets] for _ in range(warm_up + repeats)]
    return [median(times) for times in zip(*rounds[warm_up:], strict=True)]


def latency(net: nn.Module, x: Tensor, repeats: int = 20, warm_up: int = 5) -> float:
    """Seconds of one forward pass of the whole batch in eval mode without gradients: the median of `repeats`.

    The first `warm_up` passes do not count: in them memory is laid out, and compiled networks are compiled.
    """
    return latencies([net], x, repeats, warm_up)[0]


class Watch(TorchDispatchMode):
    """Adds up the memory of all tensors that were made and still live, after every step.

    Views and results in place share the storage of their tensor, so storages are counted, and followed by references that
    do not keep them alive. What a step reads and no step has made was there before: the weights, the pictures.
    """

    def __init__(self):
        super().__init__()
        self.sizes: dict[StorageWeakRef, int] = {}
        self.peak = 0

    def note(self, values, made: bool) -> None:
        for tensor in tree_leaves(values):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.sizes.setdefault(StorageWeakRef(storage), storage.nbytes() if made else 0)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.note((args, kwargs), made=False)
        out = func(*args, **(kwargs or {}))
        self.note(out, made=True)
        self.sizes = {ref: size for ref, size in self.sizes.items() if not ref.expired()}
        self.peak = max(self.peak, sum(self.sizes.values()))
        return out


def peak_memory(net: nn.Module, x: Tensor) -> int:
    """Bytes of activations at the peak of one forward pass in eval mode without gradients, for the whole batch.

    Weights and the batch itself do not count. In training more is kept, for the way back. On a CUDA device it is what torch
    took from it at most, with the scratch space of its kernels, in blocks of 512 bytes. Elsewhere it is the sum over the
    tensors that torch's operators make; scratch space inside an operator is not seen.
    """
    check_fits(net, x)
    x = x.clone()
    with evaluating(net):
        if x.device.type == "cuda":
            net(x)      # the first pass of all also takes scratch space that stays
            wait(x.device)
            torch.cuda.reset_peak_memory_stats(x.device)
            before = torch.cuda.memory_allocated(x.device)
            net(x)
            return torch.cuda.max_memory_allocated(x.device) - before
        with Watch() as watch:
            net(x)
    return watch.peak


@dataclass(frozen=True)
class Cost:
    """Of one network: `multiply_adds` per picture, `latency` in seconds and `memory` in bytes per batch."""

    parameters: int
    multiply_adds: float
    latency: float
    memory: int


@dataclass(frozen=True)
class Comparison:
    """Costs by name, printed as a table; every ratio is to the first row."""

    costs: dict[str, Cost]
    batch: tuple[int, ...]
    device: str

    @property
    def rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        first = next(iter(self.costs.values()))
        columns = [list(self.costs)]
        for field, unit, digits in (("parameters", 1, 0), ("multiply_adds", 1, 0), ("latency", 1e-3, 2), ("memory", 1e6, 2)):
            values, base = [getattr(cost, field) for cost in self.costs.values()], getattr(first, field)
            columns.append(right([f"{value / unit:,.{digits}f}" for value in values]))
            columns.append(right([f"{value / base:.2f}" if base else "-" for value in values]))
        head = ("network", "parameters", "ratio", "multiply-adds", "ratio", "ms", "ratio", "MB", "ratio")
        return head, [list(row) for row in zip(*columns, strict=True)]

    @property
    def foot(self) -> str:
        return (f"A forward pass in evaluation on {self.device}, batch of {'x'.join(map(str, self.batch))}: multiply-adds per "
                "picture, ms (median) and MB (peak of the activations) per batch.")

    def __str__(self) -> str:
        return f"{as_text(*self.rows)}\n{self.foot}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(*self.rows, self.foot)


def right(cells: list[str]) -> list[str]:
    """Padded on the left, so that the decimal points stand below each other."""
    return [cell.rjust(max(map(len, cells))) for cell in cells]


def measure(net: nn.Module, x: Tensor, repeats: int = 20, warm_up: int = 5) -> Cost:
    """Everything that a network costs on this batch; nothing of it is changed or kept."""
    return compare({"net": net}, x, repeats, warm_up).costs["net"]


def compare(nets: Mapping[str, nn.Module], x: Tensor, repeats: int = 20, warm_up: int = 5) -> Comparison:
    """The costs of several networks on the same batch, as a table.

        compare({"plain": plain, "with SE": plugged}, x)

    Raises:
        ValueError: no network, fewer than one repeat, an empty batch or one on another device. TypeError: not a dict name ->
            network.
    """
    if not isinstance(nets, Mapping):
        raise TypeError(f"nets must be a dict name -> network, got {type(nets).__name__}")
    if not nets:
        raise ValueError("nets is empty: give at least one network, {'plain': net}")
    times = latencies(list(nets.values()), x, repeats, warm_up)
    costs = {str(name): Cost(parameters(net), multiply_adds(net, x), median_time, peak_memory(net, x))
             for (name, net), median_time in zip(nets.items(), times, strict=True)}
    return Comparison(costs, tuple(x.shape), str(x.device))
