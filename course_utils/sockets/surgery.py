"""Module surgery, in place: a module gets attention before and after its forward, or on a skip inside; only its class changes.

As with torch's own parametrizations the module stays the same object. Its parents, a list that holds it, its hooks and its
weights notice nothing; the attention becomes a part of it: "layer1.0.bn2.attention_post.squeeze.weight".
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable

from torch import Tensor, fx, nn

from .fuse import Meeting
from .memory import forget
from .replace import Head, Instead, replace
from .skip import Skip, with_attention_in_lines
from .walk import RUNNING, walkers

# In which order attention runs where several sockets meet at one module.
BEFORE = ("input", "inner", "pre")
AFTER = ("inner", "post", "identity", "after_add", "between", "head")

ABSENT = object()      # what a forward that is called by name alone gets as its first argument


class Plugged:
    """What the class of a module becomes when attention joins it: the same class, with attention before and after its forward.

    It lives in one object with a host's own attributes and methods, so every name of its own begins with `_plugged`.

    A forward set on the object itself (`module.forward = module.forward_fuse`), before plugging in or after, would hide that
    of the class, and with it the attention. So it is set aside and counts as the forward of the host: attention runs around
    it, and if it calls back it gets the forward of the class. Attention on a skip is a step of the forward of the class; an
    own forward that never calls it does without.
    """

    _plugged_before: tuple[str, ...] = ()
    _plugged_after: tuple[str, ...] = ()
    _plugged_skips: dict[str, Skip | Meeting] = {}
    _plugged_body = None        # the forward of the class with attention in its lines
    _plugged_own = None         # the forward of the object

    def forward(self, x: Tensor | None = ABSENT, /, *args, **kwargs) -> Tensor:      # a host may have an x that is not its first
        own = self._plugged_own
        called_back = own is not None and any(running is own for running in RUNNING.forwards)
        if not called_back:
            for name in self._plugged_before:
                x = self._modules[name](x)
        args = args if x is ABSENT else (x, *args)
        if own is not None and not called_back:
            RUNNING.forwards.append(own)
            try:
                x = own(*args, **kwargs)
            finally:
                RUNNING.forwards.pop()
        elif self._plugged_body:
            x = self._plugged_body(self, *args, **kwargs)
        else:
            x = super().forward(*args, **kwargs)
        if not called_back:
            for name in self._plugged_after:
                x = self._modules[name](x)
        return x

    @property
    def _plugged_parts(self) -> tuple[str, ...]:
        return (*self._plugged_before, *self._plugged_after, *self._plugged_skips)

    def __setattr__(self, name: str, value) -> None:
        super().__setattr__("_plugged_own" if name == "forward" else name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__("_plugged_own" if name == "forward" else name)

    def __reduce_ex__(self, protocol):
        # The class is made on the fly and its body too, where a skip is rewritten; what they are made from can be stored.
        return rebuild, (self._plugged_host,), {k: v for k, v in self.__getstate__().items() if k != "_plugged_body"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        arrange(self, self._plugged_before, self._plugged_after, self._plugged_skips)


@functools.cache
def plugged_class(host: type[nn.Module]) -> type[nn.Module]:
    # torch.fx decides by the module of a class whether to look inside: a plugged layer of torch stays a layer to it.
    return type("Plugged" + host.__name__, (Plugged, *walkers(host), host),
                {"__module__": host.__module__, "__doc__": Plugged.__doc__, "_plugged_host": host,
                 "_plugged_bare": host.forward})


def host_class(cls: type[nn.Module]) -> type[nn.Module]:
    """The class without attention; also of one that was derived since, as torch's parametrizations do."""
    if "_plugged_host" in vars(cls):
        return cls._plugged_host
    if not issubclass(cls, Plugged):
        return cls
    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, tuple(map(host_class, cls.__bases__)), own)


def rebuild(host: type[nn.Module]) -> nn.Module:
    return nn.Module.__new__(plugged_class(host))


def arrange(module: nn.Module, before: Iterable[str], after: Iterable[str], skips: dict[str, Skip | Meeting]) -> None:
    """Say which attention runs where, each name a part of the module; `skips`: name -> its skip, or the line where maps meet.

    Raises:
        ValueError: the forward cannot be rewritten for a skip. Nothing has changed.
    """
    was = module._plugged_before, module._plugged_after, module._plugged_skips
    module._plugged_before, module._plugged_after, module._plugged_skips = tuple(before), tuple(after), dict(skips)
    try:      # a container is read without its attention, so it must be known by now
        module._plugged_body = with_attention_in_lines(module, skips) if skips else None
    except Exception:
        module._plugged_before, module._plugged_after, module._plugged_skips = was
        raise


