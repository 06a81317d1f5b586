"""The loops that the gates are compared with are themselves compared with torch, once, here."""

import pytest
import torch
import torch.nn.functional as F
from oracles_loops import Numbers, batch_norm_by_loops, bilinear_by_loops, conv2d_by_loops, max_pool_by_loops, nearest_by_loops
from torch import nn


def picture(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 4, 2, 4), (3, 2, 3, 1)])
@pytest.mark.parametrize("size", [(3, 3), (2, 1)])
@pytest.mark.parametrize("bias", [picture(8, seed=2), None])
def test_convolution_by_loops_is_that_of_torch(stride, padding, dilation, groups, size, bias):
    x, weight = picture(2, 4, 7, 9), picture(8, 4 // groups, *size, seed=1)
    expected = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    close(expected, conv2d_by_loops(x.tolist(), weight.tolist(), None if bias is None else bias.tolist(),
                                    stride, padding, dilation, groups))


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_by_loops_is_that_of_torch(training):
    norm, x = nn.BatchNorm2d(3, momentum=0.3).double().train(training), 2 + picture(2, 3, 3, 5)
    for seed, tensor in enumerate((norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var)):
        tensor.copy_(picture(3, seed=seed + 1).square())
    numbers = Numbers({f"n.{key}": value for key, value in norm.state_dict().items()}, training=training)
    close(norm(x), numbers.norm("n", x.tolist(), momentum=0.3))
    for key in ("running_mean", "running_var"):
        close(getattr(norm, key), numbers[f"n.{key}"])
    close(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=0.5), batch_norm_by_loops(
        x.tolist(), *(v.tolist() for v in (norm.weight, norm.bias, norm.running_mean, norm.running_var)), eps=0.5))


@pytest.mark.parametrize("old, new", [((3, 5), (7, 9)), ((7, 4), (3, 3)), ((1, 1), (4, 3)), ((4, 6), (4, 6))])
def test_pooling_and_resizing_by_loops_are_those_of_torch(old, new):
    x = picture(2, 3, *old)
    close(F.max_pool2d(x, 3, 2, 1), max_pool_by_loops(x.tolist()))
    close(F.interpolate(x, new), nearest_by_loops(x.tolist(), *new))
    close(F.interpolate(x, new, mode="bilinear", align_corners=False), bilinear_by_loops(x.tolist(), *new))
