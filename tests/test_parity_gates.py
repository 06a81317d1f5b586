"""Gates against code that is not ours: timm and torchvision where they are right, else nested loops from the formula.

In float64, with every parameter and running statistic moved away from its start, on maps of odd sizes with H != W. A mechanism
with a batch norm is compared in training too: its output, and the running statistics that it leaves behind.
"""

import oracles_gates as loops
import pytest
import torch
import torchvision
from oracles_loops import Numbers
from timm.layers import EcaModule, EffectiveSEModule, GatherExcite, SEModule
from timm.layers.cbam import CbamModule, ChannelAttn, SpatialAttn
from timm.layers.coord_attn import CoordAttn, EfficientLocalAttn
from timm.layers.grn import GlobalResponseNorm
from torch import nn

from course_utils import attention
from course_utils.attention.base import STARTS

STATISTICS = ("running_mean", "running_var")
starts = pytest.mark.parametrize("start", STARTS)


class TwiceSigmoid(nn.Module):
    def forward(self, logits):
        return 2 * torch.sigmoid(logits)


SQUASH = {"as_made": nn.Sigmoid, "identity": TwiceSigmoid}


def picture(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-12)


def moved(name, channels, start="as_made", seed=0, **options):
    """A mechanism in float64, no parameter or running statistic of which is at its start."""
    module = attention.build(name, channels, start=start, **options).double()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.5 * torch.randn(p.shape, dtype=p.dtype, generator=g))
        for key, buffer in module.named_buffers():
            if key.endswith(STATISTICS):
                step = torch.randn(buffer.shape, dtype=buffer.dtype, generator=g)
                buffer.copy_(step if key.endswith("mean") else (0.5 * step).exp())
    return module


def modes(module):
    """Evaluation, and training where that makes a difference."""
    return (False, True) if any(key.endswith(STATISTICS) for key, _ in module.named_buffers()) else (False,)


def assert_same_as_module(ours, theirs, *shapes):
    theirs = theirs.double()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    for training in modes(ours):
        ours.train(training)
        outputs = []
        for seed, shape in enumerate(shapes):
            x = 3 * picture(*shape, seed=seed)
            outputs.append(ours(x))
            close(outputs[-1], theirs.train(training)(x))
            for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
                close(mine.double(), other)
        if not training:
            assert_every_layer_counts(ours, *outputs)


def assert_same_as_loops(module, oracle, *inputs, applied=lambda gate, x, *_: gate * x, **told):
    """`applied` makes the output again from the gate that is read and the inputs."""
    for training in modes(module):
        numbers = Numbers(module.state_dict(), module.start, training)
        expected = torch.tensor(oracle(*(x.tolist() for x in inputs), numbers, **told), dtype=torch.float64)
        y = module.train(training)(*inputs)
        close(y, expected)
        for key, value in module.named_buffers():
            if key.endswith(STATISTICS):
                close(value, numbers[key])
        if not training:
            assert_every_layer_counts(module, y)
            with attention.read(module) as seen:      # reading may take another path through `forward`
                close(module(*inputs), expected)
            close(applied(seen[type(module).__name__]["gate"], *inputs), expected)


def assert_every_layer_counts(module, *outputs):
    """A layer behind a ReLU that lets nothing through would have been compared with nothing."""
    names = [key for key, _ in module.named_parameters()]
    if names:
        total = sum((y * picture(*y.shape, seed=9)).sum() for y in outputs)
        gradients = torch.autograd.grad(total, module.parameters())
        assert not [key for key, g in zip(names, gradients, strict=True) if not g.any()]


# ---- against timm and torchvision

