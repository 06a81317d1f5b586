"""The hosts with a convolution or the pooling replaced, and in some of their layers only; what does not fit is refused."""

import copy

import pytest
import torch
from test_hosts import picture, trained
from test_hosts_sockets import each_host, holding, with_attention
from torch import nn

from course_utils.attention import ECA, REGISTRY, SE, AttentionPool, BoT, SplitAttention
from course_utils.hosts import HOSTS, AveragePool, SmallHost, SmallResNet, receptive_field
from course_utils.sockets import plug_in

KERNELS = sorted(n for n, c in REGISTRY.items() if c.kind == "kernel")
EXACT = [n for n in KERNELS if getattr(REGISTRY[n], "adopts", "") == "exact"]


# ---- instead of a convolution

@each_host
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_mechanisms_stand_instead_of_convolutions_of_the_same_shape(host, name):
    plain, x = HOSTS[host]().eval(), picture(2, 3, 37, 50)
    net = with_attention(host, name, "instead", start="as_made").eval()
    if host == "small_host":
        assert net.features(x).shape == plain.features(x).shape
    else:
        assert net.stages(net.stem(x)).shape == plain.stages(plain.stem(x)).shape
    assert net(x).shape == (2, 10)
    assert len([m for m in net.modules() if type(m) is REGISTRY[name]]) == (2 if host == "small_host" else 3)


@each_host
@pytest.mark.parametrize("name", EXACT)
def test_a_kernel_mechanism_can_begin_with_the_kernel_that_it_replaces(host, name):
    plain, x = trained(HOSTS[host]()), picture(2, 3, 37, 50)
    net = copy.deepcopy(plain)
    plug_in(net, name, at="instead")
    torch.testing.assert_close(net(x), plain(x), atol=1e-4, rtol=1e-4)


def test_the_first_and_the_1x1_convolution_of_the_small_host_stay():
    net = SmallHost()
    assert plug_in(net, "split", at="instead", start="as_made").names == (
        "layer2.conv.attention_instead", "layer3.conv.attention_instead")
    kinds = [any(isinstance(m, SplitAttention) for m in layer.modules()) for layer in net.layers]
    assert kinds == [False, True, True, False]
    two = next(m for m in net.layer2.modules() if isinstance(m, SplitAttention))
    assert (two.channels, two.out_channels, two.stride) == (16, 48, 2)


