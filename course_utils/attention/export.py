"""For graphs with open sizes: what torch.jit.trace, torch.export and ONNX can hold for any batch and any map.

Some operations want a number where such a graph has only the name of a size: a convolution its groups, affine_grid and
adaptive pooling their map, a variance its divisor. While a graph is written they are computed in the ways of this file, to
the same numbers but for rounding; otherwise torch's own run.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# torch 2.6 cannot tell an export from compiling: there, compiled code too gets the ways of this file.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


def exporting() -> bool:
    """Is a graph being written, by torch.jit.trace, torch.export or an exporter to ONNX?"""
    return torch.jit.is_tracing() or is_exporting()


def less_one(count: int) -> int:
    """max(1, count - 1) without the question, whose answer a graph would keep for maps of all sizes."""
    return count - 1 + 1 // count


def variance(rows: Tensor) -> Tensor:
    """Over the last dimension, divided by its length less one, (..., L) -> (...); zero where L is one."""
    count = rows.shape[-1]
    if exporting():
        return rows.var(-1, correction=0) * count / less_one(count)
    return rows.var(-1, correction=min(1, count - 1))


def by_windows(x: Tensor, kernels: Tensor, k: int, stride: int, groups: int) -> Tensor:
    """A convolution with a kernel for each picture: (N, C, H, W), (N O, C / G, k, k) -> (N, O, H / stride, W / stride).

    k is odd, and the padding k // 2. As a product with all windows, since the groups N G of one convolution would be fixed.
    """
    n, c, h, w = x.shape
    windows = F.unfold(x, k, padding=k // 2, stride=stride)                      # (N, C k k, L)
    y = kernels.reshape(n, groups, -1, c // groups * k * k) @ windows.unflatten(1, (groups, -1))     # (N, G, O / G, L)
    return y.reshape(n, -1, (h - 1) // stride + 1, (w - 1) // stride + 1)


def middles(size: int, like: Tensor) -> Tensor:
    """Where the pixels of a side lie between -1 and 1: (size,)."""
    return (2 * torch.arange(size, dtype=like.dtype, device=like.device) + 1) / size - 1


def affine_grid(theta: Tensor, x: Tensor) -> Tensor:
    """F.affine_grid(theta, x.shape, align_corners=False): (N, 2, 3), (N, C, H, W) -> (N, H, W, 2)."""
    down, across = middles(x.shape[2], x), middles(x.shape[3], x)
    right, below, shift = theta[:, None, None].unbind(4)                         # (N, 1, 1, 2) each
    return right * across[:, None] + below * down[:, None, None] + shift


def shares(size: int, parts: int, like: Tensor) -> Tensor:
    """Means over pieces of a side, cut as adaptive pooling cuts it, as a matrix (parts, size)."""
    part, place = torch.arange(parts, device=like.device)[:, None], torch.arange(size, device=like.device)
    inside = (place >= part * size // parts) & (place < ((part + 1) * size + parts - 1) // parts)
    return inside.to(like.dtype) / inside.sum(1, keepdim=True)


class AnyPool(nn.AdaptiveAvgPool2d):
    """Adaptive average pooling to a square, (N, C, H, W) -> (N, C, s, s), from a map of any size in a graph too."""

    def forward(self, x: Tensor) -> Tensor:
        if not exporting():
            return super().forward(x)
        down, across = (shares(side, self.output_size, x) for side in x.shape[2:])
        return down @ x @ across.transpose(0, 1)