@starts
@pytest.mark.parametrize("channels, reduction", [(16, 4), (64, 16), (20, 3), (5, 16)])
def test_se_equals_torchvision_and_timm(channels, reduction, start):
    ours, hidden = moved("se", channels, start, reduction=reduction), max(1, channels // reduction)
    for theirs in (torchvision.ops.SqueezeExcitation(channels, hidden, scale_activation=SQUASH[start]),
                   SEModule(channels, rd_channels=hidden, gate_layer=SQUASH[start])):
        assert_same_as_module(ours, theirs, (2, channels, 5, 9), (6, channels, 7, 3))


@starts
def test_se_with_a_hidden_width_equals_torchvision(start):
    """Where the width is said the reduction says nothing."""
    theirs = torchvision.ops.SqueezeExcitation(6, 4, scale_activation=SQUASH[start])
    for reduction in (2, 16):
        assert_same_as_module(moved("se", 6, start, reduction=reduction, hidden=4), theirs, (2, 6, 5, 9))


@starts
@pytest.mark.parametrize("channels, kernel_size", [(8, None), (64, None), (128, None), (2048, None), (17, 5), (3, 1), (2, 7)])
def test_eca_equals_timm(channels, kernel_size, start):
    ours = moved("eca", channels, start, kernel_size=kernel_size)
    theirs = EcaModule(channels if kernel_size is None else None, kernel_size or 3, gate_layer=SQUASH[start])
    assert_same_as_module(ours, theirs, (2, channels, 5, 9), (6, channels, 7, 3))


@pytest.mark.parametrize("extent", [0, 2, 4, 6])
def test_ge_equals_timm(extent):
    theirs = GatherExcite(3, extent=extent, use_mlp=False, extra_params=False)
    assert_same_as_module(moved("ge", 3, extent=extent), theirs, (2, 3, 5, 9), (2, 3, 11, 7), (3, 3, 1, 2))


@starts
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels, reduction", [(16, 4), (7, 3), (5, 16)])
def test_channel_gate_equals_timm(channels, reduction, bias, start):
    ours = moved("channel_gate", channels, start, reduction=reduction, bias=bias)
    theirs = ChannelAttn(channels, rd_channels=max(1, channels // reduction), gate_layer=SQUASH[start], mlp_bias=bias)
    assert_same_as_module(ours, theirs, (2, channels, 5, 9), (6, channels, 7, 3))


@starts
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_spatial_gate_with_norm_equals_timm(kernel_size, start):
    ours = moved("spatial_gate", 6, start, kernel_size=kernel_size, norm=True)
    assert_same_as_module(ours, SpatialAttn(kernel_size, gate_layer=SQUASH[start]), (2, 6, 5, 9), (3, 6, 7, 3))


@starts
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels, reduction, kernel_size", [(16, 4, 7), (7, 3, 3)])
def test_cbam_with_norm_equals_timm(channels, reduction, kernel_size, bias, start):
    ours = moved("cbam", channels, start, reduction=reduction, kernel_size=kernel_size, bias=bias, norm=True)
    theirs = CbamModule(channels, rd_channels=max(1, channels // reduction), spatial_kernel_size=kernel_size,
                        gate_layer=SQUASH[start], mlp_bias=bias)
    assert_same_as_module(ours, theirs, (2, channels, 5, 9), (6, channels, 7, 3))


@starts
@pytest.mark.parametrize("channels, reduction, narrow", [(5, 32, 8), (36, 3, 12), (48, 32, 8)])
def test_coordinate_equals_timm(channels, reduction, narrow, start):
    ours = moved("coordinate", channels, start, reduction=reduction)
    theirs = CoordAttn(channels, rd_channels=narrow, bias=True, gate_layer=SQUASH[start])
    assert_same_as_module(ours, theirs, (2, channels, 5, 9), (6, channels, 7, 3))


class TwiceHardSigmoid(nn.Hardsigmoid):
    def forward(self, logits):
        return 2 * super().forward(logits)


@starts
@pytest.mark.parametrize("channels", [1, 5, 16])
def test_effective_se_equals_timm(channels, start):
    theirs = EffectiveSEModule(channels, gate_layer=nn.Hardsigmoid if start == "as_made" else TwiceHardSigmoid)
    assert_same_as_module(moved("ese", channels, start), theirs, (2, channels, 5, 9), (6, channels, 7, 3))


@starts
@pytest.mark.parametrize("channels, eps", [(1, 1e-6), (5, 1e-6), (16, 0.3)])
def test_grn_equals_timm(channels, eps, start):
    theirs = GlobalResponseNorm(channels, eps, channels_last=False).double()
    ours = moved("grn", channels, start, eps=eps)
    theirs.load_state_dict({"weight": ours.gamma.flatten(), "bias": ours.beta.flatten()})
    for shape in ((2, channels, 5, 9), (6, channels, 7, 3), (3, channels, 1, 1)):
        x = 3 * picture(*shape)
        close(ours(x), theirs(x))


# ---- against loops: channel gates

@starts
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (3, 3, 1, 1)])
def test_gct_equals_nested_loops(shape, eps, start):
    assert_same_as_loops(moved("gct", shape[1], start, eps=eps), loops.gct, picture(*shape), eps=eps)


@starts
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (3, 3, 1, 1)])
def test_srm_equals_nested_loops(shape, eps, start):
    assert_same_as_loops(moved("srm", shape[1], start, eps=eps), loops.srm, 2 + 3 * picture(*shape), eps=eps)


