"""Attention is where its socket says: each block is computed a second time by hand, with the same attention in its place.

A wrong place is the mistake that no test of shapes or of the identity start can see. So the attention here is SE with random
weights, far from the identity: one norm, one ReLU or one path further, and the numbers are others.
"""

import copy
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.convnext import CNBlock
from torchvision.models.mobilenetv2 import InvertedResidual, MobileNetV2
from torchvision.models.regnet import ResBottleneckBlock
from torchvision.models.resnet import BasicBlock, Bottleneck

from course_utils.attention import SE
from course_utils.sockets import SOCKETS, plug_in, unplug


def test_every_socket_is_recomputed_here():
    """Catches a new socket whose place only tests of shapes and of the identity start have seen."""
    assert set(SOCKETS) <= set(re.findall(r'"(\w+)"', Path(__file__).read_text(encoding="utf-8")))


def alive(net: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics at random, and no branch so quiet that its attention would not be heard."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=g))
            elif tensor.is_floating_point():
                fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 1
                tensor.copy_(torch.randn(tensor.shape, generator=g) * (2 / fan_in) ** 0.5)
    return net.eval()


def strong(channels: int) -> SE:
    return alive(SE(channels, reduction=2), seed=channels)


def nothing(x):
    return x


def conv_norm(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def basic(b, x, pre=nothing, inner=nothing, post=nothing, identity=nothing, after_add=nothing):
    y = F.relu(inner(b.bn1(b.conv1(pre(x)))))
    y = post(b.bn2(b.conv2(y)))
    skip = identity(x if b.downsample is None else b.downsample(x))
    return after_add(F.relu(y + skip))


def bottleneck(b, x, pre=nothing, inner=nothing, post=nothing, identity=nothing, after_add=nothing):
    y = F.relu(b.bn1(b.conv1(pre(x))))
    y = F.relu(inner(b.bn2(b.conv2(y))))
    y = post(b.bn3(b.conv3(y)))
    skip = identity(x if b.downsample is None else b.downsample(x))
    return after_add(F.relu(y + skip))


def inverted(b, x, pre=nothing, inner=nothing, post=nothing, identity=nothing, after_add=nothing):
    (wide, wide_norm, _), (deep, deep_norm, _), narrow, norm = b.conv
    y = F.relu6(wide_norm(wide(pre(x))))
    y = F.relu6(inner(deep_norm(deep(y))))
    return after_add(identity(x) + post(norm(narrow(y))))


def convnext(b, x, pre=nothing, inner=nothing, post=nothing, identity=nothing, after_add=nothing):
    deep, _, norm, wide, _, narrow, _ = b.block
    y = norm(inner(deep(pre(x))).permute(0, 2, 3, 1))
    y = narrow(F.gelu(wide(y))).permute(0, 3, 1, 2)
    return after_add(identity(x) + post(b.layer_scale * y))


BLOCKS = {
    "basic": (BasicBlock(16, 16), basic),
    "basic with a projection": (BasicBlock(16, 12, 2, conv_norm(16, 12, 2)), basic),
    "bottleneck": (Bottleneck(16, 4), bottleneck),
    "bottleneck with a projection": (Bottleneck(16, 5, 2, conv_norm(16, 20, 2)), bottleneck),
    "bottleneck of groups": (Bottleneck(16, 4, groups=2, base_width=64), bottleneck),
    "inverted": (InvertedResidual(16, 16, 1, 3), inverted),
    "convnext": (CNBlock(16, 1.0, 0.5), convnext),
}


def compare(net: nn.Module, at: str, by_hand, **options) -> None:
    """Plug SE into one socket; the outputs are those by hand, not those of the plain network, and those again in the end."""
    x, plain = torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(1)), copy.deepcopy(net)
    with torch.no_grad():
        receipt = plug_in(net, strong, at, start="as_made", input_size=(3, 11, 14), **options)
        plugged, before = net(x), plain(x)
        expected = by_hand(plain, x, *(net.get_submodule(name) for name in receipt.names))
        torch.testing.assert_close(plugged, expected, rtol=1e-5, atol=1e-5)
        assert (plugged - before).abs().max() > 1e-2 * before.abs().max(), "this attention would be right anywhere"
        assert plugged.std() > 0.1 * before.std(), "a ReLU behind it has hidden nearly everything"
        unplug(net)
        assert torch.equal(net(x), before)


@pytest.mark.parametrize("at", ["pre", "inner", "post", "identity", "after_add"])
@pytest.mark.parametrize("name", BLOCKS)
def test_attention_is_before_or_behind_the_right_step_of_a_block(name, at):
    """Catches: outside the branch, on the skip, before a norm, behind a ReLU, after the wrong convolution."""
    block, forward = copy.deepcopy(BLOCKS[name])
    net = alive(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), block, nn.AvgPool2d(2)))
    compare(net, at, lambda plain, x, a: plain[2](forward(plain[1], plain[0](x), **{at: a})))


@pytest.mark.parametrize("name", BLOCKS)
def test_fuse_takes_the_place_of_the_sum_and_gets_branch_and_skip(name):
    """Catches the two exchanged: the second is three times too small."""
    class Weighed(nn.Module):
        def __init__(self, a, b):
            super().__init__()

        def forward(self, a, b):
            return a + 0.3 * b
    block, forward = copy.deepcopy(BLOCKS[name])
    net = alive(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), block))
    x = torch.randn(2, 3, 11, 14)
    with torch.no_grad():
        expected = forward(net[1], net[0](x), identity=lambda skip: 0.3 * skip)
        plug_in(net, Weighed, "fuse", start="as_made", input_size=(3, 11, 14))
        torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("name", BLOCKS)
