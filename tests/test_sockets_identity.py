"""Attention joins a module where it is: no module becomes another object, and what fails leaves the network untouched."""

import copy
import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from sockets_host import SEPARATE, USUAL, host, picture, plug, stir
from sockets_wrong import untouched
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from course_utils.sockets import list_sockets, plug_in, unplug

SIZE = (3, 12, 14)
REPLACED = {"instead": {f"blocks.{i}.conv2" for i in range(3)}, "head": {"pool"}}


# ---- the same modules

@pytest.mark.parametrize("at", USUAL)
def test_every_module_is_the_same_object_before_and_after(at):
    """All but what is replaced by intention. Catches a twin that takes the place of the module in its parents."""
    net = host()
    before, known = dict(net.named_modules()), list(net.modules())
    plug(net, at)
    now = dict(net.named_modules())
    assert {name for name in before if now[name] is not before[name]} == REPLACED.get(at, set())
    unplug(net)
    assert list(net.modules()) == known and dict(net.named_modules()) == before
    assert [type(module) for module in known] == [type(module) for module in host().modules()]


def test_nothing_of_the_surgery_is_left_in_a_module():
    net = host()
    before = [(type(module), set(vars(module)), set(module._modules)) for module in net.modules()]
    for at in SEPARATE:
        plug(net, at)
    assert any(name.startswith("_plugged") for module in net.modules() for name in vars(module))
    unplug(net)
    assert [(type(module), set(vars(module)), set(module._modules)) for module in net.modules()] == before


def test_others_who_hold_a_module_see_its_attention():
    """An attribute that torch does not know, a closure, a weak reference: they hold the module and not its name."""
    net = host()
    held, weak = [net.blocks[0]], weakref.ref(net.blocks[0])
    plug_in(net, "se", "after_add", layers="blocks.0", start="as_made", input_size=SIZE)
    gc.collect()
    x = torch.randn(2, 8, 12, 14)
    assert held[0] is net.blocks[0] is weak()
    assert torch.equal(held[0](x), net.blocks[0](x)) and not torch.equal(held[0](x), host().blocks[0](x))


# ---- which skip

class TwoAdditions(nn.Module):
    """A sum of two branches first, then the skip: and it is the second operand of the second sum that is the skip."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(8, 8, k, padding=k // 2) for k in (3, 1, 3))
        self.shift = nn.Parameter(torch.randn(8, 1, 1))

    def forward(self, x):
        y = self.a(x) + self.b(x)
        y = y + self.shift      # a parameter is no path
        return self.c(F.relu(y)) + x


class TwoSkips(nn.Module):
    """As in a transformer: two residual lines in one forward, the skip once left and once right."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))

    def forward(self, x):
        x = x + self.a(x)
        return torch.add(self.b(F.relu(x)), x)


class SkipGiven(nn.Module):
    """As in DLA: the skip is an input that may be left out. torch.fx takes it as given, whatever the run did."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x, skip=None):
        return self.a(x) + (x if skip is None else skip)


def test_a_skip_on_a_path_that_the_run_did_not_take_is_no_place():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), SkipGiven())
    assert "identity" in list_sockets(net, SIZE).missing and "after_add" not in list_sockets(net, SIZE).missing


@pytest.mark.parametrize("kind, by_hand", [
    (TwoAdditions, lambda n, x, a: n.c(F.relu(n.a(x) + n.b(x) + n.shift)) + a(x)),
    (TwoSkips, lambda n, x, a, b: (lambda y: n.b(F.relu(y)) + b(y))(a(x) + n.a(x))),
])
def test_attention_is_on_the_skip_that_was_found_and_on_no_other_addition(kind, by_hand):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), kind()).eval()
    x, same = picture(), copy.deepcopy(net)
    y = net(x)
    receipt = plug_in(net, "se", "identity", start="as_made", input_size=SIZE)
    parts = [stir(part) for part in receipt.modules(net)]
    torch.testing.assert_close(net(x), by_hand(same[1], same[0](x), *parts))
    assert not torch.allclose(net(x), y) and torch.equal(copy.deepcopy(net)(x), net(x))
    unplug(net)
    assert torch.equal(net(x), y)


# ---- everything is made before anything is plugged in

@pytest.mark.parametrize("at", ["both", "identity", "instead", "head"])
def test_nothing_is_plugged_in_before_the_last_module_is_made(at):
    """A failure while the last one is made finds the network untouched, and leaves it so."""
    net, seen = host(), []
    places = [p for p in list_sockets(net, SIZE) if p.socket in (("pre", "post") if at == "both" else (at,))]
    classes = [type(module) for module in net.modules()]

    def last_one_fails(channels, **shape):
        seen.append([type(module) for module in net.modules()])
        torch.rand(5)
        if len(seen) == len(places):
            raise RuntimeError("no memory left")
        return nn.Conv2d(channels, shape.get("out_channels", channels), 3, shape.get("stride", 1), padding=1)

    with untouched(net), pytest.raises(RuntimeError, match="no memory left"):
        plug_in(net, last_one_fails, at, start="as_made", input_size=SIZE)
    assert seen == [classes] * len(places)


@pytest.mark.parametrize("at", ["both", "identity", "instead", "head"])
def test_a_network_that_does_not_run_any_more_gets_everything_back(at):
    """A fault that shows only once all of it is plugged in: modes, classes and earlier attention are as they were."""
    net = host().train()
    net.blocks[1].shortcut.eval()
    net.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Dropout(0.1).eval())
    plug_in(net, "se", "after_add", input_size=SIZE)

    class Once(nn.Module):
        """Fine while it is tried, and not in the network."""

        def __init__(self, channels, out_channels=None, stride=1):
            super().__init__()
            self.conv = nn.Conv2d(channels, out_channels or channels, 3, stride, padding=1)

        def forward(self, x):
            if len(x) == 1:
                raise RuntimeError("not in a network")
            return self.conv(x).mean((2, 3)) if at == "head" else self.conv(x)

    with untouched(net), pytest.raises(ValueError, match="not in a network"):
        plug_in(net, Once, at, start="as_made", input_size=SIZE)


# ---- another who exchanges classes

def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)).eval()


@pytest.mark.parametrize("first", ["parametrized", "plugged"])
def test_a_parametrized_module_can_be_plugged_and_unplugged_in_either_order(first):
    """torch derives a class of its own, too. Catches going back to a class without the weight that is computed."""
    net, x = plain(), picture()
    y = net(x)
    if first == "parametrized":
        parametrizations.weight_norm(net[2])
    plug_in(net, "se", "post", layers="2", input_size=SIZE)
    if first == "plugged":
        parametrizations.weight_norm(net[2])
    torch.testing.assert_close(net(x), y)
    assert unplug(copy.deepcopy(net)) == 1
    assert hasattr(net[2], "attention_post"), "the copy has a class of its own"
    unplug(net)
    torch.testing.assert_close(net(x), y)
    assert parametrize.is_parametrized(net[2])
    parametrize.remove_parametrizations(net[2], "weight")
    torch.testing.assert_close(net(x), y)
    assert type(net[2]) is nn.Conv2d