def test_split_attention_keeps_the_window_of_the_host():
    """What lesson 06 relies on: it chooses, it does not see further."""
    net = trained(with_attention("small_host", "split", "instead", start="as_made"))
    x = torch.rand(8, 3, 56, 56, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for module in net.modules():      # its weights come from the whole picture: fixed here, only the window is left
        if isinstance(module, SplitAttention):
            nn.init.zeros_(module.select.weight)
    net.features(x)[:, :, 7, 7].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert (rows.min().item(), rows.max().item()) == receptive_field(SmallHost()).span(7)


@pytest.mark.parametrize("maker", ["bot", BoT], ids=["by name", "by class"])
def test_in_a_residual_block_self_attention_may_stand_instead(maker):
    """Its place in the paper: a convolution with as many channels out as in, and stride 1."""
    net = SmallResNet()
    receipt = plug_in(net, maker, at="instead", start="as_made")
    assert receipt.names == tuple(f"stages.{n}.0.conv2.attention_instead" for n in range(3))
    assert [type(m) for m in receipt.modules(net)] == [BoT] * 3
    assert net.eval()(picture(2, 3, 29, 33)).shape == (2, 10)


# ---- the head

@each_host
def test_the_head_replaces_average_pooling(host):
    plain = trained(HOSTS[host]())
    net, x = copy.deepcopy(plain), picture(2, 3, 37, 50)
    (pool,) = plug_in(net, "attention_pool", at="head").modules(net)
    assert isinstance(plain.pool, AveragePool) and type(pool) is AttentionPool
    torch.testing.assert_close(net(x), plain(x))
    nn.init.normal_(pool.score.weight, std=50)
    assert (net(x) - plain(x)).abs().max() > 1e-3


# ---- which layers

def test_layers_choose_where_a_mechanism_sits():
    def filled(at="post", **options):
        return holding(with_attention("small_host", "eca", at, **options), ECA)
    assert filled(layers="layer3.*") == ["layer3.norm.attention_post"]
    assert filled("both", layers=["layer1.*", "layer4.*"]) == [
        "layer1.conv.attention_pre", "layer1.norm.attention_post", "layer4.conv.attention_pre", "layer4.norm.attention_post"]
    assert len(filled()) == 4
    assert filled(stages=1) == ["layer1.norm.attention_post"] and len(filled(stages=2)) == 3
    net = with_attention("small_host", "split", "instead", start="as_made", layers="layer3.*")
    assert holding(net, SplitAttention) == ["layer3.conv.attention_instead"]
    assert type(net.layer2.conv) is nn.Conv2d and net.layer2.conv.weight.shape == (48, 16, 3, 3)


# ---- what does not fit

@each_host
@pytest.mark.parametrize("given, at, options, error, message", [
    ("seb", "post", {}, ValueError, "unknown mechanism 'seb'. Did you mean 'se'\\? Known: .*se"),
    ("se", "after", {}, ValueError, "unknown socket 'after'. Did you mean 'after_add'\\? Known: .*both"),
    ("se", "post", {"start": "zero"}, ValueError, "start must be one of 'identity', 'as_made'.* got 'zero"),
    ("se", "post", {"start": "paper"}, ValueError, "start must be one of 'identity', 'as_made'.* got 'paper"),
    (SE(64), "post", {}, TypeError, r"got a finished SE\. Each place needs one of its own: pass the class"),
    (nn.Identity(), "post", {}, TypeError, "callable channels -> module, got a finished Identity"),
    (64, "post", {}, TypeError, "must be a name or a callable channels -> module, got 64"),
    (None, "post", {}, TypeError, "must be a name or a callable channels -> module, got None"),
    (lambda channels: None, "post", {}, TypeError, r"\(\d+\) must return .*Module, got NoneType"),
    (lambda channels: SE, "post", {}, TypeError, r"\(\d+\) must return .*Module, got type"),
    ("eca", "post", {"layers": "layer5.*"}, ValueError, r"layers='layer5\.\*' matches none of the \d places"),
    ("eca", "post", {"layers": ()}, ValueError, r"layers=\(\) leaves none of the \d places"),
    ("se", "head", {}, ValueError, "at='head' replaces the pooling.* use 'attention_pool'"),
    ("split", "post", {}, ValueError, "'split' replaces a convolution: plug it in at='instead', not at='post'"),
], ids=lambda value: getattr(value, "__name__", None))
def test_what_cannot_be_plugged_in_is_refused_with_the_remedy(host, given, at, options, error, message):
    net = HOSTS[host]()
    before = dict(net.named_modules())
    with pytest.raises(error, match=message):
        plug_in(net, given, at=at, **options)
    assert dict(net.named_modules()) == before


@pytest.mark.parametrize("given, at, options, message", [
    ("se", "inner", {}, "no socket 'inner'.* It has: input, pre, post, between, instead, head, both"),
    ("split", "instead", {"start": "as_made", "layers": "layer1.*"}, r"layers='layer1\.\*' matches none"),
    ("eca", "input", {"layers": "layer2.*"}, r"layers='layer2\.\*' matches none"),
    ("se", "instead", {"start": "as_made"}, "cannot replace layer2.conv.* it takes no out_channels"),
    (SE, "instead", {"start": "as_made"}, "cannot replace layer2.conv.* it takes no out_channels"),
], ids=["no block", "first convolution", "not the input", "no kernel, by name", "no kernel, by class"])
def test_a_place_that_the_small_host_does_not_have_is_refused(given, at, options, message):
    with pytest.raises(ValueError, match=message):
        plug_in(SmallHost(), given, at=at, **options)


def test_max_pooling_is_no_mean_and_has_no_head():
    with pytest.raises(ValueError, match="no socket 'head'"):
        plug_in(HOSTS["max_pooled"](), "attention_pool", at="head")
