"""Where two maps meet: attention that reads both, in place of a sum or before a concatenation."""

import copy
import functools
import pickle

import pytest
import torch
import torch.nn.functional as F
from sockets_host import host, picture, stir
from test_sockets_placement import alive
from torch import nn

from course_utils import attention
from course_utils.sockets import list_sockets, plug_in, unplug
from course_utils.sockets.fuse import EasedFuse

SIZE = (3, 12, 16)


def conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class Unet(nn.Module):
    """Two skips, in either order of the line, and a sum of what one convolution and another make."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.low = conv(3, 4), conv(4, 6), conv(6, 8)
        self.up_two, self.up_one, self.out = conv(8 + 6, 6), conv(4 + 6, 4), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        a = self.one(x)
        b = self.two(F.max_pool2d(a, 2))
        c = self.low(F.max_pool2d(b, 2))
        y = self.up_two(torch.cat([F.interpolate(c, scale_factor=2), b], 1))
        return self.out(self.up_one(torch.cat([a, F.interpolate(y, scale_factor=2)], dim=1)))


def unet() -> Unet:
    torch.manual_seed(0)
    return alive(Unet())


def x_of(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 12, 16, generator=torch.Generator().manual_seed(1))


class Both(nn.Module):
    """A learner's own: both maps, mixed."""

    def __init__(self, a: int, b: int, gives: int | None = None):
        super().__init__()
        self.mix = nn.Conv2d(a + b, gives or a + b, 1)

    def forward(self, a, b):
        return self.mix(torch.cat([a, b], 1))


def skip_only(a: int, b: int) -> Both:
    return Both(a, b, b)


def test_the_places_of_a_unet_are_its_skips_with_both_numbers_of_channels():
    places = [p for p in list_sockets(Unet(), SIZE) if p.socket == "fuse"]
    assert [(p.stage, p.size, p.skip.joins, p.skip.channels, p.skip.turned) for p in places] == [
        (2, (6, 8), "cat", (8, 6), False), (1, (12, 16), "cat", (6, 4), True)]


@pytest.mark.parametrize("maker", ["attention_gate", Both, skip_only, "half"])
def test_the_start_is_what_the_network_did_there(maker):
    """Catches a concatenation in another order, and a gate on the wrong one of the two maps."""
    maker = (lambda a, b: Both(a, b)) if maker == "half" else maker
    net, x = unet(), x_of()
    before = net(x)
    receipt = plug_in(net, maker, "fuse", input_size=SIZE)
    assert torch.equal(net(x), before) and len(receipt) == 2 and receipt.parameters > 0
    stir(nn.ModuleList(receipt.modules(net)))
    assert not torch.allclose(net(x), before)
    assert unplug(net) == 2 and torch.equal(net(x), before) and type(net) is Unet


def test_an_attention_gate_on_the_skips_of_a_unet_is_that_by_hand():
    """The signal comes from below, the gate is on the skip, whichever stands in front in the line."""
    net, plain, x = unet(), unet(), x_of()
    low, high = plug_in(net, "attention_gate", "fuse", start="as_made", input_size=SIZE).modules(net)
    stir(nn.ModuleList([low, high]))
    a = plain.one(x)
    b = plain.two(F.max_pool2d(a, 2))
    c = F.interpolate(plain.low(F.max_pool2d(b, 2)), scale_factor=2)
    y = F.interpolate(plain.up_two(torch.cat([c, low.attention.gate(b, c)], 1)), scale_factor=2)
    y = plain.out(plain.up_one(torch.cat([high.attention.gate(a, y), y], 1)))
    torch.testing.assert_close(net(x), y)


