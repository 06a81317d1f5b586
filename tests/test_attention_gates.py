"""Every registered mechanism: what it computes before training, the range of its gate, and what it does to its input.

At the end, what fuses two maps.
"""

import copy
import inspect
import re

import pytest
import torch
from properties import CASES, applied, each, looks_at_regions, over, picture, rounding
from test_attention import INVISIBLE

from course_utils.attention import Gate

IDENTITY = [case for case in CASES if "identity" in case.starts]
GATES = [case for case in CASES if hasattr(case.cls, "gate")]

each_gate_and_start = pytest.mark.parametrize("case, start", [(case, start) for case in GATES for start in case.starts],
                                              ids=[f"{case.id}-{start}" for case in GATES for start in case.starts])


def authors_start_at_identity(case):
    return re.search(r'start: (both starts|"as_made" and "identity") are the same', inspect.getdoc(case.cls)) is not None


def mean_or_same(module, x):
    """What an identity start computes: x, and for a pool the plain mean."""
    return x.mean((2, 3)) if module.kind == "pool" else x


@pytest.mark.parametrize("channels", [1, 3, 17, 64])
@over(IDENTITY)
def test_identity_start_is_exactly_the_identity(case, channels):
    shape = case.shape(3, channels, 6, 7)
    module, x = case.build(shape, "identity"), picture(*shape, dtype=torch.float32)
    for mode in (False, True):
        torch.testing.assert_close(module.train(mode)(x), mean_or_same(module, x), rtol=0, atol=rounding(module))


@over(IDENTITY)
def test_identity_start_stays_the_identity_when_running_statistics_have_moved(case):
    """A network is often run in training mode before the first step: its batch norms then hold other statistics."""
    shape = case.shape(4, 6, 6, 7)
    module, x = case.build(shape, "identity"), picture(*shape, dtype=torch.float32)
    before = {key: buffer.clone() for key, buffer in module.named_buffers()}
    for _ in range(3):
        module.train()(50 + 7 * x)
    assert not before or any(not torch.equal(before[key], buffer) for key, buffer in module.named_buffers())
    torch.testing.assert_close(module.eval()(x), mean_or_same(module, x), rtol=0, atol=rounding(module))


@each
def test_a_mechanism_as_made_is_the_identity_only_where_the_authors_say_so(case):
    shape = case.shape(3, 16, 6, 7)
    module, x = case.build(shape), picture(*shape, dtype=torch.float32)
    for mode in (False, True):
        y = module.train(mode)(x)
        same = y.shape == x.shape and torch.allclose(y, x, atol=1e-5)
        assert same == authors_start_at_identity(case)


# The mean gate before training, each value weighed by its energy; 0.5 where the authors do not say more.
AT_START = {
    "gct": 1.0, "cbam": 0.25, "bam": 1.5, "coordinate": 0.25, "simam": 0.76, "residual_mask": 1.5, "pixel_gate": 0.88,
    "residual_mask-residual=False-levels=1": 0.5, "scse-combine=sum": 1.0, "lka": None, "lska": None, "grn": 1.0, "sge": 0.73,
    "shuffle": 0.73, "ela": 0.25,
}
ALIKE = ("gct", "srm", "grn", "sge", "shuffle")      # the authors start the last layer at zero: all gates are the same at first


@over(GATES)
def test_gate_before_training(case):
    shape = case.shape(4, 64, 11, 9)
    x, expected = picture(*shape, dtype=torch.float32), AT_START.get(case.id, AT_START.get(case.name, 0.5))
    gates = [case.build(shape, seed=seed).gate(x).detach().expand(shape) for seed in range(20)]
    if expected is None:
        pytest.skip("not squashed: it has no usual value")
    found = (torch.stack(gates).mean(0) * x.square()).sum() / x.square().sum()
    assert abs(found.item() - expected) < 0.05
    assert (gates[0] == gates[0][0, 0, 0, 0]).all() if case.name in ALIKE else (gates[0].std() > 2e-3)


