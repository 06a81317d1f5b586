"""plug_in, unplug and list_sockets: attention at any place of any network with convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import nn

from .build import Maker, check_maker, label, make, make_instead
from .places import SOCKETS, UNITS, Finder, Place
from .probe import probe
from .receipt import Receipt, SocketList
from .surgery import Head, Instead, insert, parts, replace, restore, snapshot, socket_of

Layers = str | Iterable[str] | Callable[[Place], bool] | None


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
    if at not in SOCKETS:
        near = get_close_matches(str(at), SOCKETS, 1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown socket {at!r}.{hint} Known: {', '.join(SOCKETS)}")
    if unit not in (None, *UNITS):
        raise ValueError(f"unit must be 'block' (a residual block), 'conv' (a convolution with its norm) or None (the natural "
                         f"one of the network), got {unit!r}")


def all_places(finder: Finder, at: str) -> list[Place]:
    """The places of one socket; of `both`, those of pre and post."""
    return [p for socket in (("pre", "post") if at == "both" else (at,)) for p in finder.at(socket)]


def find(model: nn.Module, unit: str | None, input_size) -> Finder:
    """Run the network once and look for its units.

    Raises:
        ValueError: blocks are asked for, and there are none.
    """
    finder = Finder(probe(model, input_size), unit)
    if unit == "block" and not finder.blocks:
        raise ValueError(f"this {type(model).__name__} has no residual blocks: use unit='conv', or leave unit out")
    return finder


def find_places(model: nn.Module, at: str, unit: str | None, input_size) -> tuple[Finder, list[Place]]:
    """All places of a socket.

    Raises:
        ValueError: the network has none; the message says which sockets it has.
    """
    finder = find(model, unit, input_size)
    places = all_places(finder, at)
    if not places:
        there = [s for s in SOCKETS if all_places(finder, s)]
        why = {"block": "of its blocks", "conv": "of its convolutions, and it has no residual blocks"}[finder.unit]
        raise ValueError(f"this {type(model).__name__} has no socket {at!r}: there is no such place in any {why}. "
                         f"It has: {', '.join(there)}.")
    return finder, places


def choose(places: list[Place], stages, layers: Layers, last: int) -> list[Place]:
    """Those of the wanted stages whose names match.

    Raises:
        ValueError: a stage that is not there, a pattern that matches nothing. TypeError: neither names nor a function.
    """
    if stages is not None:
        numbers = list(stages) if isinstance(stages, Iterable) else [stages]
        there = sorted({p.stage for p in places})
        if wrong := [n for n in numbers if isinstance(n, bool) or not isinstance(n, int) or n not in there]:
            raise ValueError(f"stages={wrong[0]!r} is not there: this network has {last} stages (sizes of map), and this socket "
                             f"has places in {', '.join(map(str, there))}. The two ends of the network, 0, belong to no stage.")
        if not numbers:
            raise ValueError("stages names no stage; leave it out for all of them")
        places = [p for p in places if p.stage in numbers]
    if layers is None:
        return places
    if isinstance(layers, nn.Module) or not (callable(layers) or isinstance(layers, Iterable)):
        raise TypeError(f"layers must be a name pattern such as 'layer4.*', several of them, or a function of a Place; got "
                        f"{type(layers).__name__ if isinstance(layers, nn.Module) else repr(layers)}")
    if callable(layers):
        chosen = [p for p in places if layers(p)]
        wanted = "the predicate"
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        if not all(isinstance(p, str) for p in patterns):
            raise TypeError(f"layers must be a name pattern such as 'layer4.*', several of them, or a function of a Place; "
                            f"got {layers!r}")
        for pattern in patterns:
            if not any(matches(p, pattern) for p in places):
                names = [p.unit for p in places]
                near = get_close_matches(pattern, names, 1, cutoff=0.3)
                raise ValueError(f"layers={pattern!r} matches none of the {len(names)} places. They are called {names[0]!r} to "
                                 f"{names[-1]!r}{f'; near: {near[0]!r}' if near else ''}. list_sockets(model) shows them all; "
                                 "single convolutions of a network with blocks need unit='conv'.")
        chosen = [p for p in places if any(matches(p, pattern) for pattern in patterns)]
        wanted = f"layers={layers!r}"
    if not chosen:
        raise ValueError(f"{wanted} leaves none of the {len(places)} places. list_sockets(model) shows them, with the fields of "
                         "a Place: socket, unit, module, stage, channels, size.")
    return chosen


def matches(place: Place, pattern: str) -> bool:
    """Does the pattern fit the place's unit or its module, as file names are matched?"""
    return fnmatchcase(place.unit, pattern) or fnmatchcase(place.module, pattern)


def refuse_twice(model: nn.Module, places: list[Place], stack: bool) -> None:
    """Refuse a place that has attention already, unless it is to be stacked."""
    for place in places:
        module = model.get_submodule(place.module)
        here = [n for n in parts(module) if socket_of(n) == place.socket]
        # A convolution that is replaced, and one that has attention around it, are one module: only one of the two goes.
        fixed = parts(module) if place.side == "instead" or isinstance(module, Instead) else ()
        if (here and not stack) or fixed:
            name = (here or fixed)[0]
            remedy = "unplug(model) first" + ("" if fixed else ", or say stack=True to have one after the other")
            raise ValueError(f"{place.module} has {type(getattr(module, name)).__name__} at {socket_of(name)!r} already, and "
                             f"cannot take {place.socket!r} as well: {remedy}")


