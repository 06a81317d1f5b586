"""Networks and pictures of unusual kinds: what has no size, no name, no float32 or no evaluation mode of the usual sort."""

import pytest
import torch
import torch.nn.functional as F
from test_sockets_own import block, conv
from test_sockets_placement import alive, compare, strong
from torch import nn

from course_utils.sockets import list_sockets, plug_in, unplug

SOCKETS = {"input": "eca", "pre": "eca", "post": "eca", "both": "eca", "head": "attention_pool", "instead": "dynamic_conv"}


def keeps_outputs(net: nn.Module, x: torch.Tensor, at: str, **options) -> int:
    """Plug in and unplug; the outputs stay, and those with other weights do not. Returns the number of places."""
    with torch.no_grad():
        y = net(x)
        receipt = plug_in(net, SOCKETS[at], at, **options)
        torch.testing.assert_close(net(x), y, rtol=0, atol=1e-6 * y.abs().max().item() if at in ("head", "instead") else 0)
        for name in receipt.names:
            for parameter in net.get_submodule(name).parameters():
                parameter.normal_()
        assert not torch.equal(net(x), y)
        unplug(net)
        assert torch.equal(net(x), y)
    return len(receipt)


class Hidden(nn.Module):
    """Convolutions in a plain list: torch does not know them, unless somebody registers them as well."""

    def __init__(self, registered: bool):
        super().__init__()
        self.stem, self.fc, self.hidden = conv(3, 8), nn.Linear(8, 5), [conv(8, 8), conv(8, 8)]
        if registered:
            for i, module in enumerate(self.hidden):
                self.add_module(f"hidden{i}", module)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for module in self.hidden:
            x = F.relu(module(x))
        return self.fc(x.mean((2, 3)))


def test_modules_in_a_plain_list_are_not_listed():
    """They have no name that a receipt could give, and torch would neither store nor train what is plugged in there."""
    net = alive(Hidden(registered=False))
    assert {p.module for p in list_sockets(net)} == {"stem"}
    assert keeps_outputs(net, torch.randn(2, 3, 11, 14), "post") == 1


def test_a_convolution_that_is_called_from_a_plain_list_gets_its_attention():
    """The list holds the very module that has a name. Catches a twin under the name, which the forward goes past."""
    net = alive(Hidden(registered=True))

    def by_hand(n, x, a, b, c):
        x = F.relu(a(n.stem(x)))
        x = F.relu(c(n.hidden1(F.relu(b(n.hidden0(x))))))
        return n.fc(x.mean((2, 3)))
    compare(net, "post", by_hand)
    assert keeps_outputs(net, torch.randn(2, 3, 11, 14), "both") == 6
    assert net.hidden == [net.hidden0, net.hidden1]


def test_what_would_be_replaced_past_a_plain_list_is_refused_and_the_remedy_is_named():
    """The name gets another module, and the list goes on with the old one: attention would be trained by nobody."""
    net = alive(Hidden(registered=True))
    before = list(net.named_modules())
    with pytest.raises(ValueError, match="hidden0.attention_instead would never be used: .* nn.ModuleList"):
        plug_in(net, "dynamic_conv", "instead")
    assert before == list(net.named_modules())
    assert keeps_outputs(net, torch.randn(2, 3, 11, 14), "post", layers="stem") == 1


