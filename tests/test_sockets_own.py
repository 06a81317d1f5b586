"""Networks that nobody has seen before: written by hand, with what people write. No socket is where it does not belong."""

import copy

import pytest
import torch
import torch.nn.functional as F
from test_sockets_placement import alive, compare, nothing, strong
from torch import nn

from course_utils.sockets import list_sockets, plug_in, unplug


def conv(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride, padding=1)


def block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(channels, out, stride), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def modules(net: nn.Module, at: str, size=(3, 11, 14)) -> list[str]:
    return [p.module for p in list_sockets(net, size) if p.socket == at]


def refused(net: nn.Module, at: str) -> str:
    """The words with which a socket is refused; the network is as before."""
    before = [*net.named_modules(remove_duplicate=False)], list(net.state_dict())
    with pytest.raises(ValueError) as error:
        plug_in(net, "attention_pool" if at == "head" else "eca", at, input_size=(3, 11, 14))
    assert before == ([*net.named_modules(remove_duplicate=False)], list(net.state_dict()))
    return str(error.value)


class Shared(nn.Module):
    """One convolution under two names, and one block."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.c, self.fc = block(3, 8), conv(8, 8), block(8, 8), nn.Linear(8, 5)
        self.b, self.d = self.a, self.c

    def forward(self, x):
        x = self.b(F.relu(self.a(self.stem(x))))
        return self.fc(self.d(self.c(x)).mean((2, 3)))


class Twice(nn.Module):
    """One convolution, used twice in the forward."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.fc = conv(3, 8), conv(8, 8), nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.conv(F.relu(self.stem(x))))
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


class Written(nn.Module):
    """Two residual blocks without a module of their own: the additions are in the forward of the network."""

    def __init__(self):
        super().__init__()
        self.stem, self.fc = conv(3, 8), nn.Linear(8, 5)
        self.a1, self.a2, self.b1, self.b2 = (conv(8, 8) for _ in range(4))

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.a2(F.relu(self.a1(x))))
        x = x + self.b2(F.relu(self.b1(x)))
        return self.fc(x.mean((2, 3)))


class PreActivation(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, channels)
        self.norm2, self.conv2 = nn.BatchNorm2d(channels), conv(channels, channels)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(y)))