def test_aff_in_place_of_the_sum_of_a_residual_block_is_that_by_hand():
    net, x = host(), picture()
    receipt = plug_in(net, "aff", "fuse", start="as_made", layers="blocks.0", input_size=(3, 12, 14))
    (new,) = receipt.modules(net)
    stir(new)
    plain, seen = host(), []
    plain.blocks[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net.blocks[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(x)
    stem = F.relu(plain.norm(plain.conv(x)))
    b = plain.blocks[0]
    branch = b.bn2(b.conv2(F.relu(b.bn1(b.conv1(stem)))))
    torch.testing.assert_close(seen[0], F.relu(new.attention(branch, stem)))
    assert receipt.names == ("blocks.0.attention_fuse",)


def test_a_module_of_two_maps_is_eased_and_learns():
    net, x = unet(), x_of(4)
    receipt = plug_in(net, Both, "fuse", input_size=SIZE)
    new = [m.attention for m in receipt.modules(net)]
    assert all(type(m) is EasedFuse for m in new)
    optimiser = torch.optim.SGD([p for m in new for p in m.parameters()], lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        F.cross_entropy(net(x), torch.zeros(4, 12, 16, dtype=torch.long)).backward()
        optimiser.step()
    assert all(p.grad.abs().max() > 0 for m in new for p in m.parameters())


def test_a_module_that_is_the_sum_by_itself_is_not_eased():
    class Sum(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, a, b):
            return self.weight * (a + b)
    receipt = plug_in(net := host(), Sum, "fuse", input_size=(3, 12, 14))
    assert all(type(m.attention) is Sum for m in receipt.modules(net))


def test_fuse_stands_beside_attention_on_the_same_skip():
    """Both rewrite one line; the skip is weighed first."""
    net, x = host(), picture()
    before = net(x)
    plug_in(net, "se", "identity", layers="blocks.0", input_size=(3, 12, 14))
    plug_in(net, "aff", "fuse", layers="blocks.0", input_size=(3, 12, 14))
    assert torch.equal(net(x), before)
    stir(net.blocks[0].attention_identity)
    assert not torch.allclose(net(x), before)
    unplug(net, "fuse")
    assert hasattr(net.blocks[0], "attention_identity") and not hasattr(net.blocks[0], "attention_fuse")
    unplug(net)
    assert torch.equal(net(x), before)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "state_dict", "trace", "train"])
def test_what_torch_does_with_a_network_still_works(way):
    net, x = unet(), x_of()
    stir(nn.ModuleList(plug_in(net, "attention_gate", "fuse", input_size=SIZE).modules(net)))
    expected = net(x)
    if way == "state_dict":
        twin = unet()
        plug_in(twin, "attention_gate", "fuse", input_size=SIZE)
        twin.load_state_dict(net.state_dict())
    elif way == "trace":
        twin = torch.jit.trace(net, x)
    elif way == "train":
        net.train()(x).sum().backward()
        assert all(p.grad is not None for p in net.parameters())
        return
    else:
        twin = copy.deepcopy(net) if way == "deepcopy" else pickle.loads(pickle.dumps(net))
    torch.testing.assert_close(twin(x), expected)


def keeps_one(a, b):
    return nn.Conv2d(a, 5, 1)


class Wrong(nn.Module):
    def __init__(self, a, b):
        super().__init__()

    def forward(self, a, b):
        return a[:, :1]


WRONG = {
    "one map only": (lambda net: plug_in(net, "se", "fuse", input_size=SIZE),
                     "'se' reads one map, and at='fuse' two meet: use 'attention_gate', 'aff'.*'identity'.*'after_add'"),
    "a sum where there is none": (lambda net: plug_in(net, "aff", "fuse", input_size=SIZE),
                                  "aff stands for a sum, .* 2 pairs of maps are all concatenated. 'attention_gate' works"),
    "a callable of one number": (lambda net: plug_in(net, lambda c: nn.Identity(), "fuse", input_size=SIZE),
                                 r"must be a callable \(channels_a, channels_b\) -> module of two maps"),
    "a module of one map": (lambda net: plug_in(net, keeps_one, "fuse", input_size=SIZE), "does not run at 'fuse'.*two maps"),
    "another shape": (lambda net: plug_in(net, Wrong, "fuse", input_size=SIZE),
                      r"gives \(2, 1, 6, 8\), and wanted is \(2, 6, 6, 8\) or \(2, 14, 6, 8\), the skip as it goes in"),
    "no module": (lambda net: plug_in(net, lambda a, b: 3, "fuse", input_size=SIZE), "must return a torch.nn.Module, got int"),
    "twice": (lambda net: [plug_in(net, "attention_gate", "fuse", input_size=SIZE) for _ in range(2)], "already.*unplug"),
    "gating_channels as an option": (lambda net: plug_in(net, "attention_gate", "fuse", gating_channels=4, input_size=SIZE),
                                     "takes no gating_channels"),
    "the gate at post": (lambda net: plug_in(net, "attention_gate", "post", input_size=SIZE), "at='fuse', where two maps meet"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_says_what_to_do_and_changes_nothing(wrong):
    net, x = unet(), x_of()
    before = net(x)
    call, told = WRONG[wrong]
    with pytest.raises((ValueError, TypeError), match=told):
        call(net)
    unplug(net)
    assert torch.equal(net(x), before) and type(net) is Unet


def test_an_option_reaches_the_mechanism():
    net = host()
    receipt = plug_in(net, "aff", "fuse", reduction=2, input_size=(3, 12, 14))
    assert receipt.modules(net)[0].attention.local[0].out_channels == 4
    with pytest.raises(TypeError):
        plug_in(unet(), functools.partial(attention.AFF, 4, 4, 4, 4), "fuse", input_size=SIZE)


class Writes(nn.Module):
    def __init__(self, a, b):
        super().__init__()

    def forward(self, a, b):
        b *= 0.5
        return b


def test_a_module_that_writes_into_a_map_is_refused():
    """The map of a skip is read by others too. Catches a trial on copies, which sees nothing."""
    with pytest.raises(ValueError, match="writes into a map that it gets at 'fuse'.*x = x . gate"):
        plug_in(unet(), Writes, "fuse", start="as_made", input_size=SIZE)


class Split(nn.ModuleDict):
    """As timm's MixedConv2d: a container whose paths meet in a line of its own forward."""

    def __init__(self):
        super().__init__({"a": nn.Conv2d(4, 4, 3, padding=1), "b": nn.Conv2d(4, 4, 5, padding=2)})

    def forward(self, x):
        parts = torch.split(x, 4, 1)
        return torch.cat([path(parts[i]) for i, path in enumerate(self.values())], 1)


class Walks(Split):
    """The same by its children."""

    def forward(self, x):
        parts = torch.split(x, 4, 1)
        return torch.cat([path(parts[i]) for i, path in enumerate(self.children())], 1)


@pytest.mark.parametrize("kind", [Split, Walks])
def test_a_container_in_which_maps_meet_is_read_without_its_attention(kind):
    """Catches a forward that is read with the attention as one more path."""
    net = alive(nn.Sequential(conv(3, 8), kind(), nn.ReLU()))
    x = x_of()
    before = net(x)
    plug_in(net, "attention_gate", "fuse", input_size=SIZE)
    assert torch.equal(net(x), before)
    stir(net[1].attention_fuse)
    assert not torch.allclose(net(x), before)


class Optional(nn.Module):
    """As timm's DLA: a skip from elsewhere, or the block's own input."""

    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)

    def forward(self, x, skip=None):
        skip = x if skip is None else skip
        return self.a(x) + skip


def test_a_skip_that_may_be_left_out_is_a_place_where_it_is_given():
    """torch.fx takes it for given. Catches attention that gets None where it was not."""
    class Net(nn.Module):
        def __init__(self, given):
            super().__init__()
            self.stem, self.block, self.given = conv(3, 8), Optional(), given

        def forward(self, x):
            x = self.stem(x)
            return self.block(x, skip=2 * x) if self.given else self.block(x)
    assert [("fuse" in list_sockets(Net(given), SIZE).missing) for given in (False, True)] == [True, False]


def test_a_forward_that_cannot_be_read_is_no_place():
    class Loops(Unet):
        def forward(self, x):
            if x.mean() > 1e9:
                return x
            return super().forward(x)
    found = list_sockets(alive(Loops()), SIZE)
    assert "fuse" in found.missing


class Gated(nn.Module):
    """As the attention gate of many a U-Net: its second argument is called x, and it is called by names."""

    def __init__(self):
        super().__init__()
        self.of_g, self.of_x, self.psi = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 1, 1)

    def forward(self, g, x):
        return x * torch.sigmoid(self.psi(torch.relu(self.of_g(g) + self.of_x(x))))


@pytest.mark.parametrize("named", [("g", "x"), ("x",), ()])
def test_a_host_may_have_an_x_that_is_not_its_first(named):
    class Caller(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.gate = conv(3, 4), conv(4, 4), Gated()

        def forward(self, x):
            given = {"g": self.two(self.one(x)), "x": self.one(x)}
            return self.gate(*(v for k, v in given.items() if k not in named), **{k: given[k] for k in named})
    net, x = alive(Caller()), x_of()
    before = net(x)
    (place,) = plug_in(net, "aff", "fuse", layers="gate", input_size=SIZE).places
    assert place.module == "gate" and torch.allclose(net(x), before, atol=1e-6)
    stir(net.gate.attention_fuse)
    assert not torch.allclose(net(x), before, atol=1e-3)
