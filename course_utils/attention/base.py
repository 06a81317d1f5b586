"""What all mechanisms share: the door check, the starts, and one way to read their gates and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

STARTS = ("as_made", "identity")
HALF = (torch.float16, torch.bfloat16)


def positive(value: int, argument: str, name: str) -> int:
    """An integer of at least 1, or a ValueError that says which argument was wrong."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: {argument} must be an integer of at least 1, got {value!r}")
    return value


def odd(value: int, argument: str, name: str) -> int:
    """An odd integer of at least 1, or a ValueError."""
    if positive(value, argument, name) % 2 == 0:
        raise ValueError(f"{name}: {argument} must be odd, so that a position is the centre of its window, got {value}")
    return value


def one_of(value: str, known: tuple[str, ...], argument: str, name: str) -> str:
    """One of the known words, or a ValueError that lists them."""
    if value not in known:
        raise ValueError(f"{name}: {argument} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def divisor(number: int, most: int) -> int:
    """The largest number up to `most` that divides `number`, at least 1."""
    return next((d for d in range(min(number, most), 0, -1) if number % d == 0), 1)


def group_norm(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """norm(x); where each group has a single number it gives the norm's bias, which torch's layer refuses."""
    return torch.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)


def check_channels(channels: int, name: str) -> None:
    """Refuse anything but a positive integer, in the same words for every mechanism."""
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise ValueError(f"{name}: channels must be an integer of at least 1, got {channels!r}. "
                         "It is the C of the feature map (N, C, H, W) that goes in.")


def check_input(x: Tensor, channels: int, name: str) -> None:
    """Refuse a tensor that is not a floating-point (N, channels, H, W)."""
    if x.ndim != 4:
        raise ValueError(f"{name}: wants a feature map of 4 dimensions (N, C, H, W), got {tuple(x.shape)}."
                         + (" For a single picture add the batch dimension: x[None]." if x.ndim == 3 else ""))
    if not x.is_floating_point():
        raise ValueError(f"{name}: wants floating-point numbers, got {x.dtype}. Convert first: x.float() / 255 for bytes.")
    if x.shape[1] != channels:
        raise ValueError(f"{name}: was made for {channels} channels, got {x.shape[1]} in {tuple(x.shape)}. "
                         f"Make it with channels={x.shape[1]}, or check where it is plugged in.")
    if x.numel() == 0:
        raise ValueError(f"{name}: got an empty tensor of shape {tuple(x.shape)}; every dimension must be at least 1.")


def wide(x: Tensor) -> Tensor:
    """Half precision as float32: squares and sums of it overflow early. Other types as they are."""
    return x.float() if x.dtype in HALF else x


Run = Callable[[nn.Module, Tensor], Tensor]


def run_plain(layers: nn.Module, x: Tensor) -> Tensor:
    return layers(x)


def run_wide(layers: nn.Module, x: Tensor) -> Tensor:
    """layers(x) in float32, also where their weights are in half precision."""
    buffers = dict(layers.named_buffers())
    state = {name: wide(tensor) for name, tensor in (*layers.named_parameters(), *buffers.items())}
    y = functional_call(layers, state, (x,))
    for name, buffer in buffers.items():      # a batch norm in training has moved the copy of its statistics
        if state[name] is not buffer:
            buffer.copy_(state[name])
    return y


def in_float32(step: Callable[[Tensor, Run], Tensor], x: Tensor) -> Tensor:
    """step(x, run), kept from half precision: x, what `run(layer, x)` gives, and all between are float32; back in x's format.

    For scores and for places: bfloat16 moves a score of 1000 by up to 2, of which a softmax makes a factor of 7, and float16
    ends at 65504. Where neither x nor autocast is in half precision, `run` just calls the layer.
    """
    device = x.device.type
    if x.dtype in HALF or (device != "meta" and torch.is_autocast_enabled(device)):
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            return step(wide(x), run_wide).to(x.dtype)
    return step(x, run_plain)


def zero(module: nn.Module) -> None:
    """Set all parameters to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


class Mechanism(nn.Module):
    """A kind of attention, made for `channels` channels.

    A subclass says its `family`, `kind`, `home` (the authors' socket), `paper` (arXiv number or venue), `compared` (the
    code that it is tested against) and `starts` (those it has). One that can read two maps, `forward(x, y)`, says what it
    `fuses`: "sum", it stands for x + y, or "skip", it changes x by y. It calls `self.check(x)` first in `forward`, and
    `tensor = self.note(name, tensor)` for what a person may want to look at or to change (interventions.py): nothing is kept
    unless `read` is on.

    With a batch norm inside, it says by `norm_values(x)` how many values a channel of it gets, so that training with a
    single one is refused at the door.
    """

    family = "channel"
    kind = "gate"
    home = "post"
    paper = ""
    compared = "nested loops"
    fuses = ""
    starts: tuple[str, ...] = STARTS
    reader: dict[str, Tensor] | None = None
    editor: Callable[[str, Tensor], Tensor] | None = None

    def __init__(self, channels: int, start: str = "as_made"):
        super().__init__()
        name = type(self).__name__
        check_channels(channels, name)
        if start not in STARTS:
            raise ValueError(f"{name}: start must be one of {', '.join(map(repr, STARTS))}, got {start!r}")
        if start not in self.starts:
            raise ValueError(f"{name}: has no {start!r} start: it cannot compute exactly x before training and still learn. "
                             f"Use start={self.starts[0]!r}, or another mechanism.")
        self.channels = channels
        self.start = start

    def check(self, x: Tensor) -> None:
        """Refuse at the door what cannot work further in.

        Raises:
            ValueError: not a float (N, channels, H, W); a single value per channel for a batch norm in training.
        """
        if torch.jit.is_tracing():
            return      # sizes are tensors there, and an answer would be kept for pictures of other sizes
        name = type(self).__name__
        check_input(x, self.channels, name)
        if self.training and self.norm_values(x) < 2:
            raise ValueError(f"{name}: its batch norm needs more than one value per channel in training, got {tuple(x.shape)}. "
                             "Use a batch of at least 2, or evaluation mode: module.eval().")

    def norm_values(self, x: Tensor) -> int:
        """Values per channel in the batch norm that gets the fewest; 2, which is enough, where there is none."""
        return 2

    def note(self, name: str, value: Tensor) -> Tensor:
        """Hand a tensor to whoever reads, and give back what to go on with: the same, unless somebody intervenes.

        Without a reader nothing is kept.
        """
        if self.editor is not None:
            value = self.editor(name, value)
        if self.reader is not None:
            self.reader[name] = value.detach()
        return value

    @property
    def being_read(self) -> bool:
        """Does somebody read, or intervene? Then what is noted is computed in the open."""
        return self.reader is not None or self.editor is not None

    def extra_repr(self) -> str:
        return f"{self.channels}, start={self.start!r}"


class Gate(Mechanism):
    """A mechanism that multiplies: y = gate(x) * x, with gate(x) broadcast over (N, C, H, W).

    A subclass computes the logits of the gate, calls `self.start_from(last_layer)` at the end of its constructor and
    `self.squash(logits)` at the end of `gate`. The two starts differ in two places only:

        "as_made"     gate = sigmoid(logits), layers as torch makes them: near 0.5 at first, never above 1
        "identity"  gate = 2 sigmoid(logits), last layer zero: exactly 1 at first, between 0 and 2 later

    With the identity start the last layer has a gradient at the first step, and the layers before it from the second.
    """

    def start_from(self, last: nn.Module) -> None:
        """Apply the start to the layer whose output are the logits."""
        if self.start == "identity":
            zero(last)

    def squash(self, logits: Tensor) -> Tensor:
        gate = torch.sigmoid(logits)
        return 2 * gate if self.start == "identity" else gate

    def gate(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> something that broadcasts to it: (N, C, 1, 1) for a channel gate, (N, 1, H, W) for a spatial one."""
        raise NotImplementedError(f"{type(self).__name__} must define gate(x)")

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x * self.note("gate", self.gate(x))


@contextmanager
def read(net: nn.Module) -> Iterator[dict[str, dict[str, Tensor]]]:
    """Read gates and maps of every mechanism in `net`, from the forward pass that runs anyway.

        with attention.read(net) as seen:
            logits = net(x)
        seen["layers.0.post"]["gate"]                (N, C, 1, 1)

    The names are those of `net.named_modules()`; for a mechanism by itself, the name of its class. What a mechanism notes:
    a gate "gate"; mixing "map", its weights over positions, (N, heads, HW, HW), or (N, 1, HW) where all queries share them;
    kernel attention "weights", (N, M, C) over branches or (N, K) over kernels, or with "offsets" for the samples of a
    deformable convolution, (N, K, H, W) and (N, K, 2, H, W); at the ends of a network "gate", "theta",
    "map" and "corners" (patches: (N, 1, h, w) and (N, k, 2)), or "map" (pooling: (N, 1, HW)). Several passes inside: the
    last one counts.
    Tensors are detached. Outside the block nothing is kept, and mixing uses its fused form, which makes no map at all.

    Raises:
        ValueError: there is nothing to read in `net`.
    """
    found = {name or type(m).__name__: m for name, m in net.named_modules() if isinstance(m, Mechanism)}
    if not found:
        raise ValueError(f"read: no mechanism in this {type(net).__name__}. Plug one in, or derive your own from "
                         "attention.Gate (or attention.Mechanism, with tensor = self.note(name, tensor)).")
    seen: dict[str, dict[str, Tensor]] = {name: {} for name in found}
    before = {name: module.reader for name, module in found.items()}      # a block around this one reads the same, and goes on
    try:
        for name, module in found.items():
            module.reader = seen[name]
        yield seen
    finally:
        for name, module in found.items():
            module.reader = before[name]
            if before[name] is not None:
                before[name].update(seen[name])
            if not seen[name]:      # a part whose whole has noted everything already
                del seen[name]
