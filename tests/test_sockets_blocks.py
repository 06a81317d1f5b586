"""What closes a residual block and what is only a merge; blocks of several paths: findings P3, P4, P5, P6 and P16."""

import pytest
import torch
import torch.nn.functional as F
from sockets_host import picture
from test_sockets_placement import alive, compare, strong
from torch import nn

from course_utils.sockets import list_sockets, plug_in, unplug

SIZE = (3, 12, 14)


def conv(channels: int, out: int, k: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, k, stride, k // 2, bias=False), nn.BatchNorm2d(out))


class Basic(nn.Module):
    def __init__(self, channels: int = 8):
        super().__init__()
        self.a, self.b = conv(channels, channels), conv(channels, channels)

    def forward(self, x):
        return F.relu(x + self.b(F.relu(self.a(x))))


def counts(net: nn.Module, **options) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in list_sockets(net, SIZE, **options):
        found[place.socket] = found.get(place.socket, 0) + 1
    return found


class Branches(nn.Module):
    """As in HRNet: two branches of blocks, one after the other in time and beside each other in what is made from what."""

    def __init__(self):
        super().__init__()
        self.stem, self.down = conv(3, 8), conv(8, 8, 3, 2)
        self.large, self.small = nn.ModuleList([Basic(), Basic()]), nn.ModuleList([Basic(), Basic()])

    def forward(self, x):
        x = F.relu(self.stem(x))
        y = F.relu(self.down(x))
        for block in self.large:
            x = block(x)
        for block in self.small:
            y = block(y)
        return (x + F.interpolate(y, x.shape[2:])).mean((2, 3))


def test_blocks_of_parallel_branches_are_not_inside_each_other():
    """P3. Catches an order of the run taken for an order of what is made from what; `post` then lies behind the addition."""
    net = alive(Branches())
    assert {s: counts(net)[s] for s in ("pre", "post", "after_add", "identity")} == dict.fromkeys(
        ("pre", "post", "after_add", "identity"), 4)

    def by_hand(n, x, a, b, c, d):
        x = F.relu(n.stem(x))
        y = F.relu(n.down(x))
        for block, post in zip(n.large, (a, b), strict=True):
            x = F.relu(x + post(block.b(F.relu(block.a(x)))))
        for block, post in zip(n.small, (c, d), strict=True):
            y = F.relu(y + post(block.b(F.relu(block.a(y)))))
        return (x + F.interpolate(y, x.shape[2:])).mean((2, 3))
    compare(net, "post", by_hand)


class Parallel(nn.Module):
    """As RepVGG while it trains: a window, a 1x1 and a norm of the same map, added; one convolution could do it."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.window, self.point, self.norm = conv(channels, channels), conv(channels, channels, 1), nn.BatchNorm2d(channels)
        self.rest = nn.Identity()

    def forward(self, x):
        return F.relu(self.rest(self.window(x) + self.point(x) + self.norm(x)))


class Adapter(nn.Module):
    """As LoRA: a convolution, and beside it two small ones."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.base = nn.Conv2d(channels, channels, 3, padding=1)
        self.low, self.high = nn.Conv2d(channels, 2, 3, padding=1, bias=False), nn.Conv2d(2, channels, 1, bias=False)

    def forward(self, x):
        return (self.base(x) + 0.5 * self.high(self.low(x))).to(x.dtype)      # as peft does


class Squeezed(nn.Module):
    """As scSE: a map times one gate, plus the map times another."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.window, self.where, self.what = conv(channels, channels), nn.Conv2d(channels, 1, 1), nn.Linear(channels, channels)

    def forward(self, x):
        x = self.window(x)
        return x * torch.sigmoid(self.where(x)) + x * torch.sigmoid(self.what(x.mean((2, 3))))[:, :, None, None]


@pytest.mark.parametrize("kind, places", [(Parallel, 3), (Adapter, 3), (Squeezed, 4)])
def test_a_merge_is_no_residual_block(kind, places):
    """P4. Parallel convolutions of a module are one unit, with one place before and one after."""
    net = alive(nn.Sequential(conv(3, 8), kind(), kind(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    found = counts(net)
    assert "after_add" not in found and "identity" not in found and ("fuse" in found) is (kind is Squeezed)
    assert found["pre"] == found["post"] == (places if kind is not Squeezed else found["pre"])


def test_an_adapter_inside_a_residual_block_does_not_hide_the_block():
    """P4, as peft's LoRA on a ResNet: attention before the adapter would gate the adapter alone."""
    net = alive(nn.Sequential(conv(3, 8), Basic(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    net[1].a[0] = alive(Adapter())
    places = {p.socket: p.module for p in list_sockets(net, SIZE) if p.unit == "1"}
    assert places["pre"] == "1.a.0" and places["post"] == "1.b.1" and places["after_add"] == "1"


class Gated(nn.Module):
    """A U-Net with an attention gate on its skip: the gate adds two maps that come from different places."""

    def __init__(self):
        super().__init__()
        self.enc, self.mid, self.dec = conv(3, 8), conv(8, 8), conv(16, 8)
        self.gate = Gate()

    def forward(self, x):
        x = F.relu(self.enc(x))
        y = F.interpolate(F.relu(self.mid(F.max_pool2d(x, 2))), scale_factor=2)
        return self.dec(torch.cat([y, self.gate(y, x)], 1))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.g, self.x, self.psi = conv(8, 4, 1), conv(8, 4, 1), nn.Conv2d(4, 1, 1)

    def forward(self, g, x):
        return x * torch.sigmoid(self.psi(F.relu(self.g(g) + self.x(x))))


def test_the_sum_inside_an_attention_gate_makes_no_block_of_the_network():
    assert list_sockets(Gated(), SIZE).unit == "conv"


def test_a_map_that_was_made_outside_closes_no_block():
    """The same gate at one size. Catches a block whose branch is the rest of the network."""
    class Same(Gated):
        def forward(self, x):
            x = F.relu(self.enc(x))
            y = F.relu(self.mid(x))
            return self.dec(torch.cat([y, self.gate(y, x)], 1))
    assert list_sockets(Same(), SIZE).unit == "conv"


def test_a_skip_over_a_smaller_map_meets_and_closes_no_block():
    """A U-Net that adds."""
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.mid, self.dec = conv(3, 8), conv(8, 8), conv(8, 8)

        def forward(self, x):
            x = F.relu(self.enc(x))
            return self.dec(x + F.interpolate(F.relu(self.mid(F.max_pool2d(x, 2))), scale_factor=2))
    found = list_sockets(Adds(), SIZE)
    assert found.unit == "conv" and [p.socket for p in found].count("fuse") == 1


@pytest.mark.parametrize("skip, closes", [(lambda: nn.Identity(), True), (lambda: conv(8, 8, 1), True),
                                          (lambda: nn.AvgPool2d(3, 1, 1), True), (lambda: conv(8, 8, 3), False)])
def test_a_skip_is_nothing_a_projection_or_a_pooling(skip, closes):
    class Block(Basic):
        def __init__(self):
            super().__init__()
            self.skip = skip()

        def forward(self, x):
            return F.relu(self.skip(x) + self.b(F.relu(self.a(x))))
    found = list_sockets(nn.Sequential(conv(3, 8), Block()), SIZE)
    assert (found.unit == "block") is closes


def test_one_convolution_and_the_map_itself_are_a_block():
    class Short(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(8, 8)

        def forward(self, x):
            return F.relu(x + self.a(x))
    assert counts(nn.Sequential(conv(3, 8), Short(), Short()))["after_add"] == 2


class Partial(nn.Module):
    """As ReXNet: the skip adds to the first channels only."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.a, self.b, self.channels = conv(channels, out), conv(out, out), channels

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        return torch.cat([y[:, :self.channels] + x, y[:, self.channels:]], 1)


def test_a_receipt_says_what_was_not_reached_and_why():
    """P5. Catches a coverage of one block in three that looks like all."""
    net = alive(nn.Sequential(conv(3, 8), Basic(), Partial(8, 12), Partial(12, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    receipt = plug_in(net, "se", "post", input_size=SIZE)
    assert [p.unit for p in receipt.places] == ["1"]
    assert "1 of 3 blocks; of the others 2: only a part of its channels is added." in str(receipt)
    unplug(net)
    assert "blocks" not in str(plug_in(net, "se", "pre", input_size=SIZE))


class Paths(nn.Module):
    """As Res2Net and MixNet: several windows beside each other, joined in a line of code, and a 1x1 behind them."""

    def __init__(self, joined: bool):
        super().__init__()
        self.narrow, self.wide = conv(8, 8, 1), conv(8, 8, 1)
        self.windows = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2)])
        self.norm = nn.BatchNorm2d(8) if joined else None

    def forward(self, x):
        y = F.relu(self.narrow(x))
        y = torch.cat([w(part) for w, part in zip(self.windows, y.chunk(2, 1), strict=True)], 1)
        return x + self.wide(y if self.norm is None else self.norm(y))


@pytest.mark.parametrize("joined", [False, True], ids=["in a line of code", "by a norm"])
def test_inner_is_behind_all_paths_of_a_block(joined):
    """P6. Catches attention on the last of several paths alone."""
    net = alive(nn.Sequential(conv(3, 8), Paths(joined), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    (place,) = [p for p in list_sockets(net, SIZE) if p.socket == "inner"]
    assert place.channels == 8

    def by_hand(n, x, a):
        x = n[0](x)
        y = F.relu(n[1].narrow(x)).chunk(2, 1)
        y = torch.cat([n[1].windows[0](y[0]), n[1].windows[1](y[1])], 1)
        y = a(y) if place.side == "before" and not joined else a(n[1].norm(y)) if place.side == "after" else n[1].norm(a(y))
        return (x + n[1].wide(y)).mean((2, 3))
    compare(net, "inner", by_hand)


class Inline(Basic):
    """The activation after the addition is a line of code: x * sigmoid(x)."""

    def forward(self, x):
        y = x + self.b(F.relu(self.a(x)))
        return y * torch.sigmoid(y)


def test_an_activation_written_inline_ends_its_block():
    """P16."""
    net = alive(nn.Sequential(conv(3, 8), Inline(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))

    def by_hand(n, x, a):
        return a(n[1](n[0](x))).mean((2, 3))
    compare(net, "after_add", by_hand)


class Direct(nn.Module):
    """Calls its blocks by `block.forward(x)`, past the hooks of torch."""

    def __init__(self):
        super().__init__()
        self.stem, self.one, self.two = conv(3, 8), Basic(), Basic()

    def forward(self, x):
        return self.two.forward(self.one.forward(self.stem(x))).mean((2, 3))


@pytest.mark.parametrize("at", ["pre", "post", "after_add", "identity"])
def test_a_block_that_is_called_by_its_forward_is_a_block(at):
    """P16. Catches a record made with hooks, which such a call goes past."""
    net, x = alive(Direct()), picture()
    before = net(x)
    receipt = plug_in(net, strong, at, start="as_made", input_size=SIZE)
    assert [p.unit for p in receipt.places] == ["one", "two"] and not torch.allclose(net(x), before)
    unplug(net)
    assert torch.equal(net(x), before)


class Last(nn.Module):
    """As timm's EdgeNeXt and MambaOut: the sum is of maps with their channels last; only the window wants them second."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.window, self.wide = conv(channels, channels), nn.Linear(channels, channels)

    def forward(self, x):
        y = self.window(x).permute(0, 2, 3, 1)
        z = y + self.wide(F.gelu(y))
        return z.permute(0, 3, 1, 2)


@pytest.mark.parametrize("side", [8, 12])
def test_maps_with_channels_last_are_no_places(side):
    """Catches attention over the height, which has the right shapes for one size of picture and for no other."""
    net = alive(nn.Sequential(conv(3, 8), Last(), conv(8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    places = list_sockets(net, side)
    assert {p.channels for p in places if p.module != "0.0"} == {8} and places.unit == "conv"
    assert [p.module for p in places if p.socket == "pre"] == ["0.0", "1.window.0", "2.0"]
    assert "fuse" in places.missing
    plug_in(net, "se", "both", input_size=side)
    net(torch.rand(2, 3, 12, 20))


class Shuffled(nn.Module):
    """As ShuffleNet: half of the channels go past the branch, and then all are shuffled, in five dimensions."""

    def __init__(self):
        super().__init__()
        self.branch = conv(4, 4)

    def forward(self, x):
        kept, taken = x.chunk(2, 1)
        y = torch.cat([kept, self.branch(taken)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def test_a_map_that_was_taken_apart_and_put_together_is_a_map():
    """Catches a shuffle of channels that is taken for a change of their place."""
    net = alive(nn.Sequential(conv(3, 8), Shuffled(), Shuffled(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert counts(net)["fuse"] == 2


class ByVector(nn.Module):
    """A gate as ECA makes it: (N, 1, C), viewed as (N, C, 1, 1)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, y):
        gate = self.conv(y.mean((2, 3)).view(len(y), 1, -1)).sigmoid().view(len(y), -1, 1, 1)
        return gate.expand_as(y) * y


class Weighed(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch, self.gate, self.act = conv(8, 8), ByVector(), nn.ReLU()

    def forward(self, x):
        return self.act(x + self.gate(self.branch(x)))


def test_a_gate_says_nothing_of_the_order_of_what_it_weighs():
    """Catches blocks that are lost once a vector that was viewed as (N, C, 1, 1) has weighed their branch."""
    found = counts(alive(nn.Sequential(conv(3, 8), Weighed(), Weighed(), nn.AdaptiveAvgPool2d(1), nn.Flatten())))
    assert [found[at] for at in ("pre", "post", "after_add", "fuse")] == [2, 2, 2, 2]
