"""Making the attention for one place: from a name or a callable, with the start that was asked for, checked before use."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from .. import attention as mechanisms
from .places import Place
from .replace import Instead

Maker = str | Callable[..., nn.Module]
STARTS = ("identity", "as_made", "kernel")


class Eased(nn.Module):
    """Any module of unchanged shape, started as the identity: y = x + w (module(x) - x) with one number w, 0 at first.

    At the first step only w has a gradient, from the second on the module has one too.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight * (self.module(x) - x)


def label(attention: Maker) -> str:
    """How a receipt and an error name it."""
    return attention if isinstance(attention, str) else getattr(attention, "__name__", type(attention).__name__)


def check_maker(attention: Maker, socket: str, start: str, options: dict) -> None:
    """Refuse, before anything is made, what cannot be plugged in there.

    Raises:
        ValueError: unknown name or start, or a mechanism that does not fit the socket.
        TypeError: neither a name nor a callable channels -> module; options for a callable.
    """
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(map(repr, STARTS))}, got {start!r}")
    if start == "kernel" and socket != "instead":
        raise ValueError(f"start='kernel' copies the kernel of the convolution that is replaced: it needs at='instead', got "
                         f"at={socket!r}")
    if isinstance(attention, nn.Module):
        raise TypeError(f"attention must be a name or a callable channels -> module, got a finished {type(attention).__name__}. "
                        f"Each place needs one of its own: pass the class, or lambda channels: {type(attention).__name__}(...).")
    if not isinstance(attention, str):
        if not callable(attention):
            several = (" Of several, plug in one after the other: a call for each, from the second on with stack=True."
                       if isinstance(attention, list | tuple) else "")
            raise TypeError(f"attention must be a name or a callable channels -> module, got {attention!r}.{several}")
        if options:
            raise TypeError(f"the options {', '.join(options)} belong to a mechanism given by name. For your own callable, bind "
                            f"them: functools.partial({label(attention)}, {next(iter(options))}=...).")
        return
    cls = mechanisms.find(attention)
    if attention == "attention_gate" and socket != "fuse":
        raise ValueError("attention_gate reads two maps, the skip and the signal from below, so no single place can feed it. "
                         "Plug it in at='fuse', where two maps meet, or plug in 'spatial_gate' or 'sse' here.")
    if socket == "fuse" and not cls.fuses:
        able = [n for n, c in mechanisms.REGISTRY.items() if c.fuses]
        raise ValueError(f"{attention!r} reads one map, and at='fuse' two meet: use {', '.join(map(repr, able))} or your own "
                         f"callable (channels_a, channels_b) -> module(a, b). For the skip alone plug {attention!r} in "
                         "at='identity', for the result at='after_add'.")
    if attention == "patches":
        raise ValueError("patches replaces the picture by parts of it and needs a network that reads them: see "
                         "hosts.ZoomHost. At the input, 'pixel_gate' and 'stn' keep the picture's size.")
    fits = {"kernel": ("instead",), "pool": ("head",)}.get(cls.kind)
    if fits and socket not in fits:
        raise ValueError(f"{attention!r} replaces {'a convolution' if cls.kind == 'kernel' else 'the pooling'}: plug it in "
                         f"at={fits[0]!r}, not at={socket!r}")
    if socket == "head" and cls.kind != "pool":
        pools = [n for n, c in mechanisms.REGISTRY.items() if c.kind == "pool"]
        raise ValueError(f"at='head' replaces the pooling, (N, C, H, W) to (N, C): use {', '.join(map(repr, pools))} or your own "
                         f"callable. To put {attention!r} on the last map, plug it in at='post' of the last stage.")
    given = {"channels", "start", *{"instead": ("out_channels", "stride", "groups", "kernel_size"),
                                    "fuse": ("gating_channels",)}.get(socket, ())}
    free = [p for p in inspect.signature(cls).parameters if p not in given]
    if wrong := options.keys() - set(free):
        raise TypeError(f"{cls.__name__} takes no {', '.join(sorted(wrong))} as an option here. It takes {', '.join(free)}.")


def call(attention: Maker, channels: int, start: str, options: dict, **shape) -> nn.Module:
    """The mechanism itself.

    Raises:
        TypeError: what came back is not a module.
    """
    if isinstance(attention, str):
        return mechanisms.build(attention, channels, start=start, **options, **shape)
    return called(attention, "channels -> module", channels, **shape)


def called(attention: Callable[..., nn.Module], form: str, *channels: int, **shape) -> nn.Module:
    """What a callable of this form makes for these numbers of channels.

    Raises:
        TypeError: it takes others, or makes no module.
    """
    said = f"{label(attention)}({', '.join(map(str, channels))})"
    try:
        inspect.signature(attention).bind(*channels, **shape)
    except TypeError as error:
        raise TypeError(f"{label(attention)} must be a callable {form}, called as {said}: {error}") from None
    except ValueError:      # some callables written in C do not tell their arguments
        pass
    module = attention(*channels, **shape)
    if not isinstance(module, nn.Module):
        raise TypeError(f"{said} must return a torch.nn.Module, got {type(module).__name__}")
    return module