def put(model: nn.Module, place: Place, attention: Maker, start: str, options: dict) -> tuple[str, nn.Module, int]:
    """Plug into one place: the name of the new module, the module, and the parameters that were set aside."""
    module = model.get_submodule(place.module)
    if place.socket == "instead":
        instead = make_instead(attention, place, start, options, module)
        replace(model, module, instead)
        return f"{place.module}.attention_instead", instead.attention_instead, module.weight.numel()
    like = module if any(True for _ in module.parameters()) else model
    new = make(attention, place, start, options, like)
    if place.socket == "head" and place.side == "instead":
        replace(model, module, Head(module, new, flat=place.flat).train(module.training))
        return f"{place.module}.attention_head", new, 0
    if place.socket == "head":
        new = Head(None, new, relu=place.relu).train(module.training)
        return f"{place.module}.{insert(model, module, 'head', 'after', new)}.attention_head", new.attention_head, 0
    return f"{place.module}.{insert(model, module, place.socket, place.side, new, place.order)}", new, 0


def plug_in(model: nn.Module, attention: Maker, at: str, stages: int | Iterable[int] | None = None, layers: Layers = None,
            start: str = "identity", unit: str | None = None, stack: bool = False, input_size=None, **options) -> Receipt:
    """Plug attention into a network, in place, by exchanging modules: no hooks, and the names of its weights stay.

        plug_in(torchvision.models.resnet50(), "se", at="post", stages=[3, 4])

    Args:
        model: any network with torch.nn.Conv2d that runs on one batch of pictures. Build the optimiser, compile and wrap it
            afterwards; convert its norms (nn.SyncBatchNorm) before: what exchanges modules later would lose the attention.
        attention: a name of attention.REGISTRY, or a callable channels -> module. One module is made for each place.
        at: a socket. pre, post and both (of the two) belong to the residual block where there is one, otherwise to every
            convolution with its norm.
        stages: which sizes of map, counted from 1; of torchvision's ResNets these are layer1 to layer4.
        layers: a pattern for the names of units or modules ("layer4.*"), several of them, or a function of a Place.
        start: "identity" leaves the network's outputs as they are; a module without such a start is joined by one weight that
            is zero at first. "paper" takes the module as it is made. "kernel", at="instead", copies the old kernel even where
            norms follow.
        unit: "block" or "conv", instead of the natural one.
        stack: put it behind attention that is in the same socket already; otherwise that is refused.
        input_size: (C, H, W), (H, W) or a side; a picture that the network can take. None: usual sizes are tried.
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
    finder, places = find_places(model, at, unit, input_size)
    places = choose(places, stages, layers, len(finder.stages))
    refuse_twice(model, places, stack)
    put_back, state = snapshot(model), torch.random.get_rng_state()
    try:
        done = [put(model, place, attention, start, options) for place in places]
        check_reached(model, finder.run.size, [module for _, module, _ in done])
    except BaseException:
        put_back()
        torch.random.set_rng_state(state)
        raise
    return Receipt(label(attention), at, start, type(model).__name__, tuple(places), tuple(name for name, _, _ in done),
                   tuple(sum(p.numel() for p in module.parameters()) for _, module, _ in done), sum(r for _, _, r in done))


def check_reached(model: nn.Module, size: tuple[int, ...], modules: list[nn.Module]) -> None:
    """Run a stand-in of the new network: does it still run, and does it use all that is new?

    Raises:
        ValueError: it does not.
    """
    run = probe(model, size, plain=False)
    called = {call.name for call in run.calls}
    names = {module: name for name, module in model.named_modules()}
    if unused := [names.get(m, "?") for m in modules if names.get(m) not in called]:
        raise ValueError(f"{unused[0]} would never be used: the network does not call the module that it joined, or keeps it in "
                         "a plain list. Register modules in nn.ModuleList or nn.Sequential, or choose others with layers=...")


def unplug(model: nn.Module, at: str | None = None) -> int:
    """Take all attention that plug_in has put in out again, or that at one socket; returns how many modules were taken out.

    The original modules come back, the very same objects, with the weights as they are now. Where a convolution had been
    replaced, it comes back with its old kernel.

    Raises:
        ValueError: unknown socket. TypeError: a model that cannot be changed.
    """
    check_model(model)
    if at is not None:
        check_socket(at, None)
    return restore(model, None if at is None else ("pre", "post") if at == "both" else (at,))


def list_sockets(model: nn.Module, input_size=None, unit: str | None = None) -> SocketList:
    """Every place of a network, with its channels and the size of its map; printed as a table.

    Args:
        model: as for plug_in; what is plugged in already does not matter, and nothing is changed.
        input_size: (C, H, W), (H, W) or a side. None: usual sizes are tried.
        unit: "block" or "conv", instead of the natural one.

    Raises:
        ValueError, TypeError: as plug_in.
    """
    check_model(model)
    check_socket("pre", unit)
    finder = find(model, unit, input_size)
    found = {socket: finder.at(socket) for socket in SOCKETS if socket != "both"}
    missing = [socket for socket, places in found.items() if not places]
    return SocketList([p for places in found.values() for p in places], missing, finder.run.size, finder.unit,
                      type(model).__name__)
