"""Every registered mechanism in a graph with open sizes: traced once, it is right for other batches and other maps.

Networks, and ONNX, are in test_sockets_export.py.
"""

import warnings

import pytest
import torch
import torch.nn.functional as F
from properties import CASES, MAP, over, picture

from course_utils.attention import PatchSelection, export

OPEN = [case for case in CASES if not issubclass(case.cls, PatchSelection)]      # no plain socket takes that one


def traced(module, x):
    """Without what torch has to say about tracing, but with an error where Python asks for a size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", torch.jit.TracerWarning)
        return torch.jit.trace(module, x, check_trace=False)


@over(OPEN)
def test_a_trace_holds_for_other_batches_and_maps(case):
    """Catches a number of groups, a size or the answer to an `if` that the trace keeps; a map of one position is one, too."""
    n, c, h, w = shape = case.shape(2, 6, 5, 9)
    module = case.trained(shape)
    run = traced(module, picture(*shape))
    fixed = MAP in case.options.values()      # a table of positions
    for other in [(3, c, h, w)] if fixed else [(3, c, 8, 6), (1, c, 4, 13), (2, c, 1, 1)]:
        x = picture(*other)
        torch.testing.assert_close(run(x), module(x), rtol=1e-10, atol=1e-10)


@pytest.fixture
def writing(monkeypatch):
    monkeypatch.setattr(export, "exporting", lambda: True)


SIDES = [(5, 9), (1, 3), (4, 4), (16, 33), (7, 2)]


@pytest.mark.parametrize("size", SIDES, ids=str)
def test_the_ways_for_a_graph_give_what_torchs_own_give(size, writing):
    """Catches corners that are aligned, rows for columns, pieces of a pooling that end too early, another divisor."""
    x, theta = picture(2, 3, *size), picture(2, 2, 3, seed=1)
    torch.testing.assert_close(export.affine_grid(theta, x), F.affine_grid(theta, list(x.shape), align_corners=False))
    torch.testing.assert_close(export.AnyPool(4)(x), F.adaptive_avg_pool2d(x, 4))
    rows = x.flatten(2)
    torch.testing.assert_close(export.variance(rows), rows.var(2))
    one = rows[..., :1]
    assert torch.equal(export.variance(one), torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("k, stride, groups", [(3, 1, 1), (3, 2, 2), (5, 3, 1), (1, 1, 4), (1, 2, 1)])
def test_windows_give_the_convolution_of_each_picture(k, stride, groups):
    """Catches a stride, groups or a padding that is forgotten."""
    x, kernels = picture(3, 4, 9, 8), picture(3 * 8, 4 // groups, k, k, seed=1)
    y = export.by_windows(x, kernels, k, stride, groups)
    expected = [F.conv2d(one[None], kernel, stride=stride, padding=k // 2, groups=groups)
                for one, kernel in zip(x, kernels.chunk(3), strict=True)]
    torch.testing.assert_close(y, torch.cat(expected))


def test_outside_a_graph_nothing_is_done_the_slow_way(monkeypatch):
    """Catches the ways for a graph in an ordinary run."""
    assert not export.exporting()
    monkeypatch.setattr(export, "shares", None)
    assert export.AnyPool(4)(picture(1, 1, 5, 5)).shape == (1, 1, 4, 4)
    seen = []

    class Asks(torch.nn.Module):
        def forward(self, x):
            seen.append(export.exporting())
            return x + 1

    traced(Asks(), picture(2))
    torch.export.export(Asks(), (picture(2),), strict=False)
    assert seen and all(seen)
