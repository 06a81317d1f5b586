"""What attention weighs by, on given pictures: handed out by a mechanism of the course, worked out for any other module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attention import read
from ..attention.base import Mechanism
from ..attention.interventions import CHANGED, frozen
from .surgery import part_socket

CLOSE = 1e-3      # of the size of the output: so well must a gate that was worked out explain it

STAND_FOR = ("instead", "head", "fuse")      # sockets where attention stands for something else: no gate times its map

Work = tuple[str, Tensor | None]      # the kind and what it weighs by


@dataclass(frozen=True)
class Reading:
    """What one module weighs by, over some pictures.

    `kind`: "gate", "map" (over positions), "weights" (over kernels), "theta" (of a transformer), "addition" (what a module that
    does not multiply adds to its map), or "-" where nothing can be said. `low`, `middle`, `high`: 5, 50 and 95 % of the values
    lie below. `between` is the spread between pictures, the standard deviation: of a gate as a share of its range, of a map and
    of weights as a share of their mean, of an addition as a share of the size of its map. `room` is how much of the slope of
    its sigmoid or softmax is left: 1 in the middle of it, 0 at its ends, where nothing more can be learned. `leak` is how much
    the output for a picture depends on the others in its batch.
    """

    kind: str = "-"
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    between: float | None = None
    room: float | None = None
    leak: float | None = None


def handed_out(net: nn.Module, name: str) -> dict[str, Mechanism]:
    """The mechanisms of the course in one plugged module: itself, or the outermost ones in it."""
    found: dict[str, Mechanism] = {}
    for at, module in net.get_submodule(name).named_modules(prefix=name):
        if isinstance(module, Mechanism) and not any(at.startswith(f"{whole}.") for whole in found):
            found[at] = module
    return found


def worked_out(x: Tensor, y: Tensor) -> Work:
    """How any module with input x and output y weighs: by a gate for channels (N, C, 1, 1), for positions (N, 1, H, W), for
    both (N, C, H, W), or not by a gate, and then what it adds. NaN where x is zero and does not tell.
    """
    if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.shape != y.shape or x.ndim != 4:
        return "-", None
    x, y = x.float(), y.float()
    for over in ((2, 3), (1,)):
        energy = (x * x).sum(over, keepdim=True)
        gate = torch.where(energy > 0, (x * y).sum(over, keepdim=True) / energy, torch.nan)
        if (y - gate.nan_to_num() * x).norm() <= CLOSE * y.norm():
            return "gate", gate
    seen = x.abs() > CLOSE * x.abs().mean()
    gate = torch.where(seen, y / torch.where(seen, x, 1), torch.nan)
    inside = gate[seen]
    if len(inside) and inside.min() > -0.01 and inside.max() < 2.01:
        return "gate", gate
    return "addition", y - x


def as_frozen(x: Tensor, y: Tensor) -> Tensor:
    """The output with the gate, or what is added, at its mean over the batch."""
    kind, value = worked_out(x, y)
    if value is None:
        return y
    mean = value.nanmean(0, keepdim=True)
    return (x + mean if kind == "addition" else x * mean.nan_to_num(1.0)).to(y.dtype)


def spread(value: Tensor) -> float:
    """The standard deviation over pictures, squared and averaged over all else."""
    mean = value.nanmean(0, keepdim=True)
    return (value - mean).square().nanmean().sqrt().item()


def reading(kind: str, value: Tensor, size: float, start: str, leak: float | None) -> Reading:
    """The numbers of one module; `size` is the root mean square of its map."""
    value = value.detach().float()
    few = value[torch.isfinite(value)]
    few = few[torch.linspace(0, len(few) - 1, min(len(few), 100_000), device=few.device).long()]
    ends = (few.quantile(torch.tensor([0.05, 0.5, 0.95], device=few.device)).tolist() if len(few) else [None] * 3)
    room, between = None, spread(value)
    if kind == "weights" and not torch.allclose(value.sum(1), torch.ones_like(value.sum(1)), atol=1e-2):
        kind = "gate"      # kernels that are weighed one by one
    if kind == "gate":
        top = 2.0 if start == "identity" or ends[2] is not None and ends[2] > 1.001 else 1.0
        if len(few) and few.min() > -CLOSE and few.max() < top + CLOSE:      # else it comes from no sigmoid
            room = (4 * value * (top - value) / top ** 2).nanmean().item()
        between /= top
    elif kind in ("map", "weights"):
        over = -1 if kind == "map" else 1
        count = value.shape[over]
        room = (1 - value.square().sum(over)).mean().item() * count / max(count - 1, 1)
        between *= count
    elif kind == "addition":
        between /= max(size, torch.finfo(torch.float32).tiny)
    return Reading(kind, *ends, between, room, leak)


class Listener:
    """Hooks on the plugged modules of a copy: what goes in and comes out of those that hand nothing out, and who leaks."""

    def __init__(self, modules: dict[str, nn.Module], silent: set[str]):
        self.silent, self.busy = silent, False
        self.heard: dict[str, Work] = {}
        self.size: dict[str, float] = {}
        self.leak: dict[str, float] = {}
        self.handles = [m.register_forward_hook(lambda m, args, y, name=name: self.note(name, m, args, y))
                        for name, m in modules.items()]

    def note(self, name: str, module: nn.Module, args: tuple, y: Tensor) -> None:
        if self.busy or not args or not isinstance(y, Tensor):
            return
        self.size[name] = args[0].float().square().mean().sqrt().item()
        if name in self.silent:
            self.heard[name] = worked_out(args[0], y)
        self.busy = True      # the module is called once more, not by the network: nobody reads along
        readers = {m: m.reader for m in module.modules() if isinstance(m, Mechanism)}
        for m in readers:
            m.reader = None
        try:
            one = module(*(a[:1] if isinstance(a, Tensor) and len(a) == len(y) else a for a in args))
            far = (one - y[:1]).abs().max() / y.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
            self.leak[name] = far.item()
        except Exception:      # one that takes no single picture is asked no more
            pass
        finally:
            self.busy = False
            for m, reader in readers.items():
                m.reader = reader

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def readings(net: nn.Module, modules: dict[str, nn.Module], starts: dict[str, str],
             run: Callable[[], object]) -> tuple[dict[str, Reading], int]:
    """What each plugged module of a copy weighs by while `run()` passes pictures through it; and how many numbers that were."""
    own = {name: handed_out(net, name) for name in modules}
    told: dict[str, dict[str, Tensor]] = {}
    listener = Listener(modules, {name for name in modules if not own[name] and part_socket(name) not in STAND_FOR})
    try:
        with torch.no_grad(), (read(net) if any(own.values()) else nothing()) as seen:
            run()
            told = dict(seen)
    finally:
        listener.remove()
    found, numbers = {}, 0
    for name in modules:
        kind, value = listener.heard.get(name, ("-", None))
        for part in own[name]:
            kind, value = next(((k, told[part][k]) for k in CHANGED if k in told.get(part, {})), (kind, value))
        numbers += 0 if value is None else value.numel()
        leak = listener.leak.get(name)
        start = next((m.start for m in own[name].values()), starts.get(name, ""))
        found[name] = Reading(leak=leak) if value is None else reading(kind, value, listener.size.get(name, 0.0), start, leak)
    return found, numbers


@contextmanager
def nothing() -> Iterator[dict]:
    yield {}


@contextmanager
def held(net: nn.Module, names: list[str], kinds: dict[str, Reading]) -> Iterator[None]:
    """While the block runs, these modules of a copy weigh each picture alike, by the mean of its batch."""
    own = {name: list(handed_out(net, name)) for name in names if kinds[name].kind != "-"}
    with ExitStack() as stack:
        for name, parts in own.items():
            if not parts:
                hook = net.get_submodule(name).register_forward_hook(lambda _, args, y: as_frozen(args[0], y))
                stack.callback(hook.remove)
        if handed := [part for parts in own.values() for part in parts]:
            stack.enter_context(frozen(net, at=handed))
        yield