# Lowest and highest gate as made and at the identity start; (0, 1) and (0, 2) where nothing else is said.
RANGE = {
    "gct": ((0, 2), (0, 2)), "bam": ((1, 2), (0, 2)), "residual_mask": ((1, 2), (0, 2)), "simam": ((0.62, 1), None),
    "residual_mask-residual=False-levels=1": ((0, 1), (0, 2)), "scse-combine=sum": ((0, 2), (0, 2)),
    "cbam": ((0, 1), (0, 4)), "coordinate": ((0, 1), (0, 4)), "lka": ((-1e9, 1e9), (-1e9, 1e9)),
    "lska": ((-1e9, 1e9), (-1e9, 1e9)), "grn": ((-1e9, 1e9), (-1e9, 1e9)), "ela": ((0, 1), (0, 4)),
}


@each_gate_and_start
def test_gates_stay_in_their_range_and_use_it(case, start):
    shape = case.shape(6, 16, 9, 7)
    module, x = case.trained(shape, start, 2.0 if case.name == "sge" else 0.5), 20 * picture(*shape)      # sge sees no scale
    x[::2] *= -1
    x[1::3] *= 0.05
    low, high = RANGE.get(case.id, RANGE.get(case.name, ((0, 1), (0, 2))))[start == "identity"]
    gate = module.gate(x)
    assert (gate >= low).all() and (gate <= high).all()
    if abs(low) < 1e6:
        assert gate.max() > low + 0.6 * (high - low) and gate.min() < low + 0.4 * (high - low), (gate.min(), gate.max())
    else:
        spread = 0.5 if case.name == "grn" else 2
        assert gate.min() < 1 - spread and gate.max() > 1 + spread, (gate.min(), gate.max())


@each_gate_and_start
def test_output_is_the_gate_times_the_input(case, start):
    shape = case.shape(2, 6, 9, 7)
    module, x = case.trained(shape, start), picture(*shape)
    torch.testing.assert_close(module(x), applied(module, module.gate(x), x))


@over([case for case in IDENTITY if case.name in ("ela", "ema")])
def test_a_norm_is_not_given_nothing_but_zeros_at_the_start(case):
    """It would divide the first gradients by the root of its eps alone: the first step would leap."""
    shape, largest = case.shape(8, 64, 6, 7), {}
    for start in case.starts:
        module = case.build(shape, start).double()
        gradients = torch.autograd.grad((module(picture(*shape)) - picture(*shape, seed=1)).square().mean(), module.parameters())
        largest[start] = max(gradient.abs().max().item() for gradient in gradients)
    assert largest["identity"] < 30 * largest["as_made"], largest


# One number per channel; per position; per row or column and channel, or for every value.
def gate_shape(case, n, c, h, w):
    if case.cls.family == "channel":
        return (n, c, h, w) if looks_at_regions(case) else (n, c, 1, 1)
    return (n, 1, h, w) if case.name in ("spatial_gate", "sse", "attention_gate", "pixel_gate") else (n, c, h, w)


@over(GATES)
def test_gate_has_one_number_per_channel_or_position_as_its_family_says(case):
    shape = case.shape(2, 6, 9, 7)
    assert case.trained(shape).gate(picture(*shape)).shape == gate_shape(case, *shape)


def test_a_gate_without_gate_says_so():
    class Empty(Gate):
        pass
    with pytest.raises(NotImplementedError, match="Empty must define gate"):
        Empty(4)(torch.zeros(1, 4, 2, 2))


# ---- two maps

FUSING = [case for case in CASES if case.cls.home == "fuse"]
each_fusing_and_start = pytest.mark.parametrize("case, start", [(case, start) for case in FUSING for start in case.starts],
                                                ids=[f"{case.id}-{start}" for case in FUSING for start in case.starts])


def two_pictures(*shape, dtype=torch.float64):
    """The second is of another size and mean, as a skip beside a branch."""
    return picture(*shape, dtype=dtype), 1 + 3 * picture(*shape, dtype=dtype, seed=1)


