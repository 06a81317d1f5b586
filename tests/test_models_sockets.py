"""The sockets `instead` and `head` of the hosts, and the choice of layers."""

import pytest
import torch
from torch import nn

from course_utils import study
from course_utils.attention import ECA, REGISTRY, SE, AttentionPool, BoT, DynamicConv, SplitAttention
from course_utils.models import HOSTS, AveragePool, SmallHost, SmallResNet, receptive_field

each_host = pytest.mark.parametrize("host", HOSTS)
KERNELS = sorted(n for n, c in REGISTRY.items() if c.kind == "kernel")


def picture(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@each_host
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_mechanisms_stand_instead_of_convolutions_of_the_same_shape(host, name):
    plain, net, x = HOSTS[host]().eval(), HOSTS[host](attention=name, at="instead").eval(), picture(2, 3, 37, 50)
    if host == "small_host":
        assert net.features(x).shape == plain.features(x).shape
    else:
        assert net.stages(net.stem(x)).shape == plain.stages(plain.stem(x)).shape
    assert net(x).shape == (2, 10)
    replaced = [m for m in net.modules() if type(m) is REGISTRY[name]]
    assert len(replaced) == (2 if host == "small_host" else 3)


def test_the_first_and_the_1x1_convolution_of_the_small_host_stay():
    kinds = [type(layer.conv) for layer in SmallHost(attention="split", at="instead").layers]
    assert kinds == [nn.Conv2d, SplitAttention, SplitAttention, nn.Conv2d]
    two = SmallHost(attention="split", at="instead").layers[1].conv
    assert (two.channels, two.out_channels, two.stride) == (16, 48, 2)


def test_split_attention_keeps_the_window_of_the_host():
    """What lesson 06 relies on: it chooses, it does not see further."""
    plain, x = SmallHost(), torch.zeros(1, 3, 56, 56, requires_grad=True)
    net = SmallHost(attention="split", at="instead").eval()
    for module in net.modules():      # its weights come from the whole picture: fixed here, only the window is left
        if isinstance(module, SplitAttention):
            nn.init.zeros_(module.select.weight)
    net.features(x)[0, :, 7, 7].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)) > 0
    first, last = receptive_field(plain.layers).span(7)
    assert not rows[:first].any() and not rows[last + 1:].any()


@each_host
def test_the_head_replaces_average_pooling(host):
    plain = HOSTS[host]().eval()
    net = HOSTS[host](attention="attention_pool", at="head", start="identity").eval()
    assert isinstance(plain.pool, AveragePool) and isinstance(net.pool, AttentionPool)
    net.load_state_dict(plain.state_dict(), strict=False)
    x = picture(2, 3, 37, 50)
    torch.testing.assert_close(net(x), plain(x))
    nn.init.normal_(net.pool.score.weight, std=50)
    assert (net(x) - plain(x)).abs().max() > 1e-3


def test_layers_choose_where_a_mechanism_sits():
    def filled(**options):
        net = SmallHost(**options)
        return [name for name, m in net.named_modules() if isinstance(m, ECA)]
    assert filled(attention="eca", layers=(3,)) == ["layers.2.post"]
    assert filled(attention="eca", at="both", layers=(1, 4)) == ["layers.0.pre", "layers.0.post", "layers.3.pre", "layers.3.post"]
    assert len(filled(attention="eca")) == 4
    kinds = [type(layer.conv) for layer in SmallHost(attention="split", at="instead", layers=(3,)).layers]
    assert kinds == [nn.Conv2d, nn.Conv2d, SplitAttention, nn.Conv2d]


def test_a_trial_reaches_layers_and_sockets():
    net = study.network(study.Trial("what", mechanism="eca", layers=(2,)))
    assert [name for name, m in net.named_modules() if isinstance(m, ECA)] == ["layers.1.post"]
    net = study.network(study.Trial("what", mechanism="dynamic_conv", socket="instead", options={"temperature": 2.0}))
    assert [m.temperature for m in net.modules() if isinstance(m, DynamicConv)] == [2.0, 2.0]
    plain = study.Trial("what", layers=(3,))
    assert plain.layers == () and plain == study.Trial("what"), "the plain host has no layers to choose"
    assert study.Trial("what", mechanism="eca", layers=[2]) == study.Trial("what", mechanism="eca", layers=(2,))


@pytest.mark.parametrize("call, error, message", [
    (lambda: SmallHost(attention="eca", layers=(5,)), ValueError, r"layers must name some of 1, 2, 3, 4, got \(5,\)"),
    (lambda: SmallHost(attention="eca", layers=()), ValueError, "layers must name some of"),
    (lambda: SmallHost(attention="split", at="instead", layers=(1,)), ValueError, r"possible at layers \(2, 3\), got"),
    (lambda: SmallHost(attention="eca", at="input", layers=(2,)), ValueError, r"possible at layers \(1,\)"),
    (lambda: SmallHost(attention="se", at="instead"), TypeError, "must take out_channels and stride"),
    (lambda: SmallHost(attention=SE, at="instead"), TypeError, "must take out_channels and stride"),
])
def test_a_layer_or_a_mechanism_that_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_in_a_residual_block_self_attention_may_stand_instead():
    """Its place in the paper: a convolution with as many channels out as in, and stride 1."""
    net = SmallResNet(attention=BoT, at="instead")
    assert [type(block.conv2) for stage in net.stages for block in stage] == [BoT] * 3
    assert net.eval()(picture(2, 3, 29, 33)).shape == (2, 10)