def test_both_is_one_before_and_one_behind_in_every_block(name):
    block, forward = copy.deepcopy(BLOCKS[name])
    net = alive(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), block))
    compare(net, "both", lambda plain, x, a, b: forward(plain[1], plain[0](x), pre=a, post=b))


@pytest.mark.parametrize("at", ["inner", "post"])
def test_a_block_with_a_gate_of_its_own_keeps_the_order(at):
    """RegNet has SE behind the 3x3 and its ReLU: inner comes before that ReLU, post after everything."""
    block = ResBottleneckBlock(8, 8, 1, nn.BatchNorm2d, nn.ReLU, group_width=4, se_ratio=0.25)
    net = alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), block))

    def by_hand(plain, x, a):
        inner, post = (a, nothing) if at == "inner" else (nothing, a)
        x = plain[0](x)
        f = plain[1].f
        y = F.relu(inner(f.b[1](f.b[0](f.a(x)))))
        return F.relu(x + post(f.c(f.se(y))))
    compare(net, at, by_hand)


def chain() -> nn.Sequential:
    """Convolutions with norms, in two sizes; the last one without."""
    return alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2),
                               nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)))


CHAIN = {
    "pre": lambda n, x, a, b, c: n[6](c(F.relu(n[4](n[3](b(F.relu(n[1](n[0](a(x)))))))))),
    "post": lambda n, x, a, b, c: c(n[6](F.relu(b(n[4](n[3](F.relu(a(n[1](n[0](x))))))))))
}


@pytest.mark.parametrize("at", CHAIN)
def test_a_convolution_has_attention_before_it_or_behind_its_norm(at):
    """Behind the convolution and before the norm, the norm would take half of it away again."""
    compare(chain(), at, CHAIN[at])


def test_single_convolutions_of_a_residual_block_on_request():
    net = alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), BasicBlock(8, 8)))

    def by_hand(n, x, a, b, c):
        x = a(n[0](x))
        y = F.relu(b(n[1].bn1(n[1].conv1(x))))
        return F.relu(c(n[1].bn2(n[1].conv2(y))) + x)
    compare(net, "post", by_hand, unit="conv")


class ThreeWindows(nn.Module):
    """Two convolutions with a window before the last, of other widths."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((8, 6), (6, 4), (4, 8)))

    def forward(self, x):
        return x + self.c(F.relu(self.b(F.relu(self.a(x)))))


def test_inner_is_behind_the_last_window_before_the_end_of_the_branch():
    net = alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), ThreeWindows()))

    def by_hand(n, x, a):
        x, b = n[0](x), n[1]
        return x + b.c(F.relu(a(b.b(F.relu(b.a(x))))))
    compare(net, "inner", by_hand)


def test_input_is_the_picture_itself():
    compare(chain(), "input", lambda n, x, a: n(a(x)))


def test_between_stages_is_behind_the_last_block_and_its_relu():
    net = alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), BasicBlock(8, 8), BasicBlock(8, 8, 2, conv_norm(8, 8, 2))))
    compare(net, "between", lambda n, x, a: n[2](a(n[1](n[0](x)))))


def test_between_stages_is_in_no_block_of_the_next_stage():
    """A first block without a skip: all that it does before its step lies on the one path too."""
    net = alive(MobileNetV2(num_classes=5, inverted_residual_setting=[[1, 8, 1, 1], [2, 12, 2, 2]]))

    def by_hand(n, x, a):
        stem, first, *rest = n.features
        y = nn.Sequential(*rest)(a(first(stem(x))))
        return n.classifier(y.mean((2, 3)))
    compare(net, "between", by_hand)


class Pooled(nn.Module):
    """A pooling as a module, or written in the forward, there behind a ReLU of its own."""

    def __init__(self, module: bool):
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)
        self.pool = nn.AdaptiveAvgPool2d(1) if module else None

    def forward(self, x):
        x = F.relu(self.body(x))
        return self.fc(self.pool(x).flatten(1) if self.pool is not None else x.mean((2, 3)))


@pytest.mark.parametrize("module", [True, False])
def test_the_head_reads_the_last_map(module):
    """Catches attention before the ReLU, which would pool other numbers."""
    net, x = alive(Pooled(module)), torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(1))
    plain = copy.deepcopy(net)
    with torch.no_grad():
        receipt = plug_in(net, "attention_pool", "head", input_size=(3, 11, 14))
        torch.testing.assert_close(net(x), plain(x))
        pool = alive(net.get_submodule(receipt.names[0]))
        torch.testing.assert_close(net(x), plain.fc(pool(F.relu(plain.body(x)))))
        assert (net(x) - plain(x)).abs().max() > 1e-2


def test_instead_stands_for_the_last_window_of_the_branch():
    net, x = alive(nn.Sequential(nn.Conv2d(3, 16, 3), Bottleneck(16, 4))), torch.randn(2, 3, 11, 14)
    plain = copy.deepcopy(net)
    with torch.no_grad():
        receipt = plug_in(net, "condconv", "instead", start="as_made", input_size=(3, 11, 14))
        b, new = plain[1], net.get_submodule(receipt.names[0])
        y = F.relu(b.bn1(b.conv1(plain[0](x))))
        y = b.bn3(b.conv3(F.relu(b.bn2(new(y)))))
        torch.testing.assert_close(net(x), F.relu(y + plain[0](x)))
        assert (net(x) - plain(x)).abs().max() > 1e-2