class NamedSkip(nn.Module):
    """The skip is a module, also where it does nothing."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.skip = conv(8, 8), conv(8, 8), nn.Identity()

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.skip(x))


def test_a_sequential_of_sequentials():
    net = alive(nn.Sequential(block(3, 8), nn.Sequential(block(8, 8, 2), block(8, 12)), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert modules(net, "pre") == ["0.0", "1.0.0", "1.1.0"] and modules(net, "post") == ["0.1", "1.0.1", "1.1.1"]
    assert modules(net, "input") == ["0.0"] and modules(net, "between") == ["0.2"] and modules(net, "head") == ["2"]
    assert list_sockets(net).missing == ("inner", "after_add", "identity", "fuse")

    def by_hand(net, x, a, b, c):
        (c0, n0, _), ((c1, n1, _), (c2, n2, _)) = net[0], net[1]
        x = F.relu(b(n1(c1(F.relu(a(n0(c0(x))))))))
        return F.relu(c(n2(c2(x)))).mean((2, 3))
    compare(net, "post", by_hand)


def test_a_module_under_two_names_is_shared_with_its_attention():
    """Decided: the attention is shared exactly as the module is. Catches one name that keeps the plain module."""
    net = alive(Shared())
    old, keys = net.a, list(net.state_dict())

    def by_hand(n, x, a, b, c):
        x = F.relu(a(n.stem[1](n.stem[0](x))))
        x = b(n.a(F.relu(b(n.a(x)))))
        x = F.relu(c(n.c[1](n.c[0](x))))
        x = F.relu(c(n.c[1](n.c[0](x))))
        return n.fc(x.mean((2, 3)))
    compare(net, "post", by_hand)
    receipt = plug_in(net, "se", "post")
    names = {f"{name}.attention_post.excite.weight" for name in ("a", "b", "c.1", "d.1")}
    assert net.a is net.b and net.c is net.d and names <= net.state_dict().keys()
    assert [p.calls for p in receipt.places] == [1, 2, 2] and "2 of them in a module that the host uses more than" in receipt.foot
    unplug(net)
    assert net.a is old is net.b and list(net.state_dict()) == keys


@pytest.mark.parametrize("at", ["pre", "post"])
def test_a_convolution_that_is_used_twice_has_one_attention_used_twice(at):
    """Decided as above; the receipt says so."""
    net = alive(Twice())

    def by_hand(n, x, a, b):
        for part, attention in ((n.stem, a), (n.conv, b), (n.conv, b)):
            x = F.relu(part(attention(x)) if at == "pre" else attention(part(x)))
        return n.fc(x.mean((2, 3)))
    compare(net, at, by_hand)
    receipt = plug_in(net, strong, at)
    assert [p.calls for p in receipt.places] == [1, 2]
    assert "1 of them in a module that the host uses more than once" in receipt.foot


def test_a_convolution_that_is_used_twice_is_not_followed_by_the_head_twice():
    """The pooling in the forward has no module of its own; after the first use the map must stay a map."""
    assert "has no socket 'head'" in refused(alive(Twice()), "head")


@pytest.mark.parametrize("at", ["pre", "inner", "post"])
def test_additions_in_the_forward_of_the_network_are_residual_blocks(at):
    net = alive(Written())

    def by_hand(n, x, a, b):
        pre, inner, post = ([a, b] if at == s else [nothing] * 2 for s in ("pre", "inner", "post"))
        x = F.relu(n.stem(x))
        x = F.relu(x + post[0](n.a2(F.relu(inner[0](n.a1(pre[0](x)))))))
        x = x + post[1](n.b2(F.relu(inner[1](n.b1(pre[1](x))))))
        return n.fc(x.mean((2, 3)))
    compare(net, at, by_hand)


@pytest.mark.parametrize("at", ["after_add", "identity", "between", "head"])
def test_a_place_without_a_module_is_refused_with_the_sockets_that_are_there(at):
    """Behind an addition in the forward of the network there is nothing that attention could join."""
    assert f"has no socket '{at}'" in (words := refused(alive(Written()), at)) and "It has: input, pre, inner, post" in words


class BentSkip(nn.Module):
    """The skip is a function of the fork: what made the fork stands before the branch as well."""

    def __init__(self):
        super().__init__()
        self.stem, self.a1, self.a2, self.fc = conv(3, 8), conv(8, 8), conv(8, 8), nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        return self.fc((F.leaky_relu(x) + self.a2(F.relu(self.a1(x)))).mean((2, 3)))


def test_what_made_the_fork_is_not_taken_for_what_made_the_skip():
    assert "has no socket 'identity'" in refused(alive(BentSkip()), "identity")


@pytest.mark.parametrize("at", ["pre", "inner", "post", "after_add", "identity"])
def test_a_pre_activation_block_has_attention_before_its_first_norm(at):
    net = alive(nn.Sequential(conv(3, 8), PreActivation(8), nn.MaxPool2d(2)))

    def by_hand(n, x, a):
        pre, inner, post, after, skip = (a if at == s else nothing for s in ("pre", "inner", "post", "after_add", "identity"))
        x, b = n[0](x), n[1]
        y = b.conv1(F.relu(b.norm1(pre(x))))
        return n[2](after(skip(x) + post(b.conv2(F.relu(inner(b.norm2(y)))))))
    compare(net, at, by_hand)


@pytest.mark.parametrize("at", ["pre", "post", "after_add", "identity"])
def test_a_skip_that_is_a_module_is_not_taken_for_the_end_of_the_block_before(at):
    """nn.Identity gives the very tensor that it reads: the result of the block before, which the branch reads as well."""
    net = alive(nn.Sequential(conv(3, 8), NamedSkip(), NamedSkip()))

    def by_hand(n, x, *attention):
        x = n[0](x)
        for b, a in zip(n[1:], attention, strict=True):
            pre, post, after, skip = (a if at == s else nothing for s in ("pre", "post", "after_add", "identity"))
            x = after(F.relu(post(b.conv2(F.relu(b.conv1(pre(x))))) + skip(x)))
        return x
    compare(net, at, by_hand)


class Pooled(nn.Module):
    """A map, pooled in one way or another."""

    def __init__(self, pool):
        super().__init__()
        self.body, self.pool, self.fc = block(3, 8), pool, nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.pool(self.body(x)))


class MaxPooling(nn.Module):
    def forward(self, x):
        return F.adaptive_max_pool2d(x, 1).flatten(1)


@pytest.mark.parametrize("pool", [
    lambda x: x.amax((2, 3)), lambda x: x.sum((2, 3)), lambda x: F.adaptive_max_pool2d(x, 1).flatten(1), MaxPooling(),
    nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()), lambda x: x.mean((2, 3)) + x.amax((2, 3)),
], ids=["amax", "sum", "max_pool", "module", "sequential", "mean and max"])
def test_a_pooling_that_is_no_mean_has_no_head(pool):
    """Attention that begins as the mean would change the outputs, and nobody would be told."""
    assert "has no socket 'head'" in refused(alive(Pooled(pool)), "head")


@pytest.mark.parametrize("pool", [
    lambda x: x.mean((2, 3)), lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), lambda x: x.mean([-1, -2], True)[..., 0, 0],
    nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
], ids=["mean", "adaptive", "keepdim", "sequential"])
def test_a_mean_has_a_head_however_it_is_written(pool):
    net, x = alive(Pooled(pool)), torch.randn(2, 3, 11, 14)
    y, plain = net(x), copy.deepcopy(net)
    receipt = plug_in(net, "attention_pool", "head", input_size=(3, 11, 14))
    torch.testing.assert_close(net(x), y)
    attention = alive(net.get_submodule(receipt.names[0]))
    torch.testing.assert_close(net(x), plain.fc(attention(plain.body(x))))
    unplug(net)
    assert torch.equal(net(x), y)
