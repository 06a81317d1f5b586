"""plug_in, unplug and list_sockets: attention at any place of any network with convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import torch
from torch import nn

from ..names import unknown
from .build import Maker, check_maker, label, make, make_instead
from .choose import Layers, choose
from .finder import Finder
from .meet import fitting, make_fuse
from .memory import Remembered, remember, weighed
from .places import SOCKETS, UNITS, Place
from .probe import Example, probe
from .proof import Witness, check_reached
from .receipt import Receipt, SocketList
from .replace import Head, Instead, replace
from .surgery import host_class, insert, part_name, parts, restore, socket_of, take_out


def check_model(model: nn.Module) -> None:
    """Refuse what cannot be changed any more.

    Raises:
        TypeError: not a module, or one that is compiled, scripted or wrapped for parallel training.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules()):
        before = " The model before compiling is model._orig_mod." if hasattr(model, "_orig_mod") else ""
        raise TypeError("this model, or a part of it, is compiled, and the compiled code would not see the attention. Plug in "
                        f"first, then compile: plug_in(model, ...); model = torch.compile(model).{before}")
    if wrapped := [m for m in model.modules() if isinstance(m, nn.parallel.DistributedDataParallel | nn.DataParallel)]:
        raise TypeError(f"this model is wrapped in {type(wrapped[0]).__name__}, which would not train the attention. Plug into "
                        "model.module before you wrap it.")
    if any(isinstance(m, torch.jit.ScriptModule) for m in model.modules()):
        raise TypeError("this model holds scripted or traced code, whose steps are fixed. Plug in first, then script.")
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        raise TypeError("this model has lazy layers without a shape. Run one batch through it first: model(x).")


def check_socket(at: str, unit: str | None) -> None:
    """Refuse an unknown socket or unit."""
    if isinstance(at, list | tuple | set):
        raise ValueError(f"at must be one socket, got {at!r}. For pre and post together: at='both'. For others call plug_in once "
                         f"for each. Known: {', '.join(SOCKETS)}")
    if at not in SOCKETS:
        raise unknown("socket", at, SOCKETS)
    if unit not in (None, *UNITS):
        raise ValueError(f"unit must be 'block' (a residual block), 'conv' (a convolution with its norm) or None (the natural "
                         f"one of the network), got {unit!r}")


def find(model: nn.Module, unit: str | None, input_size, inputs) -> tuple[Finder, Example]:
    """Run the network once and look for its units.

    Raises:
        ValueError: blocks are asked for, and there are none.
    """
    run, example = probe(model, input_size, inputs)
    finder = Finder(run, unit)
    if unit == "block" and not finder.blocks:
        raise ValueError(f"this {type(model).__name__} has no residual blocks: use unit='conv', or leave unit out")
    return finder, example


def places_of(model: nn.Module, finder: Finder, at: str) -> list[Place]:
    """All places of a socket.

    Raises:
        ValueError: the network has none; the message says which sockets it has.
    """
    places = finder.at(at)
    if not places:
        there = [s for s in SOCKETS if finder.at(s)]
        why = {"block": "of its blocks", "conv": "of its convolutions, and it has no residual blocks"}[finder.unit]
        raise ValueError(f"this {type(model).__name__} has no socket {at!r}: there is no such place in any {why}. "
                         f"It has: {', '.join(there)}.")
    return places


def refuse_twice(model: nn.Module, places: list[Place], stack: bool) -> None:
    """Refuse a place that has attention already, unless it is to be stacked."""
    for place in places:
        module = model.get_submodule(place.module)
        here = [n for n in parts(module) if socket_of(n) == place.socket]
        # A convolution that is replaced, and one that has attention around it, are one module: only one of the two goes.
        fixed = parts(module) if place.side == "instead" or isinstance(module, Instead | Head) else ()
        if place.side == "fuse":      # a forward may have several such lines; one that is taken is not there any more
            here = fixed = [n for n, line in getattr(module, "_plugged_skips", {}).items() if line == place.skip]
        if (here and not stack) or fixed:
            name = (here or fixed)[0]
            remedy = "unplug(model) first" + ("" if fixed else ", or say stack=True to have one after the other")
            raise ValueError(f"{place.module} has {type(getattr(module, name)).__name__} at {socket_of(name)!r} already, and "
                             f"cannot take {place.socket!r} as well: {remedy}")


def make_for(model: nn.Module, place: Place, attention: Maker, start: str, options: dict) -> nn.Module:
    """The module that a place gets, made and tried but not plugged in: the attention, or what holds it in place of another.

    Raises:
        ValueError, TypeError: it does not fit.
    """
    joined = model.get_submodule(place.module)
    if place.socket == "fuse":
        return make_fuse(attention, place, start, options, joined)
    if place.socket == "instead":
        return make_instead(attention, place, start, options, joined)
    new = make(attention, place, start, options, joined if any(True for _ in joined.parameters()) else model)
    if place.socket != "head":
        return new
    return Head(joined if place.side == "instead" else None, new, place.flat, place.relu).train(joined.training)


def attach(model: nn.Module, place: Place, new: nn.Module, undo: ExitStack) -> str:
    """Plug a finished module into its place; returns the name of the attention. `undo` is told how to take it out again."""
    joined, name = model.get_submodule(place.module), place.module
    if place.side == "instead":
        undo.callback(replace, model, new, joined)
        replace(model, joined, new)
    else:
        part = part_name(joined, place.socket)
        undo.callback(take_out, joined, (part,))
        insert(joined, part, place.side, new, place.skip)
        name = f"{name}.{part}".lstrip(".")      # the network itself has no name
    return f"{name}.{new._plugged_names[0]}" if isinstance(new, Instead | Head) else name