@starts
@pytest.mark.parametrize("extent, size", [(2, (3, 5)), (4, (7, 9))])
@pytest.mark.parametrize("mlp", [False, True])
def test_ge_learned_equals_nested_loops(mlp, extent, size, start):
    module = moved("ge_learned", 4, start, extent=extent, mlp=mlp, reduction=2)
    assert_same_as_loops(module, loops.ge_learned, picture(2, 4, *size), extent=extent, mlp=mlp)


@starts
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pool", ["mean", "max", "both"])
def test_channel_gate_equals_nested_loops(pool, bias, start):
    module = moved("channel_gate", 6, start, reduction=2, bias=bias, pool=pool)
    assert_same_as_loops(module, loops.channel_gate, picture(2, 6, 3, 5), pool=pool)


# ---- against loops: spatial gates

@starts
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_spatial_gate_without_norm_equals_nested_loops(kernel_size, start):
    module = moved("spatial_gate", 4, start, kernel_size=kernel_size)
    assert_same_as_loops(module, loops.spatial_gate, picture(2, 4, 5, 7), kernel_size=kernel_size)


@starts
@pytest.mark.parametrize("kernel_size, dilation", [(3, 2), (3, 4), (5, 3)])
def test_a_dilated_spatial_gate_equals_a_large_kernel_with_zeros_between_its_weights(kernel_size, dilation, start):
    module = moved("spatial_gate", 4, start, kernel_size=kernel_size, dilation=dilation)
    large = moved("spatial_gate", 4, start, kernel_size=dilation * (kernel_size - 1) + 1)
    with torch.no_grad():
        large.conv.weight.zero_()[..., ::dilation, ::dilation] = module.conv.weight
        large.conv.bias.copy_(module.conv.bias)
    assert_same_as_loops(large, loops.spatial_gate, picture(2, 4, 9, 7), kernel_size=dilation * (kernel_size - 1) + 1)
    x = picture(2, 4, 9, 7)
    torch.testing.assert_close(module(x), large(x), rtol=0, atol=1e-12)


@starts
def test_sse_equals_nested_loops(start):
    assert_same_as_loops(moved("sse", 4, start), loops.sse, picture(2, 4, 3, 5))


@starts
@pytest.mark.parametrize("subsample", [1, 2, 3])
@pytest.mark.parametrize("size, coarse", [((5, 7), (3, 4)), ((6, 9), (2, 5))])
def test_attention_gate_equals_nested_loops(size, coarse, subsample, start):
    x, g = picture(2, 4, *size), picture(2, 3, *coarse, seed=1)
    module = moved("attention_gate", 4, start, gating_channels=3, hidden=5, subsample=subsample)
    assert_same_as_loops(module, loops.attention_gate, x, g, subsample=subsample)


@starts
def test_attention_gate_by_itself_is_asked_by_its_own_input(start):
    module, x = moved("attention_gate", 4, start), picture(2, 4, 5, 7)
    assert_same_as_loops(module, lambda x, p: loops.attention_gate(x, x, p, 2), x)


@starts
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("levels, size", [(1, (5, 7)), (2, (6, 9)), (3, (11, 9))])
def test_residual_mask_equals_nested_loops(levels, size, residual, start):
    module = moved("residual_mask", 8, start, seed=1, levels=levels, residual=residual)
    assert_same_as_loops(module, loops.residual_mask, picture(2, 8, *size), levels=levels, residual=residual)


