"""Networks that plug_in must refuse, modules of a learner that do not fit, and a look whether a network is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from sockets_host import host, picture
from torch import nn

from course_utils.attention import SE
from course_utils.sockets import plug_in

# ---- networks

def mixed() -> nn.Module:
    """In training, with one frozen norm: modes that no single train() or eval() would put back."""
    net = host().train()
    net.blocks[0].bn1.eval()
    return net


def holding(attention: str, at: str) -> Callable[[], nn.Module]:
    """A host with something plugged in already."""
    def make() -> nn.Module:
        net = mixed()
        plug_in(net, attention, at, start="as_made")      # outputs that are not those of the plain host
        return net
    return make


class VGG(nn.Sequential):
    """Convolutions, ReLUs and a linear layer for pictures of 12x14: no additions, no global pooling."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(8 * 6 * 7, 5))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x, y):
        return self.conv(x) + self.conv(y)


class PlainList(nn.Module):
    """Convolutions in a list, which torch does not look into; `known`: under names of their own as well."""

    def __init__(self, known: bool):
        super().__init__()
        self.steps = [nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)]
        if known:
            self.first, self.second = self.steps

    def forward(self, x):
        return self.steps[1](self.steps[0](x))


def compiled_in_place() -> nn.Module:
    net = mixed()
    net.compile(backend="eager")
    return net


def compiled_part() -> nn.Module:
    net = mixed()
    net.blocks[1].compile(backend="eager")
    return net


def distributed() -> nn.Module:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        return nn.parallel.DistributedDataParallel(mixed())
    finally:
        dist.destroy_process_group()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())


# ---- modules of a learner

class Crash(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        raise RuntimeError("boom")


def widen(channels):
    return nn.Conv2d(channels, 2 * channels, 1)


def shrink(channels):
    return nn.MaxPool2d(2)


def no_module(channels):
    return torch.zeros(channels)


def forgot_to_call(channels):
    return nn.ReLU


def seven(channels):
    return SE(7)


def takes_nothing():
    return nn.ReLU()


def keeps_map(channels):
    return nn.Identity()


def largest(channels):
    return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())


# ---- is it as it was?

def answer(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The outputs in evaluation; no mode is changed by looking."""
    modes = [(m, m.training) for m in net.modules()]
    net.eval()
    with torch.no_grad():
        y = net(x)
    for module, mode in modes:
        module.training = mode
    return y


@contextmanager
def untouched(net: nn.Module, runs: bool = True) -> Iterator[None]:
    """Modules, keys, weights, modes, hooks, outputs and random numbers are afterwards what they were."""
    before = answer(net, picture()) if runs else None
    modules = list(net.named_modules(remove_duplicate=False))
    modes = [(m.training, type(m), len(m._forward_hooks), len(m._forward_pre_hooks)) for _, m in modules]
    tensors = dict(net.state_dict(keep_vars=True))
    kept = {key: None if nn.parameter.is_lazy(t) else t.detach().clone() for key, t in tensors.items()}
    random = torch.random.get_rng_state()
    yield
    assert torch.equal(torch.random.get_rng_state(), random), "random numbers"
    now = list(net.named_modules(remove_duplicate=False))
    assert [name for name, _ in now] == [name for name, _ in modules]
    assert all(a is b for (_, a), (_, b) in zip(now, modules, strict=True)), "other modules"
    assert [(m.training, type(m), len(m._forward_hooks), len(m._forward_pre_hooks)) for _, m in now] == modes
    after = net.state_dict(keep_vars=True)
    assert list(after) == list(tensors)
    for key, tensor in after.items():
        assert tensor is tensors[key] and nn.parameter.is_lazy(tensor) == (kept[key] is None)
        assert kept[key] is None or torch.equal(tensor, kept[key]), key
    assert not runs or torch.equal(answer(net, picture()), before), "outputs"
