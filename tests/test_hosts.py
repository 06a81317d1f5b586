"""The hosts: their windows are as computed, their sizes as asked for, and they know nothing of attention."""

import copy
import inspect
import itertools

import pytest
import torch
from torch import nn

from course_utils import attention
from course_utils.hosts import HOSTS, SmallHost, SmallResNet, Window, ZoomHost, receptive_field
from course_utils.sockets import plug_in
from course_utils.tasks import digits


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


# ---- windows

CHAINS = {
    "the small host": lambda: nn.Sequential(*SmallHost().layers),
    "stride 3": lambda: nn.Sequential(nn.Conv2d(3, 4, 5, stride=3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3)),
    "dilation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=3, dilation=2)),
    "pooling": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, stride=2),
        nn.AvgPool2d(3, stride=2, padding=1), nn.Conv2d(4, 4, 1)),
    "even kernels": lambda: nn.Sequential(nn.Conv2d(3, 4, 4, stride=2, padding=1), nn.MaxPool2d(2, stride=1)),
    "padding by its name": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 5, padding="same"), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding="same", dilation=2),
        nn.Conv2d(4, 4, 3, padding="valid")),
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
        window = receptive_field(nn.Sequential(*host.layers[:depth]))
        assert (window.size, window.step) == (size, step)
    assert receptive_field(host) == Window(15, 4, -7) and Window(15, 4, -7).span(2) == (1, 15)


def test_layers_are_the_four_by_name_and_in_order():
    host = SmallHost()
    assert [name for name, _ in host.named_children()] == ["layer1", "layer2", "layer3", "layer4", "pool", "norm", "classify"]
    assert all(a is b for a, b in zip(host.layers, [host.layer1, host.layer2, host.layer3, host.layer4], strict=True))
    x = picture(2, 3, 33, 40)
    features = host.eval().features(x)
    for layer in host.layers:
        x = layer(x)
    assert torch.equal(features, x)


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


@pytest.mark.parametrize("at", ["input", "pre", "post", "both"])
@pytest.mark.parametrize("name", ["se", "eca"])
def test_a_channel_gate_lets_the_frame_change_how_digits_are_read(name, at):
    net = SmallHost()
    receipt = plug_in(net, name, at=at, start="as_made")
    g = torch.Generator().manual_seed(0)
    for p in (p for module in receipt.modules(net) for p in module.parameters()):
        nn.init.normal_(p, std=3, generator=g)      # gates that open and close
    effects = effects_of_the_frame(trained(net))
    assert (effects - effects[:, :1]).abs().max() > 1e-3 * effects.abs().max()


# ---- sizes, and nothing but sizes

def test_widths_blocks_and_channels_are_used():
    assert [layer.conv.out_channels for layer in SmallHost(widths=(4, 5, 6, 7)).layers] == [4, 5, 6, 7]
    net = SmallResNet(classes=3, widths=(4, 6), blocks=2, channels=1)
    assert [len(stage) for stage in net.stages] == [2, 2]
    assert [block.conv1.stride[0] for stage in net.stages for block in stage] == [1, 1, 2, 1]
    assert net.eval()(picture(2, 1, 28, 28)).shape == (2, 3)


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_is_plain_and_takes_classes(name):
    net = HOSTS[name](3).eval()
    ours = {type(m).__name__ for m in net.modules() if type(m).__module__.startswith("course_utils.")}
    assert not any(type(m).__module__.startswith(attention.__name__) for m in net.modules()), ours
    for shape in [(2, 3, 37, 50), (1, 3, 21, 9), (3, 3, 16, 33)]:
        assert net(picture(*shape)).shape == (shape[0], 3)
    x = picture(2, 3, 37, 50)
    torch.testing.assert_close(net(x)[1:], net(x[1:]))


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("given", ["se", attention.SE, None, True, 2.0], ids=str)
def test_attention_in_the_constructor_is_refused_with_the_way_to_plug_it_in(name, given):
    with pytest.raises(TypeError, match=r'classes must be an integer, got .*no attention.*plug_in\(net, "se", at="post"\)'):
        HOSTS[name](given)


def test_no_host_has_an_argument_for_attention():
    allowed = {"self", "classes", "widths", "blocks", "channels", "factor", "divide", "groups", "dilation"}
    for name, host in HOSTS.items():
        assert set(inspect.signature(host).parameters) <= allowed, name
    assert set(inspect.signature(ZoomHost).parameters) == {"classes", "select", "every", "hidden"}


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
    with pytest.raises(ValueError, match="widths|blocks|classes"):
        call()


def test_the_message_about_widths_says_how_many_there_must_be():
    with pytest.raises(ValueError, match=r"widths must name 4 layers, got \(8, 8, 8\)"):
        SmallHost(widths=(8, 8, 8))


@pytest.mark.parametrize("name, mixes", [("apart_host", False), ("shuffled_host", True), ("mixed_host", True)])
def test_which_hosts_let_one_colour_into_the_channels_of_another(name, mixes):
    """The study of depth rests on it: what the first group of the last map depends on."""
    torch.manual_seed(0)
    host, x = HOSTS[name](10).eval(), torch.rand(1, 3, 56, 56, requires_grad=True)
    host.features(x)[0, :22].sum().backward()
    red, green, blue = x.grad[0].abs().sum((1, 2))
    assert red > 0 and bool(green > 0) == bool(blue > 0) == mixes


def test_the_shuffled_host_has_the_weights_of_the_apart_host():
    apart, shuffled = (HOSTS[name](10).state_dict() for name in ("apart_host", "shuffled_host"))
    assert {key: value.shape for key, value in apart.items()} == {key: value.shape for key, value in shuffled.items()}
    with pytest.raises(ValueError, match="groups must divide 3 and all widths, got groups=3 and widths \\(16, 48, 64, 64\\)"):
        SmallHost(groups=3)
