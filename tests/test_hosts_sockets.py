"""The hosts of the lessons with attention plugged in: it sits in the places that the lessons say, and nowhere else."""

import copy

import pytest
import torch
from test_hosts import picture, trained
from torch import nn

from course_utils.attention import REGISTRY, SE
from course_utils.hosts import HOSTS, ResidualBlock, SmallHost
from course_utils.sockets import plug_in

LESSONS = ("small_host", "small_resnet")
WIDTHS = {"small_host": (6, 8, 10, 12), "small_resnet": (6, 8, 10)}
# The channels of every place, by host and socket.
PLACES = {
    "small_host": {"input": [3], "pre": [3, 6, 8, 10], "post": [6, 8, 10, 12], "both": [3, 6, 8, 10, 6, 8, 10, 12],
                   "between": [6]},
    "small_resnet": {"input": [3], "pre": [6, 6, 8], "inner": [6, 8, 10], "post": [6, 8, 10], "both": [6, 6, 8, 6, 8, 10],
                     "after_add": [6, 8, 10], "identity": [6, 8, 10], "between": [6, 8]},
}
each_host = pytest.mark.parametrize("host", LESSONS)
each_place = pytest.mark.parametrize("host, at", [(host, at) for host in LESSONS for at in PLACES[host]])
each_gate = pytest.mark.parametrize("at", ["input", "pre", "post", "both"])      # sockets that both hosts have
# What keeps the shape and reads one map; an attention gate reads two, patches make others of it.
GATES = sorted(n for n, c in REGISTRY.items() if c.kind not in ("pool", "kernel") and n not in ("attention_gate", "patches"))


class Spy(nn.Module):
    """Changes nothing and remembers what it was given."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.got = channels, None

    def forward(self, x):
        assert x.shape[1] == self.channels, f"made for {self.channels} channels, got {x.shape[1]}"
        self.got = x.detach()
        return x


class Closed(nn.Module):
    """A gate that lets nothing through."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return 0 * x


def spied_on(host, at):
    """A host with a Spy in every place of the socket, its receipt, and the channels that were asked for, in order."""
    asked = []

    def spy(channels):
        asked.append(channels)
        return Spy(channels)
    net = HOSTS[host](widths=WIDTHS[host])
    return net, plug_in(net, spy, at=at), asked


def with_attention(host, name, at, **options):
    net = HOSTS[host]()
    plug_in(net, name, at=at, **options)
    return net


def holding(net, kind):
    return [name for name, m in net.named_modules() if isinstance(m, kind)]


# ---- before, after, both, and the other places that keep the shape

@each_place
def test_every_place_has_its_channels_and_is_used(host, at):
    net, receipt, asked = spied_on(host, at)
    spies = [m for m in net.modules() if isinstance(m, Spy)]
    assert asked == list(receipt.channels) == PLACES[host][at]
    assert sorted(asked) == sorted(m.channels for m in spies)
    sockets = {"pre", "post"} if at == "both" else {at}
    assert {name.rpartition("attention_")[2] for name in holding(net, Spy)} == sockets
    assert net(picture(2, 3, 40, 40)).shape == (2, 10)
    assert all(m.got is not None for m in spies), "a socket is never used"


def test_the_names_of_the_places_are_those_that_the_lessons_print():
    assert spied_on("small_host", "both")[1].names == (
        *(f"layer{n}.conv.attention_pre" for n in (1, 2, 3, 4)), *(f"layer{n}.norm.attention_post" for n in (1, 2, 3, 4)))
    assert spied_on("small_resnet", "post")[1].names == tuple(f"stages.{n}.0.norm2.attention_post" for n in range(3))


@each_host
def test_the_input_socket_is_on_the_picture_and_nowhere_else(host):
    net, _, asked = spied_on(host, "input")
    (spy,) = [m for m in net.modules() if isinstance(m, Spy)]
    x = picture(2, 3, 40, 40)
    net(x)
    assert asked == [3] and torch.equal(spy.got, x)


@each_host
def test_every_place_gets_a_module_of_its_own(host):
    net = HOSTS[host]()
    modules = plug_in(net, "se", at="both").modules(net)
    assert len(modules) == 2 * len(WIDTHS[host]) == len({id(m) for m in modules}) and all(type(m) is SE for m in modules)


def test_pre_is_before_the_convolution_and_post_between_norm_and_relu():
    net, receipt, _ = spied_on("small_host", "both")
    trained(net)
    plain = SmallHost(widths=WIDTHS["small_host"]).eval()
    plain.load_state_dict(net.state_dict())
    x = picture(2, 3, 40, 40)
    modules = receipt.modules(net)
    with torch.no_grad():
        net(x)
        for layer, pre, post in zip(plain.layers, modules[:4], modules[4:], strict=True):
            torch.testing.assert_close(pre.got, x)
            torch.testing.assert_close(post.got, layer.norm(layer.conv(x)))
            x = post.got.clamp(min=0)