@starts
def test_lka_equals_nested_loops_on_a_map_as_large_as_its_window(start):
    assert_same_as_loops(moved("lka", 3, start), loops.lka, picture(2, 3, 11, 13))


@starts
@pytest.mark.parametrize("side, dilation, size", [(7, 2, (5, 6)), (11, 2, (4, 9)), (23, 3, (11, 13))])
def test_lska_equals_nested_loops(side, dilation, size, start):
    assert_same_as_loops(moved("lska", 3, start, side=side), loops.lska, picture(2, 3, *size), dilation=dilation)


@starts
def test_lska_equals_lka_where_its_kernels_are_a_column_times_a_row(start):
    """The paper's argument. A bias between the two would be cut off at the border: zero."""
    ours, large = moved("lska", 6, start), moved("lka", 6, start)
    with torch.no_grad():
        for pair, square in ((ours.near, large.near), (ours.far, large.far)):
            pair[0].bias.zero_()
            square.weight.copy_(pair[1].weight * pair[0].weight)      # (C, 1, k, 1) * (C, 1, 1, k)
            square.bias.copy_(pair[1].bias)
        large.join.load_state_dict(ours.join.state_dict())
    x = picture(2, 6, 25, 31)
    close(ours(x), large(x))


@starts
@pytest.mark.parametrize("channels, groups, size", [(6, 2, (3, 5)), (6, 64, (4, 3)), (5, 3, (3, 2)), (4, 2, (1, 2))])
def test_sge_equals_nested_loops(channels, groups, size, start):
    module, found = moved("sge", channels, start, groups=groups), {64: 6, 3: 1, 2: 2}[groups]
    assert module.groups == found
    assert_same_as_loops(module, loops.sge, picture(3, channels, *size), groups=found, eps=1e-5)


@starts
def test_sge_on_a_single_position_is_gated_by_its_bias(start):
    """The deviation of one number, divided by zero, is no number in the authors' code."""
    module, x = moved("sge", 4, start, groups=2), picture(3, 4, 1, 1)
    close(module(x), x * SQUASH[start]()(module.bias).repeat_interleave(2)[:, None, None])


@starts
@pytest.mark.parametrize("channels, hidden", [(3, 4), (1, 2)])
def test_pixel_gate_equals_nested_loops(channels, hidden, start):
    assert_same_as_loops(moved("pixel_gate", channels, start, hidden=hidden), loops.pixel_gate, picture(2, channels, 3, 5))


# ---- against loops: combined gates

@starts
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("pool", ["both", "mean", "max"])
@pytest.mark.parametrize("order", ["channel first", "spatial first", "parallel"])
def test_cbam_equals_nested_loops(order, pool, norm, start):
    module = moved("cbam", 6, start, reduction=2, order=order, pool=pool, norm=norm)
    assert_same_as_loops(module, loops.cbam, picture(2, 6, 4, 5), order=order, pool=pool, norm=norm)


@starts
@pytest.mark.parametrize("dilation", [1, 4])
@pytest.mark.parametrize("combine", ["sum", "product"])
def test_bam_equals_nested_loops(combine, dilation, start):
    module = moved("bam", 6, start, reduction=2, dilation=dilation, combine=combine)
    assert_same_as_loops(module, loops.bam, picture(3, 6, 5, 7), dilation=dilation, combine=combine)


@starts
@pytest.mark.parametrize("combine", ["max", "sum"])
def test_scse_equals_nested_loops_for_negative_values_too(combine, start):
    x = picture(2, 6, 3, 5)
    assert (x < 0).any() and (x > 0).any()
    assert_same_as_loops(moved("scse", 6, start, combine=combine), loops.scse, x, combine=combine)


@starts
@pytest.mark.parametrize("kernel_size", [3, 7])
@pytest.mark.parametrize("shape", [(2, 4, 5, 7), (2, 6, 5, 4)])
def test_triplet_equals_nested_loops(shape, kernel_size, start):
    module = moved("triplet", shape[1], start, kernel_size=kernel_size)
    assert_same_as_loops(module, loops.triplet, picture(*shape), kernel_size=kernel_size)


