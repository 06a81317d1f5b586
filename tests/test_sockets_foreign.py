"""Modules that are not ours, timm's, torchvision's and a learner's own: how they start once they are plugged in."""

import pytest
import torch
from sockets_host import outputs, picture, small
from timm.layers import EcaModule, SEModule
from timm.layers.cbam import CbamModule
from torch import nn
from torchvision.ops import SqueezeExcitation

from course_utils import attention
from course_utils.sockets import Eased, plug_in, unplug

SIZE = (3, 12, 14)
PLAIN = outputs(small(), picture(4))


class Scale(nn.Module):
    """Starts as the identity by itself."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.weight


def squeeze_excitation(channels):
    return SqueezeExcitation(channels, channels // 4 or 1)


def mix(channels):
    return nn.Conv2d(channels, channels, 1)


def own_se(channels):
    return attention.build("se", channels, start="identity")


@pytest.mark.parametrize("theirs", [SEModule, EcaModule, CbamModule, squeeze_excitation, mix])
@pytest.mark.parametrize("at", ["pre", "post", "identity"])
def test_a_foreign_module_is_joined_by_a_weight_that_is_zero(theirs, at):
    net = small()
    receipt = plug_in(net, theirs, at=at, input_size=SIZE)
    assert all(type(module) is Eased for module in receipt.modules(net))
    assert all(map(torch.equal, outputs(net, picture(4)), PLAIN))
    assert receipt.attention == theirs.__name__
    for module in receipt.modules(net):
        nn.init.ones_(module.weight)
    by_itself = small()
    plug_in(by_itself, theirs, at=at, start="as_made", input_size=SIZE)
    weights = {key.replace(".module.", "."): value for key, value in net.state_dict().items()}
    by_itself.load_state_dict({key: weights[key] for key in by_itself.state_dict()})
    torch.testing.assert_close(net(picture()), by_itself(picture()))      # with a weight of one it is theirs


@pytest.mark.parametrize("own", [Scale, own_se, nn.Identity])
def test_a_module_with_an_identity_start_of_its_own_is_not_wrapped(own):
    net = small()
    receipt = plug_in(net, own, at="post", input_size=SIZE)
    assert {type(module) for module in receipt.modules(net)} == {type(own(8))}
    assert all(map(torch.equal, outputs(net, picture(4)), PLAIN))


def test_a_module_that_is_nearly_the_identity_is_wrapped():
    def nearly(channels):
        module = Scale(channels)
        nn.init.constant_(module.weight, 1.00001)
        return module

    net = small()
    plug_in(net, nearly, at="post", input_size=SIZE)
    assert torch.equal(net(picture(4)), PLAIN[0])


def test_a_head_of_ones_own_must_be_asked_for_with_the_start_as_made():
    def largest(channels):
        return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())

    def mean(channels):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    net = small()
    with pytest.raises(ValueError, match="does not begin as the plain mean"):
        plug_in(net, largest, at="head", input_size=SIZE)
    plug_in(net, mean, at="head", input_size=SIZE)
    torch.testing.assert_close(net(picture(4)), PLAIN[0])
    unplug(net)
    plug_in(net, largest, at="head", start="as_made", input_size=SIZE)
    assert not torch.allclose(net(picture(4)), PLAIN[0])


@pytest.mark.parametrize("maker", ["se", SEModule, squeeze_excitation], ids=["se", "timm", "torchvision"])
def test_start_as_made_takes_the_module_as_it_is_made(maker):
    """Against the same module put behind the norm by hand."""
    net, by_hand = small(), small()
    torch.manual_seed(7)
    receipt = plug_in(net, maker, at="post", layers="blocks.0", start="as_made", input_size=SIZE)
    torch.manual_seed(7)
    module = attention.build("se", 8) if maker == "se" else maker(8)
    by_hand.blocks[0].bn2 = nn.Sequential(by_hand.blocks[0].bn2, module.eval())
    assert type(receipt.modules(net)[0]) is type(module)
    assert torch.equal(net(picture()), by_hand(picture())) and not torch.allclose(net(picture()), small()(picture()))
