"""Maps that reach a forward in a list or a dict, as those of a pyramid or a neck do, and meet there: `fuse` finds them."""

import copy
import pickle
from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from sockets_host import stir
from test_sockets_fuse import Both, conv
from test_sockets_placement import alive
from torch import nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from course_utils.sockets import list_sockets, plug_in, unplug


class Concat(nn.Module):
    """As a YOLO's: one module, one list."""

    def __init__(self, d=1):
        super().__init__()
        self.d = d

    def forward(self, x):
        return torch.cat(x, self.d)


class Neck(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.concat, self.out = conv(3, 4), conv(4, 6), Concat(), conv(10, 5)

    def forward(self, x):
        a = self.one(x)
        return self.out(self.concat([F.interpolate(self.two(F.max_pool2d(a, 2)), scale_factor=2), a]))


class Pyramid(nn.Module):
    """torchvision's own, with a level more, whose module is handed lists and gives back a pair of lists."""

    def __init__(self):
        super().__init__()
        self.one, self.two = conv(3, 4), conv(4, 6)
        self.fpn = FeaturePyramidNetwork([4, 6], 8, extra_blocks=LastLevelMaxPool())

    def forward(self, x):
        a = self.one(x)
        return self.fpn(OrderedDict(low=a, high=self.two(F.max_pool2d(a, 2))))


class Decoder(nn.Module):
    """Features in a tuple within a list, and a text with them; given by name."""

    def forward(self, *, features, size):
        low, high, *others = [*features[0], *features[1:]]
        return low + F.interpolate(high, size=size) * sum(others).mean()


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.decoder = conv(3, 4), conv(4, 4), Decoder()

    def forward(self, x):
        a = self.one(x)
        b = self.two(F.max_pool2d(a, 2))
        return self.decoder(features=[(a, b), b], size=a.shape[-2:])


class Holes(nn.Module):
    """A list with nothing at one place: which way its forward goes hangs on that."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.sum = conv(3, 4), conv(4, 4), Optional()

    def forward(self, x):
        a = self.one(x)
        return self.sum([a, self.two(a), None])


class Optional(nn.Module):
    def forward(self, x):
        a, b, c = x
        return a + b if c is None else a + c


def x_of(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 12, 16, generator=torch.Generator().manual_seed(1))


def made(cls) -> nn.Module:
    torch.manual_seed(0)
    return alive(cls())


def values(y):
    return list(y.values()) if isinstance(y, dict) else [y]


def same(y, other) -> bool:
    return type(y) is type(other) and all(map(torch.equal, values(y), values(other)))


def fuse_places(net):
    return [(p.unit, p.skip.joins, p.skip.channels, p.size) for p in list_sockets(net, (3, 12, 16)) if p.socket == "fuse"]


def test_the_meetings_of_lists_and_dicts_are_found():
    assert fuse_places(made(Neck)) == [("concat", "cat", (6, 4), (12, 16))]
    assert fuse_places(made(Pyramid)) == [("fpn", "add", (8, 8), (12, 16))]


@pytest.mark.parametrize("cls", [Neck, Pyramid, Named, Holes])
@pytest.mark.parametrize("maker", ["attention_gate", Both])
def test_the_start_is_what_the_network_did_and_undone_it_is_the_network(cls, maker):
    if maker is Both and cls is not Neck:
        def maker(a, b):
            return Both(a, b, a)
    net, x = made(cls), x_of()
    before = net(x)
    receipt = plug_in(net, maker, "fuse", input_size=(3, 12, 16))
    assert len(receipt) == 1 and same(net(x), before), "also an OrderedDict stays one"
    stir(nn.ModuleList(receipt.modules(net)))
    other = net(x)
    assert not same(other, before)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert same(twin(x), other)
    assert unplug(net) == 1 and same(net(x), before)


def test_a_gate_in_a_neck_is_that_by_hand():
    """Catches the wrong one of the two maps, and a concatenation in another order."""
    net, plain, x = made(Neck), made(Neck), x_of()
    (new,) = plug_in(net, "attention_gate", "fuse", start="as_made", input_size=(3, 12, 16)).modules(net)
    stir(new)
    a = plain.one(x)
    b = F.interpolate(plain.two(F.max_pool2d(a, 2)), scale_factor=2)
    torch.testing.assert_close(net(x), plain.out(torch.cat([b, new.attention.gate(a, b)], 1)))


@pytest.mark.parametrize("cls", [Neck, Pyramid])
def test_it_can_be_traced_compiled_and_exported(cls):
    net, x = made(cls).eval(), x_of()
    stir(nn.ModuleList(plug_in(net, "attention_gate", "fuse", input_size=(3, 12, 16)).modules(net)))
    wanted = values(net(x))
    for got in (torch.export.export(net, (x,)).module()(x), torch.jit.trace(net, x, strict=False)(x),
                torch.compile(net, backend="eager", fullgraph=True)(x)):
        for one, other in zip(values(got), wanted, strict=True):
            torch.testing.assert_close(one, other)


def test_a_list_of_another_length_is_refused():
    """The forward was read for two maps: a third would be left out without a word."""
    net, x = made(Neck), x_of()
    plug_in(net, "attention_gate", "fuse", input_size=(3, 12, 16))
    a = net.one(x)
    with pytest.raises(ValueError, match=r"Concat was given one list of 2 \(0, 1\) when .*is given one list of 3 .*unplug"):
        net.concat([a, a, a])
    assert net.concat((torch.zeros(2, 6, 12, 16), a)).shape == (2, 10, 12, 16), "a tuple does for a list"
    unplug(net)
    assert net.concat([a, a, a]).shape[1] == 12


def test_a_list_may_have_a_hole_and_keeps_it():
    net, x = made(Holes), x_of()
    before = net(x)
    plug_in(net, "attention_gate", "fuse", input_size=(3, 12, 16))
    assert torch.equal(net(x), before)
    with pytest.raises(ValueError, match="Optional was given one list of 3"):
        net.sum([net.one(x)] * 3)


def test_a_number_in_a_list_is_not_fixed():
    """It may be another in the next run, as a size is: such a list is left to torch.fx, which can follow an unpacking."""
    class Sized(nn.Module):
        def forward(self, x):
            low, high, size = x
            return low + F.interpolate(high, size=size)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.decoder = conv(3, 4), conv(4, 4), Sized()

        def forward(self, x):
            a = self.one(x)
            return self.decoder([a, self.two(F.max_pool2d(a, 2)), tuple(a.shape[-2:])])
    net, x, large = made(Net), x_of(), torch.rand(1, 3, 20, 24)
    before = net(x), net(large)
    plug_in(net, "attention_gate", "fuse", input_size=(3, 12, 16))
    assert torch.equal(net(x), before[0]) and torch.equal(net(large), before[1])