def make_room(module: nn.Module) -> None:
    """Exchange the class; a forward of the object's own is set aside.

    Raises:
        ValueError: this object cannot be of another class.
    """
    if isinstance(module, fx.GraphModule):
        raise ValueError(f"{type(module).__name__} is a GraphModule, whose steps torch.fx has fixed: attention cannot join it. "
                         "Plug in before tracing, or choose places inside or outside of it with layers=...")
    if not isinstance(module, Plugged):
        try:
            module.__class__ = plugged_class(type(module))
        except TypeError as error:      # another layout in memory
            raise ValueError(f"attention cannot join a {type(module).__name__}: {error}. Choose other places with layers=..., or "
                             "another socket.") from error
        if "forward" in vars(module):
            module.forward = vars(module).pop("forward")


def give_back(module: nn.Module) -> None:
    """The class that it had, and its own forward; nothing else was ever changed."""
    own = module._plugged_own
    for name in [n for n in vars(module) if n.startswith("_plugged")]:
        del vars(module)[name]
    module.__class__ = host_class(type(module))
    if own is not None:
        module.forward = own


def part_name(module: nn.Module, socket: str) -> str:
    """The name under which attention of a socket will join this module."""
    name, number = "attention_" + socket, 2
    while hasattr(module, name):      # a second one, or a part of the host with that name
        name, number = f"attention_{socket}_{number}", number + 1
    return name


def insert(module: nn.Module, name: str, side: str, attention: nn.Module, skip: Skip | Meeting | None = None) -> None:
    """Plug attention into one place before, after or on the skip of a module, under a name that is free."""
    make_room(module)
    module._modules[name] = attention
    before, after, skips = list(module._plugged_before), list(module._plugged_after), dict(module._plugged_skips)
    if side in ("skip", "fuse"):
        skips[name] = skip
    else:
        (before if side == "before" else after).append(name)
    arrange(module, sorted(before, key=lambda n: rank(n, BEFORE)), sorted(after, key=lambda n: rank(n, AFTER)), skips)


def take_out(module: nn.Module, names: Container[str]) -> None:
    """Undo `insert` for these names, however far it came; without any attention the module is of its old class again."""
    if not isinstance(module, Plugged):
        return
    before, after = ([n for n in there if n not in names] for there in (module._plugged_before, module._plugged_after))
    skips = {n: skip for n, skip in module._plugged_skips.items() if n not in names}
    arrange(module, before, after, skips)
    for name in [n for n in module._modules if n in names]:
        del module._modules[name]
    if not (before or after or skips):
        give_back(module)


def socket_of(name: str) -> str:
    """The socket in the name of a part: "attention_post_2" -> "post"."""
    known = sorted((*BEFORE, *AFTER, "instead", "fuse"), key=len, reverse=True)
    return next(s for s in known if name.startswith("attention_" + s))


def rank(name: str, order: tuple[str, ...]) -> int:
    return order.index(socket_of(name))


def parts(module: nn.Module) -> tuple[str, ...]:
    """The names of the attention modules that were plugged into this module; () for all others."""
    if isinstance(module, Plugged):
        return module._plugged_parts
    # A head behind a module stands for no other: it is that module's part.
    return module._plugged_names if isinstance(module, Instead | Head) and module._plugged_original[0] is not None else ()


def part_socket(name: str) -> str:
    """The socket in the name of what was plugged in: "layer1.0.bn2.attention_post" -> "post"."""
    return socket_of(next(part for part in reversed(name.split(".")) if part.startswith("attention_")))


def restore(net: nn.Module, sockets: Iterable[str] | None = None) -> int:
    """Take attention out again, of these sockets or of all; returns how many modules were taken out."""
    taken = 0
    forget(net, lambda name: sockets is not None and part_socket(name) not in sockets)
    for module in reversed(list(net.modules())):          # parts come before their wholes
        names = [n for n in parts(module) if sockets is None or socket_of(n) in sockets]
        taken += len(names)
        if names and isinstance(module, Plugged):
            take_out(module, names)
        elif names:
            original, like = module._plugged_original[0], next(module.parameters(), None)
            original.train(module.training)
            if isinstance(module, Instead):      # it may be another by now, as after load_state_dict(..., assign=True)
                original.bias = module.bias
            replace(net, module, original if like is None else original.to(like.device, like.dtype))
            taken += restore(original, sockets)           # what stood in it before it was replaced
    return taken