@torch.inference_mode(False)      # what is made in there could never be trained
def plug_in(model: nn.Module, attention: Maker, at: str, stages: int | Iterable[int] | None = None, layers: Layers = None,
            start: str = "identity", unit: str | None = None, stack: bool = False, input_size=None, inputs=None,
            **options) -> Receipt:
    """Plug attention into a network, in place: no hooks, and its modules and the names of its weights stay.

        plug_in(torchvision.models.resnet50(), "se", at="post", stages=[3, 4])

    Before it returns it has run copies of the network: each new module is called exactly as often as its place, and with
    start="identity" the outputs are those of before, up to rounding. If not, it refuses and takes everything out again.

    Args:
        model: any network with torch.nn.Conv2d: a classifier, a detector, a U-Net, or a part of one. Build the optimiser,
            compile and wrap it afterwards; convert its norms (nn.SyncBatchNorm), fuse, merge and initialise it before: what
            exchanges modules later would lose the attention. `doctor` finds that.
        attention: a name of attention.REGISTRY, or a callable channels -> module; at="fuse" a callable (channels_a,
            channels_b) -> module(a, b), where b is the skip and a the map that came the longer way. One is made for each place.
        at: a socket. pre, post and both (of the two) belong to the residual block where there is one, otherwise to every
            convolution with its norm.
        stages: which sizes of map, counted from 1; of torchvision's ResNets these are layer1 to layer4.
        layers: a pattern for the names of units or modules ("layer4.*"), several of them, or a function of a Place.
        start: "identity" leaves the network's outputs as they are; a module without such a start is joined by one weight that
            is zero at first. "as_made" takes the module as it is made. "kernel", at="instead", copies the old kernel even where
            norms follow.
        unit: "block" or "conv", instead of the natural one.
        stack: put it behind attention that is in the same socket already; otherwise that is refused.
        input_size: (C, H, W), (H, W) or a side; a picture that the network can take. None: usual sizes are tried.
        inputs: instead of a size, what the network is called with: a tensor, a tuple of arguments, or a dict of them by name.
        options: of a mechanism given by name, such as reduction=4.

    Returns:
        Receipt.

    Raises:
        ValueError, TypeError: something that does not fit; the message says what to do. The network is as it was.
    """
    check_model(model)
    if isinstance(model, nn.Conv2d):
        raise TypeError("model is a single convolution, and no module around it could hold the attention. Wrap it first: "
                        "nn.Sequential(convolution).")
    check_socket(at, unit)
    check_maker(attention, at, start, options)
    finder, example = find(model, unit, input_size, inputs)
    places = choose(places_of(model, finder, at), stages, layers, len(finder.stages))
    places = fitting(attention, places) if at == "fuse" else places
    refuse_twice(model, places, stack)
    host = host_class(type(model)).__name__
    with ExitStack() as undo:      # what can fail is done first; whatever fails after all, an interrupt too, leaves no trace
        undo.callback(torch.random.set_rng_state, torch.random.get_rng_state())
        made = [make_for(model, place, attention, start, options) for place in places]
        witness = Witness(model, example, inputs is not None) if start == "identity" else None
        names = tuple(attach(model, place, new, undo) for place, new in zip(places, made, strict=True))
        check_reached(model, example, names, tuple(places))
        unproved = witness.check(model, label(attention)) if witness else ""
        undo.pop_all()
    remember(model, {name: Remembered(place.calls, start, weighed(model.get_submodule(name)))
                     for name, place in zip(names, places, strict=True)})
    added = tuple(sum(p.numel() for p in model.get_submodule(name).parameters()) for name in names)
    removed = sum(new._plugged_original[0].weight.numel() for new in made if isinstance(new, Instead))
    everywhere = stages is None and layers is None      # whoever chooses places does not ask what he left out
    missed = tuple(m for m in finder.missed_at(at) if m[0] not in {p.unit for p in places}) if everywhere else ()
    return Receipt(label(attention), at, start, host, tuple(places), names, added, removed,
                   len(finder.units), missed, finder.unit, unproved)


def unplug(model: nn.Module, at: str | None = None) -> int:
    """Take all attention that plug_in has put in out again, or that at one socket; returns how many modules were taken out.

    The modules are the very same objects all along, with the weights as they are now. Where a convolution or a pooling had
    been replaced, it comes back, the convolution with its old kernel.

    Raises:
        ValueError: unknown socket. TypeError: a model that cannot be changed.
    """
    check_model(model)
    if at is not None:
        check_socket(at, None)
    return restore(model, None if at is None else ("pre", "post") if at == "both" else (at,))


def list_sockets(model: nn.Module, input_size=None, unit: str | None = None, inputs=None) -> SocketList:
    """Every place of a network, with its channels and the size of its map; printed as a table.

    Args:
        model: as for plug_in; what is plugged in already does not matter, and nothing is changed.
        input_size: (C, H, W), (H, W) or a side. None: usual sizes are tried.
        unit: "block" or "conv", instead of the natural one.
        inputs: instead of a size, what the network is called with, as for plug_in.

    Raises:
        ValueError, TypeError: as plug_in.
    """
    check_model(model)
    check_socket("pre", unit)
    finder, _ = find(model, unit, input_size, inputs)
    found = {socket: finder.at(socket) for socket in SOCKETS if socket != "both"}
    missing = [socket for socket, places in found.items() if not places]
    return SocketList([p for places in found.values() for p in places], missing, finder.run.size, finder.unit,
                      host_class(type(model)).__name__, len(finder.units))