@pytest.mark.parametrize("lambda_", [1e-4, 0.1])
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (2, 3, 1, 1)])
def test_simam_equals_nested_loops(shape, lambda_):
    assert_same_as_loops(moved("simam", shape[1], lambda_=lambda_), loops.simam, picture(*shape), lambda_=lambda_)


@starts
@pytest.mark.parametrize("channels, reduction", [(6, 2), (8, 4), (3, 4)])
def test_aff_of_two_maps_equals_nested_loops(channels, reduction, start):
    x, y = picture(3, channels, 3, 5), 1 + 2 * picture(3, channels, 3, 5, seed=1)
    module = moved("aff", channels, start, reduction=reduction)
    assert_same_as_loops(module, loops.aff, x, y, applied=lambda gate, x, y: gate * x + (2 - gate) * y)


@starts
@pytest.mark.parametrize("channels, reduction", [(6, 2), (8, 4), (3, 4)])
def test_aff_of_one_map_equals_nested_loops(channels, reduction, start):
    module = moved("aff", channels, start, reduction=reduction)
    assert_same_as_loops(module, loops.aff_of_one, picture(3, channels, 3, 5))


@starts
@pytest.mark.parametrize("channels, reduction", [(6, 2), (8, 4), (10, 3)])
def test_iaff_of_two_maps_equals_nested_loops(channels, reduction, start):
    x, y = picture(9, channels, 3, 5), 1 + 2 * picture(9, channels, 3, 5, seed=1)
    module = moved("iaff", channels, start, reduction=reduction)
    assert_same_as_loops(module, loops.iaff, x, y, applied=lambda gate, x, y: gate * x + (2 - gate) * y)


@starts
@pytest.mark.parametrize("channels, reduction", [(6, 2), (8, 4), (10, 3)])
def test_iaff_of_one_map_equals_nested_loops(channels, reduction, start):
    module = moved("iaff", channels, start, reduction=reduction)
    assert_same_as_loops(module, loops.iaff_of_one, picture(9, channels, 3, 5))


@starts
@pytest.mark.parametrize("channels, kernel_size, groups, size", [(6, 3, 2, (4, 7)), (6, 7, 16, (3, 5)), (5, 5, 16, (5, 2))])
def test_ela_equals_nested_loops(channels, kernel_size, groups, size, start):
    module = moved("ela", channels, start, kernel_size=kernel_size, groups=groups)
    found = {2: 2, 16: channels}[groups]
    assert module.norm.num_groups == found
    assert_same_as_loops(module, loops.ela, picture(2, channels, *size), kernel_size=kernel_size, groups=found)


def test_timms_ela_is_another_function():
    """As the docstring says: with the same weights on both axes, its SiLU keeps every gate above sigmoid(-0.28) = 0.43."""
    ours, theirs = moved("ela", 8, groups=1), EfficientLocalAttn(8).double()
    with torch.no_grad():
        for conv, axes in ((theirs.conv_h, (..., None)), (theirs.conv_w, (..., None, slice(None)))):
            conv.weight.copy_(ours.conv.weight[axes])
        for norm in (theirs.norm_h, theirs.norm_w):
            norm.load_state_dict(ours.norm.state_dict())
    x = 1 + picture(2, 8, 5, 9).abs()
    lowest = torch.sigmoid(nn.functional.silu(torch.linspace(-3, 0, 1001))).min().item()
    assert 0.430 < lowest < 0.431
    assert (theirs(x) / x).min() > lowest ** 2 > (ours(x) / x).min()
    theirs.act = nn.Identity()      # without it, and with one group in ours, the two agree
    close(ours(x), theirs(x))


@starts
@pytest.mark.parametrize("channels, factor, size", [(6, 2, (4, 5)), (6, 4, (3, 5)), (6, 32, (3, 2)), (5, 2, (2, 3))])
def test_ema_equals_nested_loops(channels, factor, size, start):
    module, found = moved("ema", channels, start, factor=factor), {(6, 2): 2, (6, 4): 3, (6, 32): 6, (5, 2): 1}[channels, factor]
    assert module.groups == found
    assert_same_as_loops(module, loops.ema, picture(2, channels, *size), groups=found)


