"""Every registered mechanism: the properties that each must have, and parity with code that is not ours."""

import copy
import math

import pytest
import torch
import torchvision
from timm.layers import EcaModule, SEModule
from torch import nn

from course_utils import attention
from course_utils.attention import ECA, SE, GatedChannel
from course_utils.attention.base import STARTS
from course_utils.attention.channel import eca_kernel

NAMES = sorted(attention.REGISTRY)
ODD_SHAPES = [(2, 6, 5, 9), (1, 3, 7, 4), (3, 17, 1, 8), (2, 1, 6, 5)]
both_starts = pytest.mark.parametrize("start", STARTS)
each = pytest.mark.parametrize("name", NAMES)


def picture(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def trained(name, channels, start="paper", seed=0):
    """A mechanism whose parameters are all away from their start, in float64."""
    module = attention.build(name, channels, start=start).double()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.5 * torch.randn(p.shape, dtype=p.dtype, generator=g))
    return module.eval()


# ---- properties of all

@each
@both_starts
@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_shape_and_type_are_kept(name, start, shape):
    module = attention.build(name, shape[1], start=start)
    for mode in (True, False):
        y = module.train(mode)(picture(*shape, dtype=torch.float32))
        assert y.shape == shape and y.dtype == torch.float32


@each
def test_no_leak_between_samples(name):
    module, x = trained(name, 6), picture(4, 6, 5, 7)
    torch.testing.assert_close(module(x)[2:3], module(x[2:3]))


@each
def test_height_and_width_are_not_swapped(name):
    module, x = trained(name, 6), picture(2, 6, 5, 9)
    torch.testing.assert_close(module(x.mT), module(x).mT)


@each
def test_a_channel_gate_does_not_care_where_things_are(name):
    module, x = trained(name, 6), picture(2, 6, 5, 9)
    if module.family != "channel":
        pytest.skip("only channel gates ignore positions")
    shuffled = x.flatten(2)[..., torch.randperm(45, generator=torch.Generator().manual_seed(1))].view_as(x)
    torch.testing.assert_close(module.gate(shuffled), module.gate(x))


@each
def test_two_calls_agree_and_the_input_is_left_alone(name):
    module, x = trained(name, 6), picture(2, 6, 5, 7)
    before = x.clone()
    assert torch.equal(module(x), module(x))
    assert torch.equal(x, before)


@each
@pytest.mark.parametrize("channels", [1, 3, 17, 64])
def test_identity_start_is_exactly_the_identity(name, channels):
    x = picture(2, channels, 5, 7, dtype=torch.float32)
    assert torch.equal(attention.build(name, channels, start="identity")(x), x)


@each
@both_starts
def test_every_parameter_learns_within_two_steps(name, start):
    torch.manual_seed(0)
    module = attention.build(name, 24, start=start)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x, goal = picture(8, 24, 5, 7, dtype=torch.float32), picture(8, 24, 5, 7, dtype=torch.float32, seed=1)
    seen = dict.fromkeys(dict(module.named_parameters()), 0.0)
    for _ in range(2):
        optimiser.zero_grad()
        (module(x) - goal).square().mean().backward()
        for key, p in module.named_parameters():
            seen[key] += p.grad.abs().sum().item()
        optimiser.step()
    assert all(total > 0 for total in seen.values()), seen


@each
@both_starts
def test_gates_stay_in_their_range(name, start):
    module, x = trained(name, 16, start), 30 * picture(4, 16, 5, 7)
    gate = module.gate(x)
    high = 1 if start == "paper" and name != "gct" else 2
    assert gate.shape == (4, 16, 1, 1)
    assert (gate >= 0).all() and (gate <= high).all()
    assert gate.max() > 0.6 * high and gate.min() < 0.4 * high       # the range is used, not only kept
    torch.testing.assert_close(module(x), gate * x)