@pytest.mark.parametrize("c_out, stride", [(6, 1), (8, 2)])
def test_the_residual_block_has_its_sockets_at_the_two_ends_of_the_branch(c_out, stride):
    plain = ResidualBlock(6, c_out, stride).eval()
    for norm in (plain.norm1, plain.norm2):
        nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
    net, x = nn.Sequential(copy.deepcopy(plain)), picture(2, 6, 9, 12)
    pre, post = plug_in(net, Spy, at="both", input_size=(6, 9, 12)).modules(net)
    with torch.no_grad():
        y = net(x)
        branch = plain.norm2(plain.conv2(plain.norm1(plain.conv1(x)).clamp(min=0)))
        torch.testing.assert_close(pre.got, x)
        torch.testing.assert_close(post.got, branch)
        torch.testing.assert_close(y, (plain.skip(x) + branch).clamp(min=0))


@pytest.mark.parametrize("at", ["pre", "post", "both"])
@pytest.mark.parametrize("c_out, stride", [(6, 1), (8, 1), (6, 2), (8, 2)])
def test_the_skip_is_left_alone(c_out, stride, at):
    plain = ResidualBlock(6, c_out, stride).eval()
    same = (c_out, stride) == (6, 1)
    assert isinstance(plain.skip, nn.Identity) == same
    net, x = nn.Sequential(copy.deepcopy(plain)), picture(2, 6, 9, 12)
    plug_in(net, Closed, at=at, start="as_made", input_size=(6, 9, 12))
    skip = x if same else plain.skip[1](plain.skip[0](x))
    # The convolutions have no bias, the norms have not learned: a branch that gets or gives nothing is zero.
    torch.testing.assert_close(net(x), skip.clamp(min=0))


@each_gate
def test_what_a_mechanism_returns_is_used(at):
    """A result that is thrown away leaves the network as if nothing had been plugged in."""
    net = SmallHost().eval()
    plug_in(net, Closed, at=at, start="as_made")
    assert torch.equal(net(picture(1, 3, 40, 40)), net(picture(1, 3, 40, 40, seed=1)))


@each_place
def test_height_and_width_may_differ_and_be_odd(host, at):
    net = with_attention(host, "se", at, start="as_made").eval()
    for shape in [(2, 3, 37, 50), (1, 3, 21, 9), (3, 3, 5, 33)]:
        assert net(picture(*shape)).shape == (shape[0], 10)
    x = picture(2, 3, 37, 50)
    torch.testing.assert_close(net(x)[1:], net(x[1:]))


# ---- starts

@pytest.mark.parametrize("host", [LESSONS[0], *(pytest.param(host, marks=pytest.mark.full) for host in LESSONS[1:])])
@pytest.mark.parametrize("at", ["input", "both", *(pytest.param(at, marks=pytest.mark.full) for at in ("pre", "post"))])
@pytest.mark.parametrize("name", GATES)
def test_identity_start_leaves_the_outputs_of_the_host_to_the_bit(host, at, name):
    plain = trained(HOSTS[host]())
    net = copy.deepcopy(plain)
    assert len(plug_in(net, name, at=at)) and net.state_dict().keys() >= plain.state_dict().keys()
    x = picture(4, 3, 41, 36)
    # A transformer interpolates: one only to rounding.
    same = torch.allclose if name == "stn" else torch.equal
    assert same(net(x), plain(x), **({"atol": 1e-5} if same is torch.allclose else {}))
    assert same(net.train()(x), plain.train()(x), **({"atol": 1e-4} if same is torch.allclose else {}))


@each_host
def test_the_start_reaches_the_mechanism(host):
    for start, expected in (("as_made", 0.5), ("identity", 1.0)):
        torch.manual_seed(0)
        net = HOSTS[host](widths=WIDTHS[host])
        plug_in(net, "se", at="both", start=start)
        modules = [m for m in net.modules() if isinstance(m, SE)]
        assert len(modules) == 2 * len(WIDTHS[host])
        for module in modules:
            gate = module.gate(0.1 * picture(2, module.squeeze.in_channels, 4, 4))
            assert (gate - expected).abs().max() <= 0.4 * (start == "as_made")


@each_host
def test_the_plugged_host_copies_and_its_weights_load_again(host, tmp_path):
    net = trained(with_attention(host, "se", "both"))
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    other = with_attention(host, "se", "both")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = picture(2, 3, 40, 40)
    assert torch.equal(other.eval()(x), net(x)) and torch.equal(copy.deepcopy(net)(x), net(x))
