"""Attention in place of a convolution: it begins with the old kernel. And the papers' networks, with one call each."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from sockets_host import host, learn, stir
from torch import nn

from course_utils import attention
from course_utils.sockets import list_sockets, plug_in, unplug

CONVOLUTIONS = {
    "plain": {"out_channels": 8}, "wider": {"out_channels": 12}, "stride": {"out_channels": 8, "stride": 2},
    "grouped": {"out_channels": 16, "groups": 4, "stride": 2}, "depthwise": {"out_channels": 8, "groups": 8},
    "without bias": {"out_channels": 8, "bias": False}, "window of 5": {"out_channels": 8, "kernel_size": 5, "padding": 2},
    "padding by name": {"out_channels": 8, "padding": "same"},
}
each_convolution = pytest.mark.parametrize("convolution", CONVOLUTIONS)
each_mixture = pytest.mark.parametrize("name", ["condconv", "dynamic_conv"])
SIZE = (3, 11, 14)      # an odd side: a step of two does not divide it


def chain(convolution: str = "plain") -> nn.Sequential:
    """The first convolution is left alone; the second is replaced."""
    torch.manual_seed(0)
    options = {"kernel_size": 3, "padding": 1} | CONVOLUTIONS[convolution]
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, **options)).eval()


def picture(n: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, *SIZE, dtype=dtype, generator=torch.Generator().manual_seed(1))


# ---- the start

@each_mixture
@each_convolution
@pytest.mark.parametrize("start", ["identity", "kernel"])
def test_a_mixture_of_kernels_begins_as_the_convolution(name, convolution, start):
    net = chain(convolution)
    expected, exact = net(picture()), net.double()(picture(dtype=torch.float64))
    net.float()
    receipt = plug_in(net, name, at="instead", start=start, input_size=SIZE)
    assert receipt.names == ("2.attention_instead",) and type(net[2].attention_instead) is attention.REGISTRY[name]
    torch.testing.assert_close(net(picture()), expected, rtol=0, atol=2e-6)
    unplug(net)
    net.double()
    plug_in(net, name, at="instead", start=start, input_size=SIZE)      # without rounding there is no difference at all
    torch.testing.assert_close(net(picture(dtype=torch.float64)), exact, rtol=0, atol=1e-13)


@each_mixture
def test_the_kernels_of_a_mixture_grow_apart(name):
    """With equal kernels the router has no gradient, and all of them stay equal for ever."""
    net = host().double()
    plug_in(net, name, at="instead", input_size=(3, 12, 14))
    modules = [block.conv2.attention_instead for block in net.blocks]

    def distances(module):
        kernels = module.kernels.detach().unflatten(0, (module.count, -1)).flatten(1)
        return torch.pdist(kernels)

    before = [distances(module) for module in modules]
    assert all((d > 0).all() for d in before)
    x = torch.randn(4, 3, 12, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    learn(net, x=x)
    for module, d in zip(modules, before, strict=True):
        assert module.router.weight.grad.abs().max() > 0 or module.router.bias.grad.abs().max() > 0
        assert (distances(module) - d).abs().max() < 1e-12, "one step: the same gradient for all"
    learn(net, x=x)
    assert all((distances(module) - d).abs().max() > 1e-12 for module, d in zip(modules, before, strict=True))


def test_the_kernel_of_the_host_is_not_shared_with_the_mixture():
    net = chain()
    kernel = net[2].weight.clone()
    plug_in(net, "condconv", at="instead", input_size=SIZE)
    stir(net[2].attention_instead)
    unplug(net)
    assert torch.equal(net[2].weight, kernel)


@pytest.mark.parametrize("convolution", ["plain", "wider", "stride", "grouped", "depthwise"])
def test_selective_kernel_gives_the_kernel_to_every_branch(convolution):
    net = chain(convolution)
    kernel, expected = net[2].weight.clone(), net(picture())
    plug_in(net, "sk", at="instead", start="kernel", input_size=SIZE)
    branches = net[2].attention_instead.branches
    assert len(branches) == 2 and all(torch.equal(branch[0].weight, kernel) for branch in branches)
    assert all(branch[0].weight.data_ptr() != kernel.data_ptr() for branch in branches)
    assert net(picture()).shape == expected.shape and not torch.allclose(net(picture()), expected)


@each_mixture
def test_start_as_made_does_not_take_the_kernel(name):
    net = chain()
    expected = net(picture())
    plug_in(net, name, at="instead", start="as_made", input_size=SIZE)
    assert not torch.allclose(net(picture()), expected, atol=1e-2)


@pytest.mark.parametrize("name, start, able", [("sk", "identity", "condconv, dynamic_conv"), ("split", "kernel", "sk, condconv"),
                                               ("bot", "identity", "condconv, dynamic_conv"), ("bot", "kernel", "sk, condconv")])
def test_a_start_that_a_mechanism_does_not_have_is_refused_with_those_that_have_it(name, start, able):
    net = chain()
    with pytest.raises(ValueError, match=f"no start='{start}'.*Those that can: {able}.*start='as_made'"):
        plug_in(net, name, at="instead", start=start, input_size=SIZE)
    assert type(net[2]) is nn.Conv2d


def test_a_convolution_under_two_names_is_replaced_under_both():
    """Catches one name, or one parent, that goes on with the old kernel."""
    net = chain()
    net.append(nn.Sequential(net[2], net[2]))
    conv, x = net[2], picture()
    y = net(x)
    assert len(plug_in(net, "condconv", at="instead", input_size=SIZE)) == 1
    assert net[2] is net[3][0] is net[3][1] is not conv
    torch.testing.assert_close(net(x), y)
    unplug(net)
    assert net[2] is net[3][0] is net[3][1] is conv


# ---- steps and biases

def test_self_attention_in_place_of_a_step_is_followed_by_the_average():
    net = chain("stride")
    bias = net[2].bias.detach().clone()
    plug_in(net, "bot", at="instead", start="as_made", input_size=SIZE)
    x = net[:2](picture())
    mixed = net[2].attention_instead(x)
    assert mixed.shape == (3, 8, 11, 14)
    whole = F.avg_pool2d(mixed[:, :, :10], 2)      # the last row has no partner: it is averaged with itself alone
    expected = torch.cat([whole, F.avg_pool2d(mixed[:, :, 10:], (1, 2))], 2) + bias.view(-1, 1, 1)
    torch.testing.assert_close(net(picture()), expected)
    assert net(picture()).shape == chain("stride")(picture()).shape


@pytest.mark.parametrize("name", ["condconv", "dynamic_conv", "sk", "split"])
def test_what_can_take_steps_takes_them_itself(name):
    net = chain("stride")
    plug_in(net, name, at="instead", start="as_made", input_size=SIZE)
    assert net[2].shrink is None and net[2].attention_instead.stride == 2
    assert net(picture()).shape == (3, 8, 6, 7)


def test_the_bias_of_the_convolution_is_kept_and_added_once():
    net = chain("stride")
    plug_in(net, "condconv", at="instead", input_size=SIZE)
    x = net[:2](picture())
    assert "2.bias" in net.state_dict() and net[2].bias.requires_grad
    torch.testing.assert_close(net(picture()) - net[2].attention_instead(x), net[2].bias.view(-1, 1, 1).expand(3, 8, 6, 7))


# ---- the papers' networks, counted; the meta device has shapes and needs no memory

@pytest.fixture
def resnet50():
    with torch.device("meta"):
        return torchvision.models.resnet50()


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


PLAIN = 25_557_032


@pytest.mark.parametrize("stages, places, total, printed", [
    (None, 16, 28_088_024, "28.1"),      # Table 10 and 13 of SENet, arXiv 1709.01507
    (1, 3, 25_582_424, "25.6"),          # the paper's stage 2 is layer1 of torchvision: stage 1, by the size of its map
    (2, 4, 25_690_280, "25.7"),
    (3, 6, 26_349_992, "26.4"),          # the paper rounds up
    (4, 3, 27_136_424, "27.1"),          # not in the paper's table
])
def test_se_resnet_50_has_the_parameters_of_the_paper(resnet50, stages, places, total, printed):
    receipt = plug_in(resnet50, "se", at="post", stages=stages)
    assert (len(receipt), count(resnet50), receipt.parameters) == (places, total, total - PLAIN)
    assert abs(total / 1e6 - float(printed)) < 0.051
    assert {place.module for place in receipt.places} <= {f"layer{s}.{i}.bn3" for s in range(1, 5) for i in range(6)}
    unplug(resnet50)
    assert count(resnet50) == PLAIN


def test_se_on_the_narrow_channels_costs_a_sixteenth(resnet50):
    """157 184 weights, and the biases; SENet's Table 15, SE after the 3x3, prints 25.8 M for the whole."""
    receipt = plug_in(resnet50, "se", at="inner")
    weights = sum(p.numel() for m in receipt.modules(resnet50) for p in m.parameters() if p.ndim > 1)
    assert (len(receipt), weights, receipt.parameters, count(resnet50)) == (16, 157_184, 161_196, 25_718_228)
    assert all(place.module.endswith("bn2") for place in receipt.places)


