"""The hosts: their windows are as computed, and mechanisms sit in the sockets that they are plugged into."""

import copy
import itertools

import pytest
import torch
from torch import nn

from course_utils import attention
from course_utils.attention import SE
from course_utils.digits import digits
from course_utils.models import HOSTS, ResidualBlock, SmallHost, SmallResNet, Window, receptive_field

each_host = pytest.mark.parametrize("host", HOSTS)
GATED = ("input", "pre", "post", "both")      # where a mechanism keeps the shape; test_models_sockets.py has the others
each_place = pytest.mark.parametrize("at", GATED)
# What can start as the identity in any of these places: stn only to rounding, a pool changes the shape.
QUIET = sorted(n for n, c in attention.REGISTRY.items() if "identity" in c.starts and c.kind != "pool" and n != "stn")
ends = pytest.mark.parametrize("at", ["pre", "post", "both"])      # of a branch
WIDTHS = {"small_host": (6, 8, 10, 12), "small_resnet": (6, 8, 10)}
INS = {"small_host": [3, 6, 8, 10], "small_resnet": [6, 6, 8]}


def picture(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(net, seed=0):
    """The network with parameters and running statistics away from their start, in eval mode."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=g))
        net.train()
        for _ in range(3):
            net(torch.rand(16, 3, 32, 32, generator=g))
    return net.eval()


def plugged(net, socket):
    """The modules in the sockets of that name, in order."""
    return [module for name, module in net.named_modules() if name.rpartition(".")[2] == socket]


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


# ---- windows

CHAINS = {
    "the small host": lambda: SmallHost().layers,
    "stride 3": lambda: nn.Sequential(nn.Conv2d(3, 4, 5, stride=3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3)),
    "dilation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=3, dilation=2)),
    "pooling": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, stride=2),
        nn.AvgPool2d(3, stride=2, padding=1), nn.Conv2d(4, 4, 1)),
    "even kernels": lambda: nn.Sequential(nn.Conv2d(3, 4, 4, stride=2, padding=1), nn.MaxPool2d(2, stride=1)),
    "no convolution": lambda: nn.Sequential(nn.ReLU()),
}


def measured(net, height, width, row, column):
    """First and last pixel, down and across, that one output position depends on, over many pictures."""
    net = copy.deepcopy(net).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.abs() + 0.01)       # all positive: no ReLU hides a pixel, and nothing cancels
    x = torch.rand(64, 3, height, width, generator=torch.Generator().manual_seed(0)).pow(9).requires_grad_()
    net(x)[:, :, row, column].sum().backward()
    reached = x.grad.abs().sum((0, 1)) > 0
    lines = reached.any(1).nonzero(), reached.any(0).nonzero()
    return tuple((line.min().item(), line.max().item()) for line in lines)


@pytest.mark.parametrize("chain", CHAINS)
def test_the_computed_window_is_the_measured_one(chain):
    net = CHAINS[chain]()
    window = receptive_field(net)
    height, width = 50, 41
    rows, columns = net.eval()(torch.zeros(1, 3, height, width)).shape[2:]
    for row, column in [(0, columns // 2), (rows // 2, 0), (1, 2), (rows // 2, columns // 2)]:
        spans = window.span(row), window.span(column)
        expected = tuple((max(first, 0), last) for first, last in spans)      # what is in the padding is no pixel
        assert measured(net, height, width, row, column) == expected


def test_the_window_is_the_one_that_the_host_documents():
    host = SmallHost()
    table = [(3, 2), (7, 4), (15, 4), (15, 4)]
    for depth, (size, step) in enumerate(table, 1):
        window = receptive_field(host.layers[:depth])
        assert (window.size, window.step) == (size, step)
    assert receptive_field(host) == Window(15, 4, -7) and Window(15, 4, -7).span(2) == (1, 15)


# ---- what a window cannot see, average pooling cannot tell it

def coloured_frames_and_digits():
    """No noise, the gap of `what`: 3 colours of the frame, 4 arrangements of digits. (3, 4, 3, 56, 56)"""
    x = torch.zeros(3, 4, 3, 56, 56, dtype=torch.float64)
    scans = digits("train", 12).images
    g = torch.Generator().manual_seed(0)
    for arrangement in range(4):
        corners = list(itertools.product((16, 28), repeat=2))
        del corners[arrangement]
        for channel, (row, column) in enumerate(corners):
            scan = scans[torch.randint(len(scans), (), generator=g)]
            x[:, arrangement, channel, row:row + 12, column:column + 12] = scan
    for colour in range(3):
        frame = x[colour, :, colour]
        frame[:, :3], frame[:, -3:], frame[..., :3], frame[..., -3:] = 1, 1, 1, 1
    return x


def effects_of_the_frame(net):
    """What each swap of the frame's colour adds to the logits: (2 swaps, 4 arrangements, classes)."""
    with torch.no_grad():
        logits = net.double().eval()(coloured_frames_and_digits().flatten(0, 1)).view(3, 4, -1)
    return logits[1:] - logits[:1]


def test_the_frame_says_the_same_to_the_plain_host_whatever_the_digits():
    effects = effects_of_the_frame(trained(SmallHost()))
    assert effects.abs().amax(2).min() > 1e-3, "the colour of the frame changes nothing at all"
    assert (effects - effects[:, :1]).abs().max() < 1e-9


@each_place
@pytest.mark.parametrize("name", ["se", "eca"])
def test_a_channel_gate_lets_the_frame_change_how_digits_are_read(name, at):
    net = SmallHost(attention=name, at=at)
    g = torch.Generator().manual_seed(0)
    for socket in ("pre", "post"):
        for p in (p for module in plugged(net, socket) for p in module.parameters()):
            nn.init.normal_(p, std=3, generator=g)      # gates that open and close
    effects = effects_of_the_frame(trained(net))
    assert (effects - effects[:, :1]).abs().max() > 1e-3 * effects.abs().max()


# ---- sockets

def spied_on(host, at):
    """A host with a Spy in every socket of the place, and the channels that were asked for, in order."""
    asked = []

    def attention_for(channels):
        asked.append(channels)
        return Spy(channels)
    return HOSTS[host](attention=attention_for, at=at, widths=WIDTHS[host]), asked


@each_host
@each_place
def test_every_socket_has_the_channels_of_its_place(host, at):
    net, asked = spied_on(host, at)
    outs = list(WIDTHS[host])
    expected = {"input": [3], "pre": INS[host], "post": outs, "both": INS[host] + outs}[at]
    spies = [m for m in net.modules() if isinstance(m, Spy)]
    assert sorted(asked) == sorted(m.channels for m in spies) == sorted(expected)
    for socket in ("pre", "post"):
        filled = [m.channels for m in plugged(net, socket) if isinstance(m, Spy)]
        if at in (socket, "both"):
            assert filled == (INS[host] if socket == "pre" else outs)
        assert all(type(m) in (Spy, nn.Identity) for m in plugged(net, socket))
    assert net(picture(2, 3, 40, 40)).shape == (2, 10)
    assert all(m.got is not None for m in spies), "a socket is never used"


@each_host
def test_the_input_socket_is_on_the_picture_and_nowhere_else(host):
    net, asked = spied_on(host, "input")
    (spy,) = [m for m in net.modules() if isinstance(m, Spy)]
    x = picture(2, 3, 40, 40)
    net(x)
    assert asked == [3] and torch.equal(spy.got, x)


def test_every_place_gets_a_module_of_its_own():
    net = SmallHost(attention="se", at="both")
    modules = plugged(net, "pre") + plugged(net, "post")
    assert len(modules) == 8 and len({id(m) for m in modules}) == 8
    assert all(type(m) is SE for m in modules)


def test_pre_is_before_the_convolution_and_post_between_norm_and_relu():
    net, _ = spied_on("small_host", "both")
    trained(net)
    x = picture(2, 3, 40, 40)
    with torch.no_grad():
        net(x)
        for layer in net.layers:
            torch.testing.assert_close(layer.pre.got, x)
            torch.testing.assert_close(layer.post.got, layer.norm(layer.conv(x)))
            x = layer.post.got.clamp(min=0)


def test_the_residual_block_has_its_sockets_at_the_two_ends_of_the_branch():
    for block in (ResidualBlock(6, 6, 1, Spy, "both", "paper"), ResidualBlock(6, 8, 2, Spy, "both", "paper")):
        for norm in (block.norm1, block.norm2):
            nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
        x = picture(2, 6, 9, 12)
        with torch.no_grad():
            y = block.eval()(x)
            branch = block.norm2(block.conv2(block.norm1(block.conv1(x)).clamp(min=0)))
            torch.testing.assert_close(block.pre.got, x)
            torch.testing.assert_close(block.post.got, branch)
            torch.testing.assert_close(y, (block.skip(x) + branch).clamp(min=0))


@ends
@pytest.mark.parametrize("c_out, stride", [(6, 1), (8, 1), (6, 2), (8, 2)])
def test_the_skip_is_left_alone(c_out, stride, at):
    block, x = ResidualBlock(6, c_out, stride, Closed, at, "paper").eval(), picture(2, 6, 9, 12)
    plain = (c_out, stride) == (6, 1)
    assert isinstance(block.skip, nn.Identity) == plain
    skip = x if plain else block.skip[1](block.skip[0](x))
    # The convolutions have no bias, the norms have not learned: a branch that gets or gives nothing is zero.
    torch.testing.assert_close(block(x), skip.clamp(min=0))


@each_place
def test_what_a_mechanism_returns_is_used(at):
    """A result that is thrown away leaves the network as if nothing had been plugged in."""
    net = SmallHost(attention=Closed, at=at).eval()
    assert torch.equal(net(picture(1, 3, 40, 40)), net(picture(1, 3, 40, 40, seed=1)))


@each_host
@each_place
def test_height_and_width_may_differ_and_be_odd(host, at):
    net = HOSTS[host](classes=4, attention="se", at=at).eval()
    for shape in [(2, 3, 37, 50), (1, 3, 21, 9), (3, 3, 5, 33)]:
        assert net(picture(*shape)).shape == (shape[0], 4)
    x = picture(2, 3, 37, 50)
    torch.testing.assert_close(net(x)[1:], net(x[1:]))


@each_host
@each_place
@pytest.mark.parametrize("name", QUIET)
def test_identity_start_leaves_the_outputs_of_the_host_to_the_bit(host, at, name):
    plain = trained(HOSTS[host]())
    torch.manual_seed(1)
    net = HOSTS[host](attention=name, at=at, start="identity")
    keys = net.load_state_dict(plain.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert keys.missing_keys, "nothing was plugged in"
    assert all({"pre", "post", "input"} & set(key.split(".")) for key in keys.missing_keys)
    x = picture(4, 3, 41, 36)
    # Interpolating ones, or weights that sum to one, gives one only to rounding.
    same = torch.allclose if name in ("attention_gate", "dynamic_conv") else torch.equal
    assert same(net.eval()(x), plain(x), **({"atol": 1e-5} if same is torch.allclose else {}))
    assert same(net.train()(x), plain.train()(x), **({"atol": 1e-4} if same is torch.allclose else {}))


@each_host
def test_the_start_reaches_the_mechanism(host):
    torch.manual_seed(0)
    for start, expected in (("paper", 0.5), ("identity", 1.0)):
        net = HOSTS[host](attention="se", at="both", start=start, widths=WIDTHS[host])
        modules = [m for m in net.modules() if isinstance(m, SE)]
        assert len(modules) == 2 * len(WIDTHS[host])
        for module in modules:
            gate = module.gate(0.1 * picture(2, module.squeeze.in_channels, 4, 4))
            assert (gate - expected).abs().max() <= 0.4 * (start == "paper")


@each_host
def test_the_host_copies_and_its_weights_load_again(host, tmp_path):
    net = trained(HOSTS[host](attention="se", at="both"))
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    other = HOSTS[host](attention="se", at="both")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = picture(2, 3, 40, 40)
    assert torch.equal(other.eval()(x), net(x)) and torch.equal(copy.deepcopy(net)(x), net(x))


def test_widths_blocks_and_channels_are_used():
    assert [layer.conv.out_channels for layer in SmallHost(widths=(4, 5, 6, 7)).layers] == [4, 5, 6, 7]
    net = SmallResNet(classes=3, widths=(4, 6), blocks=2, channels=1, attention="eca", at="pre")
    assert [len(stage) for stage in net.stages] == [2, 2]
    assert [block.conv1.stride[0] for stage in net.stages for block in stage] == [1, 1, 2, 1]
    assert net.eval()(picture(2, 1, 28, 28)).shape == (2, 3)


# ---- bad input

@each_host
@pytest.mark.parametrize("options, error, message", [
    ({"attention": "seb"}, ValueError, "unknown mechanism 'seb'. Did you mean 'se'\\? Known: .*se"),
    ({"attention": "se", "at": "after"}, ValueError, "sockets .*'both', 'instead', 'head', got 'after'"),
    ({"at": "inner"}, ValueError, "sockets .*'both', 'instead', 'head', got 'inner'"),
    ({"attention": "se", "start": "zero"}, ValueError, "start must be one of 'paper', 'identity', got 'zero"),
    ({"attention": SE(64)}, TypeError, r"got SE\. Each place needs a module of its own: pass SE, not SE\(64"),
    ({"attention": nn.Identity()}, TypeError, "callable channels -> module .* got Identity"),
    ({"attention": 64}, TypeError, "must be a name, or a callable channels -> module .* got int"),
    ({"attention": lambda channels: None}, TypeError, r"attention\(\d+\) must return .*Module, got NoneType"),
    ({"attention": lambda channels: SE}, TypeError, r"attention\(\d+\) must return .*Module, got type"),
], ids=lambda value: getattr(value, "__name__", None))
def test_what_cannot_be_plugged_in_is_refused_with_the_remedy(host, options, error, message):
    with pytest.raises(error, match=message):
        HOSTS[host](**options)


@pytest.mark.parametrize("call", [
    lambda: SmallHost(widths=(8, 8, 8)),
    lambda: SmallHost(widths=(8, 8, 8, 8, 8)),
    lambda: SmallHost(widths=(8, 0, 8, 8)),
    lambda: SmallResNet(widths=()),
    lambda: SmallResNet(widths=(8, 0, 8)),
    lambda: SmallResNet(blocks=0),
    lambda: SmallHost(classes=0),
    lambda: SmallResNet(classes=0),
], ids=["three widths", "five widths", "a width of 0", "no widths", "a width of 0 in the residual host",
        "no blocks", "no classes", "no classes in the residual host"])
def test_a_network_without_layers_channels_or_classes_is_refused(call):
    with pytest.raises(ValueError, match="widths|blocks|classes|out_channels"):
        call()


def test_the_message_about_widths_says_how_many_there_must_be():
    with pytest.raises(ValueError, match=r"widths must name 4 layers, got \(8, 8, 8\)"):
        SmallHost(widths=(8, 8, 8))
