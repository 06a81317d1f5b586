"""A forward that is set on an object, as `module.forward = module.forward_fuse`, does not hide the attention of its module."""

import copy
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from sockets_host import host, picture, stir
from torch import nn

from course_utils.sockets import list_sockets, plug_in, unplug

SIZE = (3, 12, 14)


def doubled(self, x):
    """As ultralytics' forward_fuse: it goes its own way, and knows nothing of attention."""
    return 2 * F.conv2d(x, self.weight, self.bias, padding=1)


OWN = {
    "method": lambda conv: types.MethodType(doubled, conv),
    "lambda": lambda conv: lambda x, weight=conv.weight, bias=conv.bias: 2 * F.conv2d(x, weight, bias, padding=1),
    "the class's": lambda conv: lambda x: 2 * type(conv).forward(conv, x),
    "wrapper": lambda conv: lambda x, old=conv.forward: 2 * old(x),
}


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)).eval()


@pytest.mark.parametrize("first", ["forward", "attention"])
@pytest.mark.parametrize("own", OWN)
def test_a_forward_of_the_objects_own_does_not_hide_the_attention(own, first):
    """Set before plugging in or after, it is what attention runs around, once."""
    net, x = plain(), picture()
    if first == "forward":
        net[2].forward = OWN[own](net[2])
    receipt = plug_in(net, "se", "both", start="as_made", layers="2", input_size=SIZE)
    if first == "attention":
        net[2].forward = OWN[own](net[2])
    assert len(receipt) == 2
    pre, post = stir(net[2].attention_pre), stir(net[2].attention_post)
    expected = post(2 * F.conv2d(pre(net[1](net[0](x))), net[2].weight, net[2].bias, padding=1))
    torch.testing.assert_close(net(x), expected)
    torch.testing.assert_close(copy.deepcopy(net)(x), expected)
    unplug(net)
    assert "forward" in vars(net[2]) and type(net[2]) is nn.Conv2d
    bare = plain()(x)
    if (own, first) != ("wrapper", "attention"):      # what it wraps is the forward of a class that is gone
        torch.testing.assert_close(net(x), 2 * bare)
    del net[2].forward
    assert torch.equal(net(x), bare)


def test_a_forward_of_the_objects_own_can_be_taken_away_while_it_is_plugged():
    net, x = plain(), picture()
    plug_in(net, "se", "post", start="as_made", layers="2", input_size=SIZE)
    y = net(x)
    net[2].forward = OWN["method"](net[2])
    assert not torch.equal(net(x), y)
    del net[2].forward
    assert torch.equal(net(x), y)
    unplug(net)
    assert torch.equal(net(x), plain()(x))


def test_a_forward_that_fails_is_forgotten_as_one_that_runs():
    """Otherwise the module is taken to be in the middle of its own forward for ever, and loses its attention."""
    net, x, wrong = plain(), picture(), []

    def own(self, x):
        if wrong:
            raise RuntimeError("once")
        return doubled(self, x)
    net[2].forward = types.MethodType(own, net[2])
    plug_in(net, "se", "post", start="as_made", layers="2", input_size=SIZE)
    y = net(x)
    wrong.append(True)
    with pytest.raises(RuntimeError, match="once"):
        net(x)
    wrong.clear()
    assert torch.equal(net(x), y)


def test_two_threads_in_one_forward_both_have_the_attention():
    """Catches one note for all threads of whose own forward is running: the second would pass for a call back."""
    net, x, meet = plain(), picture(), threading.Barrier(2)
    plug_in(net, "se", "post", start="as_made", layers="2", input_size=SIZE)
    net[2].forward = lambda x: doubled(net[2], x)
    expected = net(x)

    def own(x):
        meet.wait(timeout=20)
        y = doubled(net[2], x)
        meet.wait(timeout=20)
        return y
    net[2].forward = own
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(net, [x, x])
    assert torch.equal(one, expected) and torch.equal(two, expected)


def test_a_skip_in_a_forward_that_is_not_the_class_s_is_no_place():
    """torch.fx reads the class; attention that it would put there would never run."""
    net = host()

    def own(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + x)
    net.blocks[0].forward = types.MethodType(own, net.blocks[0])
    places = [p.module for p in list_sockets(net, SIZE) if p.socket == "identity"]
    assert places == ["blocks.1.shortcut.1", "blocks.2"]
    assert {p.module for p in list_sockets(net, SIZE) if p.socket == "after_add"} >= {"blocks.0"}


def test_compiled_code_has_the_attention_around_a_forward_of_the_objects_own():
    torch.compiler.reset()
    net, x = plain(), picture()
    plug_in(net, "se", "post", start="as_made", layers="2", input_size=SIZE)
    net[2].forward = OWN["method"](net[2])
    expected = net[2].attention_post(doubled(net[2], net[1](net[0](x))))
    torch.testing.assert_close(torch.compile(net, backend="eager", fullgraph=True)(x), expected)
    torch.compiler.reset()