@pytest.mark.parametrize("channels", [1, 3, 17, 64])
@over(FUSING)
def test_fusing_begins_as_the_plain_sum_to_the_bit(case, channels):
    """Also when a network was run in training mode before the first step, and in half precision."""
    shape = case.shape(3, channels, 6, 7)
    module, (x, y) = case.build(shape, "identity"), two_pictures(*shape, dtype=torch.float32)
    for mode in (False, True, True, False):
        assert torch.equal(module.train(mode)(x, y), x + y)
    assert any(buffer.any() for key, buffer in module.named_buffers() if key.endswith("running_mean"))
    x, y = x.bfloat16(), y.bfloat16()
    z = module.bfloat16()(x, y)
    assert z.dtype == torch.bfloat16 and torch.equal(z, x + y)


@each_fusing_and_start
def test_every_parameter_learns_within_two_steps_from_two_maps(case, start):
    shape = case.shape(8, 64, 6, 7)
    module, (x, y), goal = case.build(shape, start).double(), two_pictures(*shape), picture(*shape, seed=2)
    seen = dict.fromkeys(dict(module.named_parameters()), 0.0)
    for _ in range(2):
        gradients = torch.autograd.grad((module(x, y) - goal).square().mean(), module.parameters())
        for key, gradient in zip(seen, gradients, strict=True):
            seen[key] += gradient.abs().max().item()
            module.get_parameter(key).data.sub_(0.1 * gradient)
    assert {key for key, total in seen.items() if total < 1e-13} == INVISIBLE.get(case.name, set()), seen


@over(FUSING)
def test_the_first_gradients_of_the_identity_start_are_no_larger_than_as_made(case):
    """A norm behind a layer of zeros divides by the root of its eps alone: the first step would leap."""
    shape = case.shape(8, 64, 6, 7)
    (x, y), goal, largest = two_pictures(*shape), picture(*shape, seed=2), {}
    for start in case.starts:
        module = case.build(shape, start).double()
        gradients = torch.autograd.grad((module(x, y) - goal).square().mean(), module.parameters())
        largest[start] = max(gradient.abs().max().item() for gradient in gradients)
    assert largest["identity"] < 3 * largest["as_made"], largest


@each_fusing_and_start
def test_what_one_map_loses_the_other_gets(case, start):
    """The weights of both maps sum to 2, and in aff depend on the maps only through their sum."""
    shape = case.shape(3, 6, 5, 7)
    module, (x, y) = case.trained(shape, start), two_pictures(*shape)
    torch.testing.assert_close(module(x, x), 2 * x)
    assert not torch.allclose(module(x, y), x + y, rtol=0.1)
    if case.name == "aff":      # iaff looks a second time, at a sum that is weighed already
        torch.testing.assert_close(module(x, y) + module(y, x), 2 * (x + y))


@over(FUSING)
def test_fusing_changes_neither_map_and_leaks_nothing_between_samples(case):
    shape = case.shape(4, 6, 5, 7)
    module, (x, y) = case.trained(shape), two_pictures(*shape)
    before, z = (x.clone(), y.clone()), module(x, y)
    torch.testing.assert_close(z[2:3], module(x[2:3], y[2:3]))
    copy.deepcopy(module).train()(x, y)
    assert torch.equal(x, before[0]) and torch.equal(y, before[1]) and torch.equal(module(x, y), z)


@over(FUSING)
def test_gradients_of_both_maps_are_those_of_the_formula(case):
    shape = case.shape(2, 3, 4, 3)
    module, maps = case.trained(shape, noise=0.2), [one.requires_grad_() for one in two_pictures(*shape)]
    assert torch.autograd.gradcheck(module, maps)


@over(FUSING)
def test_a_position_reads_itself_and_the_mean(case):
    """Shuffle the positions of both maps alike, and the result is shuffled; shuffle one, and it is another."""
    shape = case.shape(2, 32, 5, 7)
    module, (x, y) = case.trained(shape), two_pictures(*shape)
    order = torch.randperm(35, generator=torch.Generator().manual_seed(1))

    def shuffled(one):
        return one.flatten(2)[..., order].view_as(one)
    torch.testing.assert_close(module(shuffled(x), shuffled(y)), shuffled(module(x, y)))
    one = x.clone()
    one[:, :, 0, 0] += 1      # one position of one map
    moved = (module(one, y) - module(x, y)).abs().amax((0, 1)) > 1e-6
    assert moved.all(), "the mean reaches every position"