def run_copy(module: nn.Module, x: Tensor) -> Tensor:
    """The output of a copy in eval mode, where x is; the module, and the random numbers around, stay as they are."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        return copy.deepcopy(module).to(x.device, x.dtype).eval()(x)


def check_shape(module: nn.Module, place: Place, wanted: tuple[int, ...], name: str) -> None:
    """Refuse a module that does not run on the map of this place, or does not give the shape that the network goes on with.

    On the meta device, where even a large map costs nothing; with numbers if the module cannot do without.

    Raises:
        ValueError: as said.
    """
    where = f"{place.socket!r} of {place.unit} (a map of {place.channels} channels, {place.size[0]}x{place.size[1]})"
    for device in ("meta", "cpu"):
        x = torch.zeros(2, place.channels, *place.size, device=device)
        try:
            y = run_copy(module, x)
            break
        except Exception as error:
            if device == "cpu":
                told = f"{type(error).__name__}: {str(error).rstrip('.')}"
                raise ValueError(f"{name} does not run at {where}: {told}. It must take (N, C, H, W) "
                                 "with these channels; a callable gets C as its argument.") from error
    if x._version:      # torch counts how often a tensor was written to
        raise ValueError(f"{name} writes into the map that it gets at {where}, and others may read that map too, such as a skip. "
                         "Write x = x * gate in place of x *= gate, and inplace=False.")
    if not isinstance(y, Tensor) or y.shape != (2, *wanted):
        got = tuple(y.shape) if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise ValueError(f"{name} changes the shape at {where}: for two pictures it gives {got}, and the network goes on with "
                         f"{(2, *wanted)}. Use a module that keeps it.")


def changes_nothing(module: nn.Module, place: Place) -> bool:
    """Does it give what went in, or at the head the plain mean? Tried on a small map of noise."""
    small = tuple(min(side, most) for side, most in zip(place.size, (9, 7), strict=True))
    g = torch.Generator().manual_seed(0)
    for size in (small, place.size):
        x = torch.randn(2, place.channels, *size, generator=g, device="cpu")
        with suppress(Exception):      # made for one size only: then the size of the place
            return torch.allclose(run_copy(module, x), x.mean((2, 3)) if place.socket == "head" else x, rtol=0, atol=1e-6)
    return False


def make(attention: Maker, place: Place, start: str, options: dict, like: nn.Module) -> nn.Module:
    """The attention for a place before, after or on a skip, or for the head, with its start.

    Raises:
        ValueError, TypeError: it does not make modules, or none that fit.
    """
    named = isinstance(attention, str)
    starts = mechanisms.find(attention).starts if named else ()
    module = call(attention, place.channels, start if start in starts else "as_made", options)
    check_shape(module, place, (place.channels,) if place.socket == "head" else (place.channels, *place.size), label(attention))
    if start == "identity" and start not in starts and (named or not changes_nothing(module, place)):
        if place.socket == "head":
            raise ValueError(f"{label(attention)} does not begin as the plain mean, so the network's outputs would change. Use "
                             "start='as_made', or 'attention_pool', which begins as the mean.")
        module = Eased(module)
    return fit_to(module, like)


def fit_to(module: nn.Module, like: nn.Module) -> nn.Module:
    """Device, number format and mode of the module that it joins."""
    tensor = next((t for t in like.parameters() if t.is_floating_point()), None)
    return (module if tensor is None else module.to(tensor.device, tensor.dtype)).train(like.training)


def make_instead(attention: Maker, place: Place, start: str, options: dict, conv: nn.Conv2d) -> Instead:
    """The attention in place of a convolution (one that is `replaceable`) of the same channels, step, window and groups.

    With start="identity" or "kernel" it begins with the kernel of the convolution.

    Raises:
        ValueError: the convolution cannot be replaced by it, or it has no such start. TypeError: it does not make modules.
    """
    k, stride = conv.kernel_size[0], conv.stride[0]
    shape = {n: v for n, v, plain in (("out_channels", conv.out_channels, conv.in_channels), ("stride", stride, 1),
                                      ("groups", conv.groups, 1), ("kernel_size", k, 3)) if v != plain}
    maker = mechanisms.find(attention) if isinstance(attention, str) else attention
    takes = inspect.signature(maker).parameters
    shrink = 1 if "stride" in takes else shape.pop("stride", 1)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    if lacking := [n for n in shape if n not in takes and not open_ended]:
        raise ValueError(f"{label(attention)} cannot replace {place.module}, {conv}: it takes no {', '.join(lacking)}. Choose "
                         "convolutions that need none with stages=... or layers=..., or another mechanism.")
    module = fit_to(call(attention, place.channels, "as_made", options, **shape), conv)
    if start != "as_made":
        begin_with(module, conv, start, label(attention))
    instead = Instead(conv, module, shrink).train(conv.training)
    h, w = ((side - 1) // stride + 1 for side in place.size)
    check_shape(instead, place, (conv.out_channels, h, w), label(attention))
    return instead


def begin_with(module: nn.Module, conv: nn.Conv2d, start: str, name: str) -> None:
    """Take over the convolution's kernel.

    Raises:
        ValueError: the module cannot, or not exactly where that was asked for.
    """
    enough = ("exact",) if start == "identity" else ("exact", "branches")
    if getattr(module, "adopts", "") not in enough:
        able = [n for n, c in mechanisms.REGISTRY.items() if getattr(c, "adopts", "") in enough]
        raise ValueError(f"{name} in place of a convolution has no start={start!r}: it cannot begin with the old kernel"
                         f"{' and compute the same' if start == 'identity' else ''}. Those that can: {', '.join(able)}. Or use "
                         "start='as_made', and train the network again.")
    module.adopt(conv.weight.detach())