def test_botnet_50_has_the_parameters_of_the_paper(resnet50):
    """20.8 M: three 3x3 convolutions of 512 channels leave, three times 3 C^2 come."""
    receipt = plug_in(resnet50, "bot", at="instead", stages=4, start="as_made")
    assert receipt.names == tuple(f"layer4.{i}.conv2.attention_instead" for i in range(3))
    assert (sum(receipt.added), receipt.removed) == (9 * 512 ** 2, 27 * 512 ** 2)
    assert count(resnet50) == 20_838_440
    assert [resnet50.layer4[i].conv2.shrink is None for i in range(3)] == [False, True, True]
    assert resnet50(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 1000)


def test_a_convolution_that_does_more_than_convolve_is_not_replaced():
    """As timm's ScaledStdConv2d, which standardises its kernel: attention with the raw kernel computes another thing."""
    class Standardised(nn.Conv2d):
        def forward(self, x):
            weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) * 2
            return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Standardised(8, 8, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(8, 8, 3, padding=1)).eval()
    assert [p.module for p in list_sockets(net, 12) if p.socket == "instead"] == ["4"]
    x = torch.randn(2, 3, 12, 12)
    before = net(x)
    plug_in(net, "dynamic_conv", "instead", input_size=12)
    torch.testing.assert_close(net(x), before)
