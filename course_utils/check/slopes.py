"""Is the gradient the slope of what comes out? A part of the way back may be cut off where another part still works."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

STEP = 1e-5      # in double precision; half of it must say the same, or there is a corner here and nothing is said


def partly_cut(function: Callable[..., Tensor], values: Sequence[Tensor]) -> list[int]:
    """Which of the values, by number, get a gradient that is not the slope, measured by small steps along one direction.

    All in double precision. Where that cannot be done, or the answer brings its result back to single, none.
    """
    draw = torch.Generator().manual_seed(5)
    values = [value.detach().double() for value in values]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)      # for what is made inside
    try:
        leaves = [value.clone().requires_grad_() for value in values]
        y = function(*leaves)
        if y.dtype != torch.float64 or not y.requires_grad:
            return []
        weights = torch.randn(y.shape, generator=draw)
        slopes = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)

        def measured(i: int, way: Tensor, step: float) -> float:
            ends = [[v + sign * step * way if k == i else v.clone() for k, v in enumerate(values)] for sign in (1, -1)]
            with torch.no_grad():
                return ((function(*ends[0]) - function(*ends[1])) * weights).sum().item() / (2 * step)
        cut = []
        for i, slope in enumerate(slopes):
            way = torch.randn(values[i].shape, generator=draw)
            told, found, again = 0.0 if slope is None else (slope * way).sum().item(), *(measured(i, way, s) for s in
                                                                                         (STEP, STEP / 2))
            if abs(found - again) < 1e-4 * (abs(found) + 1e-3) and abs(told - found) > 0.01 * (abs(found) + 1e-3):
                cut.append(i)
        return cut
    except Exception:      # what is wrong with the answer in single precision has been said already
        return []
    finally:
        torch.set_default_dtype(before)


def partly_cut_in(module: nn.Module, x: Tensor) -> list[str]:
    """As `partly_cut`, of x and the parameters of a module, by name."""
    try:
        double = copy.deepcopy(module).double()
    except Exception:
        return []
    names = [name for name, p in double.named_parameters() if p.requires_grad]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(double, dict(zip(names, parameters, strict=True)), (x,))
    own = dict(double.named_parameters())
    return [["x", *names][i] for i in partly_cut(run, [x, *(own[name] for name in names)])]