class SharedBeforeTheNorm(nn.Module):
    """What the convolution gives is read by its norm and by somebody else."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.conv(x)
        return torch.cat([self.norm(x), x], 1)


def test_a_norm_that_is_not_the_only_reader_is_no_part_of_the_convolution():
    def by_hand(n, x, a):
        x = a(n[0].conv(x))
        return torch.cat([n[0].norm(x), x], 1)
    compare(alive(nn.Sequential(SharedBeforeTheNorm())), "post", by_hand)


def test_height_and_width_are_not_swapped():
    net = alive(nn.Sequential(block(3, 8), block(8, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    places = list_sockets(net, (20, 36))
    assert places.input_size == (3, 20, 36)
    assert [p.size for p in places if p.socket == "post"] == [(20, 36), (10, 18)]
    assert keeps_outputs(net, torch.randn(2, 3, 20, 36), "both", input_size=(3, 20, 36)) == 4


def test_a_module_that_needs_its_height_and_width_gets_a_map_of_that_size():
    """Catches a check on a square map, which would refuse what fits."""
    class Fixed(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(channels, 10, 18))

        def forward(self, x):
            return x * self.weight
    net = alive(nn.Sequential(block(3, 8), block(8, 8, 2)))
    assert len(plug_in(net, Fixed, "post", stages=2, input_size=(20, 36))) == 1
    with pytest.raises(ValueError, match="does not run at 'post' of 0.0 .a map of 8 channels, 20x36"):
        plug_in(net, Fixed, "post", stages=1, input_size=(20, 36))


class Digits(nn.Sequential):
    """Grey pictures of 28x28 and of no other size: the last layer counts the positions."""

    def __init__(self):
        super().__init__(conv(1, 8, 2), nn.ReLU(), conv(8, 8, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, 10))


@pytest.mark.parametrize("at", ["input", "pre", "post", "both", "instead"])
def test_a_small_grey_network_of_one_size_needs_no_size_named(at):
    assert list_sockets(Digits()).input_size == (1, 28, 28)
    assert keeps_outputs(alive(Digits()), torch.randn(2, 1, 28, 28), at) == {"input": 1, "both": 4, "instead": 1}.get(at, 2)


def test_a_size_that_the_network_cannot_take_is_refused_with_its_own_words():
    with pytest.raises(ValueError, match=r"could not be run .*on one picture of 1x32x32.*RuntimeError: .*input_size="):
        plug_in(Digits(), "eca", "post", input_size=32)


class ByValue(nn.Module):
    """Which path the picture takes depends on its numbers."""

    def __init__(self):
        super().__init__()
        self.stem, self.dark, self.bright, self.fc = block(3, 8), block(8, 8), block(8, 8), nn.Linear(8, 5)

    def forward(self, x):
        path = self.bright if x.mean().item() > 0.5 else self.dark
        return self.fc(path(self.stem(x)).mean((2, 3)))


@pytest.mark.parametrize("at", SOCKETS)
def test_a_forward_that_looks_at_the_numbers_is_tried_with_numbers(at):
    """Without weights there are none. The picture that is tried is black, so it is the dark path that is found."""
    net = alive(ByValue())
    state = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    assert {p.module for p in list_sockets(net) if p.socket == "post"} == {"stem.1", "dark.1"}
    assert keeps_outputs(net, torch.randn(2, 3, 11, 14), at) == {"pre": 2, "post": 2, "both": 4}.get(at, 1)
    assert all(torch.equal(tensor, state[key]) for key, tensor in net.state_dict().items())


@pytest.mark.parametrize("at", SOCKETS)
def test_a_network_in_double_precision_stays_in_double_precision(at):
    net = alive(nn.Sequential(block(3, 8), block(8, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())).double()
    receipt = plug_in(net, SOCKETS[at], at)
    assert {p.dtype for p in net.parameters()} == {torch.float64} and receipt.added
    unplug(net)
    x = torch.randn(2, 3, 11, 14, dtype=torch.float64)
    y = net(x)
    plug_in(net, SOCKETS[at], at)
    assert net(x).dtype == torch.float64
    torch.testing.assert_close(net(x), y, rtol=0, atol=1e-14)


def in_training() -> nn.Module:
    net = nn.Sequential(block(3, 8), nn.Dropout(0.5), block(8, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = alive(net).train()
    net[2][1].eval()      # a norm that somebody has frozen
    return net


def witnesses(net: nn.Module) -> list:
    """What looking at a network may not change: its modes, how often its tensors were written, the random numbers around."""
    return [[m.training for m in net.modules()], [(key, t._version, t.data_ptr()) for key, t in net.state_dict().items()],
            torch.random.get_rng_state().tolist(), list(net.named_modules())]


def test_a_network_in_training_stays_so_and_its_statistics_are_not_touched():
    net = in_training()
    before = witnesses(net)
    list_sockets(net)
    assert witnesses(net) == before
    receipt = plug_in(net, strong, "post")
    assert [net.get_submodule(name).training for name in receipt.names] == [True, False], "as the norm that it joined"
    unplug(net)
    after = witnesses(net)
    assert after[:2] == before[:2] and after[3] == before[3]


@pytest.mark.parametrize("broken", ["made", "shape", "run"])
def test_a_failure_at_the_second_place_leaves_no_trace(broken):
    """Not in the modules, the modes, the statistics or the random numbers that come next."""
    net, made = in_training(), []

    def maker(channels):
        made.append(channels)
        torch.rand(3)
        if len(made) == 1:
            return strong(channels)
        if broken == "made":
            raise RuntimeError("no memory left")
        return nn.Conv2d(channels, channels, 3) if broken == "shape" else nn.Linear(channels + 1, 2)
    before = witnesses(net)
    with pytest.raises((RuntimeError, ValueError)):
        plug_in(net, maker, "post")
    assert len(made) == 2 and witnesses(net) == before


def test_an_identity_of_somebody_is_left_alone():
    """A callable that gives nn.Identity is the plainest module that fits everywhere; it has nothing to store."""
    net = alive(nn.Sequential(block(3, 8), block(8, 8)))
    keys, x = list(net.state_dict()), torch.randn(2, 3, 11, 14)
    y = net(x)
    receipt = plug_in(net, lambda channels: nn.Identity(), "both")
    assert sum(receipt.added) == 0 and list(net.state_dict()) == keys and torch.equal(net(x), y)


class NamesOfItsOwn(nn.Module):
    """A block whose attributes and methods have the plainest names."""

    def __init__(self):
        super().__init__()
        self._body, self._after, self._original, self.plugged = conv(8, 8), 2.0, "mine", ("yes",)

    def arrange(self, x):
        return x * self._after * len(self.plugged)

    def forward(self, x):
        return x + self.arrange(self._body(x))


@pytest.mark.parametrize("at", ["after_add", "identity"])
def test_a_host_keeps_its_own_names_while_it_is_plugged(at):
    """Catches surgery that overwrites an attribute, or shadows a method, of the module that it joins."""
    torch.manual_seed(0)
    net = nn.Sequential(conv(3, 8), NamesOfItsOwn(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()
    x, before = torch.randn(2, 3, 12, 12), dict(vars(net[1]))
    y = net(x)
    plug_in(net, "se", at, input_size=12)
    assert torch.equal(net(x), y) and net[1]._original == "mine" and net[1].plugged == ("yes",)
    unplug(net)
    assert torch.equal(net(x), y) and vars(net[1]) == before