def test_half_of_emas_weights_do_not_look_at_the_picture():
    """What the docstring warns of: after the norm the mean of a channel is its bias, for every picture."""
    module, seen = moved("ema", 8, factor=2), []
    softmax, pooled = torch.Tensor.softmax, []
    module.near.register_forward_hook(lambda layer, given, made: seen.append(made))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "softmax", lambda self, dim: pooled.append(softmax(self, dim)) or pooled[-1])
        module(picture(3, 8, 5, 7))
    from_norm, from_near = pooled
    close(from_norm, softmax(module.norm.bias, 0)[None, :, None, None].expand_as(from_norm))
    assert from_near.std(0).min() > 1e-3 and len(seen) == 1


@starts
@pytest.mark.parametrize("channels, groups, size", [(8, 2, (3, 5)), (8, 64, (2, 3)), (12, 4, (4, 3)), (6, 1, (1, 1)),
                                                    (5, 2, (3, 2)), (9, 64, (2, 3))])
def test_shuffle_attention_equals_nested_loops(channels, groups, size, start):
    module = moved("shuffle", channels, start, groups=groups)
    found = {(8, 2): 2, (8, 64): 4, (12, 4): 3, (6, 1): 1, (5, 2): 1, (9, 64): 3}[channels, groups]
    assert module.groups == found
    mixed = start == "as_made" and channels % 2 == 0
    assert_same_as_loops(module, loops.shuffle, picture(2, channels, *size), groups=found, interleaved=mixed,
                         applied=lambda gate, x: nn.ChannelShuffle(2)(gate * x) if mixed else gate * x)


def test_shuffle_attention_moves_the_channels():
    """As the docstring warns: with all gates the same, C/2 comes second."""
    x = torch.arange(8.0)[None, :, None, None].expand(1, 8, 3, 3)
    y = attention.build("shuffle", 8)(x) / torch.sigmoid(torch.ones(()))
    torch.testing.assert_close(y[0, :, 0, 0], torch.tensor([0.0, 4, 1, 5, 2, 6, 3, 7]))
    torch.testing.assert_close(attention.build("shuffle", 8, start="identity")(x), x)


PARITY = {
    "ese": (test_effective_se_equals_timm,),
    "grn": (test_grn_equals_timm,),
    "lska": (test_lska_equals_nested_loops, test_lska_equals_lka_where_its_kernels_are_a_column_times_a_row),
    "sge": (test_sge_equals_nested_loops,),
    "ela": (test_ela_equals_nested_loops,),
    "ema": (test_ema_equals_nested_loops,),
    "shuffle": (test_shuffle_attention_equals_nested_loops, test_shuffle_attention_moves_the_channels),
    "iaff": (test_iaff_of_two_maps_equals_nested_loops, test_iaff_of_one_map_equals_nested_loops),
    "se": (test_se_equals_torchvision_and_timm,),
    "eca": (test_eca_equals_timm,),
    "gct": (test_gct_equals_nested_loops,),
    "srm": (test_srm_equals_nested_loops,),
    "ge": (test_ge_equals_timm,),
    "ge_learned": (test_ge_learned_equals_nested_loops,),
    "channel_gate": (test_channel_gate_equals_timm, test_channel_gate_equals_nested_loops),
    "spatial_gate": (test_spatial_gate_with_norm_equals_timm, test_spatial_gate_without_norm_equals_nested_loops),
    "sse": (test_sse_equals_nested_loops,),
    "attention_gate": (test_attention_gate_equals_nested_loops, test_attention_gate_by_itself_is_asked_by_its_own_input),
    "residual_mask": (test_residual_mask_equals_nested_loops,),
    "lka": (test_lka_equals_nested_loops_on_a_map_as_large_as_its_window,),
    "cbam": (test_cbam_with_norm_equals_timm, test_cbam_equals_nested_loops),
    "bam": (test_bam_equals_nested_loops,),
    "scse": (test_scse_equals_nested_loops_for_negative_values_too,),
    "coordinate": (test_coordinate_equals_timm,),
    "triplet": (test_triplet_equals_nested_loops,),
    "simam": (test_simam_equals_nested_loops,),
    "aff": (test_aff_of_two_maps_equals_nested_loops, test_aff_of_one_map_equals_nested_loops),
    "pixel_gate": (test_pixel_gate_equals_nested_loops,),
}
