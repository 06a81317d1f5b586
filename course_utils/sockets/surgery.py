"""Module surgery: a module of the network makes room for one that has attention before it, after it, or instead of it.

The new module shares parameters, buffers and attributes with the old one and keeps their names. So the keys of the state
dict stay as they are, and those of the attention join them: "layer1.0.bn2.attention_post.squeeze.weight".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .skip import with_attention_on_skips

# In which order attention runs where several sockets meet at one module.
BEFORE = ("input", "pre")
AFTER = ("inner", "post", "identity", "after_add", "between", "head")
SHAPE = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


class Plugged:
    """What a module becomes when attention joins it: the same class, with attention before and after its forward.

    It lives in one object with a host's own attributes and methods, so every name of its own begins with `_plugged`.
    """

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        for name in self._plugged_before:
            x = self._modules[name](x)
        x = self._plugged_body(self, x, *args, **kwargs) if self._plugged_body else super().forward(x, *args, **kwargs)
        for name in self._plugged_after:
            x = self._modules[name](x)
        return x

    def __reduce_ex__(self, protocol):
        # The class is made on the fly and its body too, where a skip is rewritten; what they are made from can be stored.
        return rebuild, (type(self).__mro__[2],), {k: v for k, v in self.__getstate__().items() if k != "_plugged_body"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        arrange(self, self._plugged_before, self._plugged_after, self._plugged_skips)


def arrange(roomy: nn.Module, before: Iterable[str], after: Iterable[str], skips: dict[str, int]) -> None:
    """Say which attention runs where; `skips` are those on the skip of an addition: name -> which addition."""
    roomy._plugged_before, roomy._plugged_after, roomy._plugged_skips = tuple(before), tuple(after), dict(skips)
    roomy._plugged_body = with_attention_on_skips(roomy, roomy._plugged_original[0], roomy._plugged_skips) if skips else None
    roomy._plugged_names = (*before, *after, *skips)


@functools.cache
def plugged_class(base: type[nn.Module]) -> type[nn.Module]:
    # torch.fx decides by the module of a class whether to look inside: a plugged layer of torch stays a layer to it.
    return type("Plugged" + base.__name__, (Plugged, base), {"__module__": base.__module__, "__doc__": Plugged.__doc__})


def rebuild(base: type[nn.Module]) -> nn.Module:
    return nn.Module.__new__(plugged_class(base))


def make_room(module: nn.Module) -> nn.Module:
    """The same module with room for attention; a module that has room already is returned as it is."""
    if isinstance(module, Plugged):
        return module
    roomy = rebuild(type(module))
    vars(roomy).update(vars(module))                      # parameters and buffers are shared, not copied
    vars(roomy)["_modules"] = dict(module._modules)
    vars(roomy)["_plugged_original"] = (module,)                  # in a tuple, or torch would register it as a part
    arrange(roomy, (), (), {})
    return roomy


def give_back(roomy: nn.Module) -> nn.Module:
    """The original module, with what has changed in the meantime: training mode, device, parts."""
    original = roomy._plugged_original[0]
    now = {k: v for k, v in vars(roomy).items() if not k.startswith("_plugged")}
    now["_modules"] = {k: v for k, v in roomy._modules.items() if k not in roomy._plugged_names}
    vars(original).clear()
    vars(original).update(now)
    return original


class Instead(nn.Module):
    """Attention where a convolution was. It keeps the convolution's bias, under its name; the kernel is set aside.

    A mechanism that cannot take steps is followed by an average over stride x stride, as the authors of BoT do.
    """

    _plugged_names = ("attention_instead",)

    def __init__(self, conv: nn.Conv2d, attention: nn.Module, shrink: int = 1):
        super().__init__()
        self._plugged_original = (conv,)
        self.attention_instead = attention
        self.shrink = nn.AvgPool2d(shrink, ceil_mode=True, count_include_pad=False) if shrink > 1 else None
        self.bias = conv.bias
        for name in SHAPE:
            setattr(self, name, getattr(conv, name))

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_instead(x)
        y = y if self.shrink is None else self.shrink(y)
        y = y if self.bias is None else y + self.bias.view(-1, 1, 1).to(y.dtype)
        # A convolution keeps the order of its input in memory; what stands instead may not.
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return y.contiguous(memory_format=torch.channels_last) if last else y


class Head(nn.Module):
    """Attention where global average pooling was: (N, C, H, W) to the shape that the network goes on with."""

    _plugged_names = ("attention_head",)

    def __init__(self, pool: nn.Module | None, attention: nn.Module, flat: bool = False, relu: bool = False):
        super().__init__()
        self._plugged_original = (pool,)
        self.attention_head = attention
        self.flat, self.relu = flat, relu

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_head(F.relu(x) if self.relu else x)          # (N, C)
        return y if self.flat else y[:, :, None, None]


def replace(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is: a shared module stays shared."""
    for parent in list(net.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new


def insert(net: nn.Module, module: nn.Module, socket: str, side: str, attention: nn.Module, order: int = 0) -> str:
    """Plug attention into one place before, after or on the skip of a module; returns the name of its part."""
    roomy = make_room(module)
    name = "attention_" + socket
    number = 2
    while name in roomy._modules or hasattr(roomy, name):      # a second one, or a part of the host with that name
        name = f"attention_{socket}_{number}"
        number += 1
    roomy._modules[name] = attention
    before, after, skips = list(roomy._plugged_before), list(roomy._plugged_after), dict(roomy._plugged_skips)
    if side == "skip":
        skips[name] = order
    else:
        (before if side == "before" else after).append(name)
    arrange(roomy, sorted(before, key=lambda n: rank(n, BEFORE)), sorted(after, key=lambda n: rank(n, AFTER)), skips)
    if roomy is not module:
        replace(net, module, roomy)
    return name


def socket_of(name: str) -> str:
    """The socket in the name of a part: "attention_post_2" -> "post"."""
    return next(s for s in sorted((*BEFORE, *AFTER, "instead"), key=len, reverse=True) if name.startswith("attention_" + s))


def rank(name: str, order: tuple[str, ...]) -> int:
    return order.index(socket_of(name))


def parts(module: nn.Module) -> tuple[str, ...]:
    """The names of the attention modules that were plugged into this module; () for all others."""
    behind_a_module = isinstance(module, Head) and module._plugged_original[0] is None      # then that module has it as its part
    return module._plugged_names if isinstance(module, Plugged | Instead | Head) and not behind_a_module else ()


def restore(net: nn.Module, sockets: Iterable[str] | None = None) -> int:
    """Take attention out again, of these sockets or of all; returns how many modules were taken out."""
    taken, found = 0, True
    while found:                                              # one plugged module may have become part of another
        found = False
        for module in reversed(list(net.modules())):          # parts come before their wholes
            names = [n for n in parts(module) if sockets is None or socket_of(n) in sockets]
            if not names:
                continue
            found, taken = True, taken + len(names)
            if isinstance(module, Instead | Head):
                original = module._plugged_original[0]
                like = next(module.parameters(), None)
                original.train(module.training)
                replace(net, module, original if like is None else original.to(like.device, like.dtype))
                continue
            left = {n: module._modules[n] for n in module._plugged_names if n not in names}
            kept = ([n for n in module._plugged_before if n in left], [n for n in module._plugged_after if n in left],
                    {n: k for n, k in module._plugged_skips.items() if n in left})
            original = None if left else give_back(module)
            for name in names:
                del module._modules[name]
            arrange(module, *kept)
            if original is not None:
                replace(net, module, original)
    return taken


def snapshot(net: nn.Module) -> Callable[[], None]:
    """Remember how the network is put together; the function that is returned puts it back like that."""
    together = [(module, dict(module._modules)) for module in net.modules()]
    arranged = [(m, m._plugged_before, m._plugged_after, dict(m._plugged_skips)) for m, _ in together if isinstance(m, Plugged)]

    def put_back() -> None:
        for module, children in together:
            module._modules.clear()
            module._modules.update(children)
        for module, *order in arranged:
            arrange(module, *order)
    return put_back
