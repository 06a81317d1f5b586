"""Making the attention for a place where two maps meet: from a name or a callable of both numbers of channels."""

from __future__ import annotations

import copy
from contextlib import suppress

import torch
from torch import Tensor, nn

from .. import attention as mechanisms
from .build import Maker, called, fit_to, label
from .fuse import EasedFuse, Fuse, GatedSkip, Meeting, plain
from .places import Place


def fits(attention: Maker, place: Place) -> bool:
    """Can it stand there? What stands for a sum cannot stand for a concatenation."""
    return not isinstance(attention, str) or mechanisms.find(attention).fuses != "sum" or place.skip.joins == "add"


def fitting(attention: Maker, places: list[Place]) -> list[Place]:
    """The places where it can stand.

    Raises:
        ValueError: there is none.
    """
    found = [p for p in places if fits(attention, p)]
    if not found:
        raise ValueError(f"{label(attention)} stands for a sum, and in this network the {len(places)} pairs of maps are all "
                         "concatenated. 'attention_gate' works there, or your own callable (channels_a, channels_b) -> module.")
    return found


def run_two(module: nn.Module, place: Place, size: tuple[int, int], device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Two maps of noise, and what a copy of the module makes of them."""
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, c, *size, generator=g, device="cpu").to(device) for c in place.skip.channels)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        return a, b, copy.deepcopy(module).to(device).eval()(a, b)


def check_two(module: nn.Module, place: Place, name: str) -> None:
    """Refuse a module that does not run on these two maps, or gives what cannot go on.

    Raises:
        ValueError: as said.
    """
    meeting: Meeting = place.skip
    a, b = meeting.channels
    wanted = (a,) if meeting.joins == "add" else (b, a + b)
    where = (f"'fuse' of {place.unit} (maps of {a} and {b} channels, {place.size[0]}x{place.size[1]}, "
             f"{'added' if meeting.joins == 'add' else 'concatenated'})")
    for device in ("meta", "cpu"):
        try:
            one, other, y = run_two(module, place, place.size, device)
            break
        except Exception as error:
            if device == "cpu":
                told = f"{type(error).__name__}: {str(error).rstrip('.')}"
                raise ValueError(f"{name} does not run at {where}: {told}. It must take two maps, module(a, b); a callable gets "
                                 "both numbers of channels.") from error
    if one._version or other._version:      # torch counts how often a tensor was written to
        raise ValueError(f"{name} writes into a map that it gets at {where}, and others may read that map too. Write "
                         "x = x * gate in place of x *= gate, and inplace=False.")
    shapes = [(2, c, *place.size) for c in wanted]
    if not isinstance(y, Tensor) or tuple(y.shape) not in shapes:
        got = tuple(y.shape) if isinstance(y, Tensor) else f"a {type(y).__name__}"
        meaning = "the sum" if meeting.joins == "add" else "the skip as it goes in, or the whole"
        raise ValueError(f"{name} changes the shape at {where}: for two pictures it gives {got}, and wanted is "
                         f"{' or '.join(map(str, shapes))}, {meaning}.")


def does_nothing(module: nn.Module, place: Place) -> bool:
    """Does it give what the network gave there? Tried on small maps of noise."""
    for size in (tuple(min(side, most) for side, most in zip(place.size, (9, 7), strict=True)), place.size):
        with suppress(Exception):      # made for one size only: then the size of the place
            a, b, y = run_two(module, place, size)
            return torch.allclose(y, plain(a, b, place.skip, y), rtol=0, atol=1e-6)
    return False


def make_fuse(attention: Maker, place: Place, start: str, options: dict, like: nn.Module) -> Fuse:
    """The attention for a place where two maps meet, with its start.

    Raises:
        ValueError, TypeError: it does not make modules, or none that fit.
    """
    meeting: Meeting = place.skip
    a, b = meeting.channels
    if isinstance(attention, str):
        cls = mechanisms.find(attention)
        start = start if start in cls.starts else "as_made"
        if cls.fuses == "sum":
            module: nn.Module = cls(a, start=start, **options)
        else:
            module = GatedSkip(cls(b, gating_channels=a, start=start, **options), meeting.joins)
    else:
        module = called(attention, "(channels_a, channels_b) -> module of two maps", a, b)
    check_two(module, place, label(attention))
    if start == "identity" and not isinstance(attention, str) and not does_nothing(module, place):
        module = EasedFuse(module, meeting)
    return Fuse(fit_to(module, like), meeting).train(like.training)
