"""Every registered mechanism: the properties that each must have, whatever it computes. A new one is tested once registered."""

import copy

import pytest
import torch
from properties import each, each_start, fits, out_shape, picture

from course_utils import attention
from course_utils.attention import GRN, GatedChannel, PatchSelection

SHAPES = [(2, 6, 5, 9), (1, 3, 7, 4), (3, 17, 1, 8), (2, 1, 6, 5)]      # H != W, odd sizes, a line, C = 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_start
def test_shape_and_type_are_kept(case, start, shape):
    shape = case.shape(*shape)
    module, x = case.build(shape, start), picture(*shape, dtype=torch.float32)
    if not fits(module, shape):
        pytest.skip("a patch is larger than this picture")
    for mode in (False, True):
        module.train(mode)
        if mode and module.norm_values(x) < 2:
            continue
        y = module(x)
        assert y.shape == out_shape(module, shape) and y.dtype == torch.float32 and torch.isfinite(y).all()


@each
def test_no_leak_between_samples(case):
    shape = case.shape(4, 6, 5, 7)
    module, x = case.trained(shape), picture(*shape)
    torch.testing.assert_close(module(x)[2:3], module(x[2:3]))


@each
def test_two_calls_agree_and_nothing_is_changed(case):
    shape = case.shape(2, 6, 5, 7)
    module, x = case.trained(shape), picture(*shape)
    before, state = x.clone(), copy.deepcopy(module.state_dict())
    assert torch.equal(module(x), module(x))
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    module.train()(x)
    assert torch.equal(x, before)


@each
def test_no_parameter_is_made_in_forward(case):
    shape = case.shape(2, 6, 5, 7)
    module = case.build(shape)
    before = {key: id(value) for key, value in [*module.named_parameters(), *module.named_buffers()]}
    module(picture(*shape, dtype=torch.float32))
    assert before == {key: id(value) for key, value in [*module.named_parameters(), *module.named_buffers()]}


# A number that is the same at every position is not seen by a softmax over positions, and one that is the same for the
# whole batch is taken away again by the batch norm. The authors have these biases; they cost nothing and learn nothing.
INVISIBLE = {
    "gc": {"attend.bias"},
    "non_local": {"key.bias", "value.bias", "out.bias"},      # rows of the map sum to one: so is the value's bias
    "efficient": {"key.bias"},
    "criss_cross": {"key.bias"},
    "coordinate": {"shared.bias"},
    "bam": {"what.0.bias", "what.1.bias", "where.2.bias", "where.3.bias"},
    "split": {"squeeze.0.bias"},
    "iaff": {f"{part}.{layer}.bias" for part in ("local", "whole", "first_local", "first_whole") for layer in (0, 3)},
    "aff": {"local.0.bias", "local.3.bias", "whole.0.bias", "whole.3.bias"},
}
VISIBLE = {"non_local-form=dot": {"key.bias", "value.bias"}, "non_local-form=dot-subsample=True": {"key.bias", "value.bias"},
           "non_local-norm=False-scale=0.5": {"value.bias", "out.bias"}}


@each_start
def test_every_parameter_learns_within_two_steps(case, start):
    shape = case.shape(8, 64, 6, 7)      # 64 channels: no hidden width of one, which a layer norm would set to zero
    module = case.build(shape, start).double()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1) if list(module.parameters()) else None
    x = picture(*shape)
    goal = picture(*out_shape(module, shape), seed=1)
    seen = dict.fromkeys(dict(module.named_parameters()), 0.0)
    for _ in range(2 if optimiser else 0):
        optimiser.zero_grad()
        (module(x) - goal).square().mean().backward()
        for key, p in module.named_parameters():
            seen[key] += p.grad.abs().max().item()
        optimiser.step()
    dead = {key for key, total in seen.items() if total < 1e-13}
    assert dead == INVISIBLE.get(case.name, set()) - VISIBLE.get(case.id, set()), seen


@each
def test_gradients_are_those_of_the_formula(case):
    shape = case.shape(2, 3, 4, 3)
    module, x = case.trained(shape, noise=0.2), picture(*shape).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


@each
def test_an_empty_picture_has_finite_gradients(case):
    """The root of zero has none: an epsilon stands below it."""
    shape = case.shape(2, 6, 5, 7)
    module, x = case.trained(shape), torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@each
def test_state_dict_round_trip(case, tmp_path):
    shape = case.shape(2, 16, 5, 7)
    module, x = case.trained(shape), picture(*shape)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    other = case.build(shape, seed=5).double().eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(x), module(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))


# ---- precision and layout

@each
def test_autocast_stays_close_and_finite(case):
    shape = case.shape(4, 16, 9, 7)
    module, x = case.trained(shape, noise=0.1).float(), picture(*shape, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
    assert torch.isfinite(y).all()
    if not isinstance(module, PatchSelection):      # rounding may choose another patch
        exact = module(x)
        torch.testing.assert_close(y.float(), exact, atol=0.05 * exact.abs().max().item(), rtol=0.05)


@each
def test_half_precision_parameters_give_finite_numbers(case):
    shape = case.shape(2, 4, 28, 28)
    module = case.build(shape).to(torch.bfloat16)
    x = torch.full(shape, 30.0, dtype=torch.bfloat16)
    for mode in (True, False):
        y = module.train(mode)(x)
        assert y.dtype == torch.bfloat16 and torch.isfinite(y).all()


@pytest.mark.parametrize("name", ["gct", "simam", "grn"])
def test_squares_do_not_overflow_in_half_precision(name):
    """A map of 56x56 with values near 2000: a square, and the root of their sum, is beyond the largest float16."""
    module, x = attention.build(name, 4), torch.full((1, 4, 56, 56), 2000.0)
    x[:, :, ::2] *= -1
    if isinstance(module, GatedChannel):
        torch.nn.init.ones_(module.gamma)
    if isinstance(module, GRN):
        torch.nn.init.constant_(module.gamma, -0.5)
    y = copy.deepcopy(module).to(torch.float16)(x.half())
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.float(), module(x), rtol=2e-3, atol=0)


@each
def test_channels_last_gives_the_same(case):
    shape = case.shape(4, 16, 9, 7)
    module, x = case.trained(shape), picture(*shape)
    torch.testing.assert_close(module(x.contiguous(memory_format=torch.channels_last)), module(x))
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.contiguous(memory_format=torch.channels_last)), module(x))
