"""Every registered mechanism in half precision, with activations of 1, 30 and 300: finite, and close to the exact result.

Exact is what the same rounded weights make of the same rounded picture in double precision. What may remain:

- Each layer rounds its output, by at most eps / 2 of it; a few of them in a row, with sums between: 8 eps.
- A gate takes the sigmoid of a number that grows with the activations. Rounding moves a number of that size by up to
  scale * eps / 2, and the gate by a quarter of that, the steepest that a sigmoid is: scale * eps / 8 more.

What may not: a square, a sum or a score that no float16 can hold, and a softmax or a place in the picture from rounded numbers.
"""

import copy

import pytest
import torch
from properties import Case, each, picture

from course_utils.attention import Gate, PatchSelection

SCALES = (1, 30, 300)
BEYOND = {"lka", "non_local"}      # products of activations: 300 times 300, and in the dot form 300 cubed, are no float16


def tolerance(case: Case, dtype: torch.dtype, scale: float) -> float:
    eps, squashes = torch.finfo(dtype).eps, case.cls.kind == "gate" or issubclass(case.cls, Gate)
    return 8 * eps + (scale * eps / 8 if squashes else 0)


def is_close(y: torch.Tensor, exact: torch.Tensor, case: Case, dtype: torch.dtype, scale: float) -> None:
    largest = max(exact.abs().max().item(), torch.finfo(dtype).tiny)      # a deformable convolution may look outside everywhere
    if largest > torch.finfo(dtype).max:
        assert case.name in BEYOND
        return
    assert torch.isfinite(y).all()
    if not issubclass(case.cls, PatchSelection):      # rounding may choose another patch
        assert (y.double() - exact).abs().max().item() <= tolerance(case, dtype, scale) * largest


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@each
def test_half_precision_is_close_to_the_exact_result_at_any_scale(case, dtype):
    """Catches scores of bot, criss_cross and non_local in half precision, srm's squares, and where stn looks."""
    shape = case.shape(2, 16, 14, 10)
    half = case.trained(shape, noise=0.1).to(dtype)
    for scale in SCALES:
        x = (scale * picture(*shape)).to(dtype)
        with torch.no_grad():
            exact = copy.deepcopy(half).double()(x.double())
            y = half(x)
            assert y.dtype == dtype
            is_close(y, exact, case, dtype, scale)
            with torch.autocast("cpu", dtype):
                for given in (x, x.float()):      # as it comes from a layer, and as the picture comes
                    is_close(copy.deepcopy(half).float()(given), exact, case, dtype, scale)


@pytest.mark.parametrize("case", [Case("iaff", {"reduction": 2})], ids=lambda case: case.id)
def test_norms_that_run_in_float32_keep_what_they_have_seen(case):
    """In half precision they move copies of their statistics, which have to be put back."""
    shape = case.shape(8, 16, 9, 7)
    module = case.build(shape).bfloat16().train()
    exact, x = copy.deepcopy(module).float(), picture(*shape).bfloat16()
    module(x)
    exact(x.float())
    for (key, got), expected in zip(module.named_buffers(), exact.buffers(), strict=True):
        assert got.dtype == (torch.int64 if key.endswith("tracked") else torch.bfloat16)
        torch.testing.assert_close(got.to(expected.dtype), expected, rtol=0.01, atol=0.01)
    assert any(got.any() for key, got in module.named_buffers() if key.endswith("running_mean"))