@each
def test_gate_at_the_start(name):
    """Near one half for a sigmoid, exactly one where the authors start at the identity."""
    torch.manual_seed(0)
    gate = attention.build(name, 64).gate(picture(8, 64, 9, 9, dtype=torch.float32))
    expected = 1.0 if name == "gct" else 0.5
    assert abs(gate.mean().item() - expected) < 0.05
    # The authors start with random layers: channels differ from the first picture on. GCT starts at one for all.
    assert (gate.std() == 0) if name == "gct" else (gate.std() > 2e-3)


PARAMETERS = {
    "se": lambda c: 2 * c * max(1, c // 16) + max(1, c // 16) + c,
    "eca": lambda c: eca_kernel(c),
    "gct": lambda c: 3 * c,
}


@each
@pytest.mark.parametrize("channels", [1, 5, 16, 64, 100, 256])
def test_parameter_count_is_the_formula(name, channels):
    module = attention.build(name, channels)
    assert sum(p.numel() for p in module.parameters()) == PARAMETERS[name](channels)


@each
def test_autocast_stays_close_and_finite(name):
    module, x = trained(name, 16).float(), picture(4, 16, 9, 7, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
    assert torch.isfinite(y).all()
    torch.testing.assert_close(y.float(), module(x), atol=0.1, rtol=0.05)


@each
def test_half_precision_parameters_give_finite_numbers(name):
    module = attention.build(name, 4).to(torch.bfloat16)
    y = module(torch.full((1, 4, 56, 56), 30.0, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and torch.isfinite(y).all()


def test_gct_does_not_overflow_in_half_precision():
    """A map of 56x56 with values near 30: its sum of squares is beyond the largest float16."""
    module = attention.build("gct", 4).to(torch.float16)
    torch.nn.init.ones_(module.gamma)
    y = module(torch.full((1, 4, 56, 56), 30.0, dtype=torch.float16))
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.float(), torch.full((1, 4, 56, 56), 30 * (1 + math.tanh(1))), rtol=2e-3, atol=0)


@each
def test_channels_last_gives_the_same(name):
    module, x = trained(name, 16), picture(4, 16, 9, 7)
    torch.testing.assert_close(module(x.contiguous(memory_format=torch.channels_last)), module(x))


@each
def test_state_dict_round_trip(name, tmp_path):
    module, x = trained(name, 16), picture(2, 16, 5, 7)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    other = attention.build(name, 16).double()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(x), module(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))


@each
def test_gradients_are_those_of_the_formula(name):
    module, x = trained(name, 3), picture(2, 3, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


@each
def test_registered_class_says_what_it_is(name):
    module = attention.REGISTRY[name]
    assert module.family == "channel" and module.kind == "gate" and module.home in ("pre", "post")
    assert module.paper in module.__doc__ and "Parameters:" in module.__doc__ and "lesson" in module.__doc__


# ---- parity with independent code, in float64 after copying the weights

def assert_same_function(ours, theirs, channels):
    for shape in [(2, channels, 5, 9), (1, channels, 7, 3)]:
        x = 3 * picture(*shape, seed=shape[2])
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels, reduction", [(16, 4), (64, 16), (20, 3), (5, 16)])
def test_se_equals_torchvision_and_timm(channels, reduction):
    ours, hidden = SE(channels, reduction).double(), max(1, channels // reduction)
    torchvisions = torchvision.ops.SqueezeExcitation(channels, hidden).double()
    timms = SEModule(channels, rd_channels=hidden).double()
    for theirs in (torchvisions, timms):
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        assert_same_function(ours, theirs, channels)


@pytest.mark.parametrize("channels", [8, 16, 64, 128, 512, 2048])
def test_eca_equals_timm(channels):
    ours, theirs = ECA(channels).double(), EcaModule(channels=channels).double()
    theirs.load_state_dict({"conv.weight": ours.conv.weight})
    assert_same_function(ours, theirs, channels)


def test_eca_kernel_is_the_rule_of_the_paper():
    assert [eca_kernel(c) for c in (1, 4, 8, 64, 128, 256, 1024, 2048)] == [1, 1, 3, 3, 5, 5, 5, 7]


def gct_by_loops(x, alpha, gamma, beta, eps):
    """Equations of arXiv 1909.11519, one number at a time."""
    n, channels, h, w = x.shape
    y = torch.empty_like(x)
    for i in range(n):
        strength = [alpha[c] * math.sqrt(sum(x[i, c, p, q].item() ** 2 for p in range(h) for q in range(w)) + eps)
                    for c in range(channels)]
        norm = math.sqrt(sum(s * s for s in strength) / channels + eps)
        for c in range(channels):
            y[i, c] = x[i, c] * (1 + math.tanh(gamma[c] * strength[c] / norm + beta[c]))
    return y


def test_gct_equals_nested_loops():
    module = trained("gct", 4)
    values = [p.detach().flatten().tolist() for p in (module.alpha, module.gamma, module.beta)]
    x = picture(2, 4, 3, 5)
    torch.testing.assert_close(module(x), gct_by_loops(x, *values, module.eps), rtol=1e-12, atol=1e-12)


def test_gct_epsilon_matters_for_an_empty_channel():
    """Without eps the root of zero has no finite gradient."""
    module, x = GatedChannel(3), torch.zeros(1, 3, 4, 4, requires_grad=True)
    module(x).sum().backward()
    assert torch.isfinite(x.grad).all() and all(torch.isfinite(p.grad).all() for p in module.parameters())


PARITY = {"se": test_se_equals_torchvision_and_timm, "eca": test_eca_equals_timm, "gct": test_gct_equals_nested_loops}


def test_every_registered_mechanism_has_a_parity_reference_and_a_formula():
    assert set(PARITY) == set(PARAMETERS) == set(attention.REGISTRY)


# ---- bad input

def test_unknown_name_lists_the_names_and_the_closest():
    with pytest.raises(ValueError, match="unknown mechanism 'seb'. Did you mean 'se'\\? Known: eca, gct, se"):
        attention.build("seb", 8)
    with pytest.raises(ValueError, match="unknown mechanism 'zzzz'. Known"):
        attention.find("zzzz")


@each
@pytest.mark.parametrize("channels", [0, -3, 2.0, "8", None, True])
def test_channels_must_be_a_positive_integer(name, channels):
    with pytest.raises(ValueError, match="channels must be an integer of at least 1, got"):
        attention.build(name, channels)


@each
@pytest.mark.parametrize("x, message", [
    (torch.zeros(8, 5, 5), r"wants a feature map of 4 dimensions.*got \(8, 5, 5\).*x\[None\]"),
    (torch.zeros(1, 8, 5, 5, 5), "wants a feature map of 4 dimensions"),
    (torch.zeros(1, 8, 5, 5, dtype=torch.uint8), "wants floating-point numbers, got torch.uint8"),
    (torch.zeros(1, 7, 5, 5), "was made for 8 channels, got 7"),
    (torch.zeros(0, 8, 5, 5), "empty tensor"),
])
def test_wrong_input_is_refused_with_what_is_wanted(name, x, message):
    with pytest.raises(ValueError, match=message):
        attention.build(name, 8)(x)


@pytest.mark.parametrize("call, message", [
    (lambda: SE(8, reduction=0), "SE: reduction must be an integer of at least 1, got 0"),
    (lambda: SE(8, start="zero"), "start must be one of 'paper', 'identity', got 'zero'"),
    (lambda: ECA(8, kernel_size=4), "kernel_size must be odd"),
    (lambda: ECA(8, kernel_size=-1), "kernel_size must be an integer of at least 1"),
    (lambda: GatedChannel(8, eps=0), "eps must be positive"),
])
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_gate_without_gate_says_so():
    class Empty(attention.Gate):
        pass
    with pytest.raises(NotImplementedError, match="Empty must define gate"):
        Empty(4)(torch.zeros(1, 4, 2, 2))


def test_hidden_width_never_falls_to_zero():
    assert SE(3).squeeze.out_channels == 1
    assert isinstance(SE(3).squeeze, nn.Conv2d)
