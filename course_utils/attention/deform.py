"""Attention to places: a convolution that decides for every position where to look, and how much it counts. Lesson 06."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Run, in_float32, odd, wide
from .kernel import KernelMechanism


def looked_up(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values between the pixels, bilinear, zero outside: (N, C, H, W), two of (N, K, h, w) -> (N, C, K, h, w).

    Whole numbers give the pixels themselves, to the bit.
    """
    h, w = x.shape[2:]
    flat, top, left, total = x.flatten(2), rows.floor(), columns.floor(), 0
    for i, down in ((top, 1 - (rows - top)), (top + 1, rows - top)):
        for j, across in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            inside = (i >= 0) & (i < h) & (j >= 0) & (j < w)
            place = torch.where(inside, i * w + j, torch.zeros_like(i)).long().flatten(1)      # (N, K h w)
            values = flat.gather(2, place[:, None].expand(-1, x.shape[1], -1))                 # (N, C, K h w)
            total = total + values.reshape(*flat.shape[:2], *rows.shape[1:]) * (down * across * inside)[:, None]
    return total


class DeformConv(KernelMechanism):
    """Modulated deformable convolution: every position chooses where its k x k samples are taken, and weighs each of them.

    Zhu et al., CVPR 2019, arXiv 1811.11168.   Taught in lesson 06.

        o, l = W0 x                               (N, K, 2, H, W), (N, K, H, W)    K = k^2; W0: k x k, with bias
        s = x at p + p_j + o_j, bilinear          (N, C, K, H, W)    p_j: the K places of a window around p; zero outside x
        y = sum over j of W_j sigmoid(l_j) s_j    (N, C_out, H, W)

    Args:
        channels: C in.
        out_channels: C out; None: as many.
        kernel_size: k, odd.
        stride, groups: of the convolution.
        start: "as_made", W0 zero as the authors have it (the plain convolution, halved: every sigmoid is 1/2), or "identity":
            W is also twice the kernel that passes its channel on; for out_channels = channels and stride 1.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: K C C_out / G + 3 K (K C + 1) with K = k^2.   Authors' socket: `instead`, the 3x3 of the last three stages.
    Their W0 learns at a tenth of the rate of the rest. One set of places serves all channels, which their code calls one
    deformable group; there is no bias, as in a convolution before a norm.
    Where to sample is attention too: "offsets" and "weights" can be read, (N, K, 2, H, W), down and across, and (N, K, H, W).
    Same function as torchvision's DeformConv2d with the offsets and the mask of W0.
    """

    paper = "1811.11168"
    compared = "torchvision"
    adopts = "exact"
    starts = ("as_made", "identity")

    def __init__(self, channels: int, out_channels: int | None = None, kernel_size: int = 3, stride: int = 1, groups: int = 1,
                 start: str = "as_made"):
        super().__init__(channels, out_channels, stride, groups, start)
        self.kernel_size = k = odd(kernel_size, "kernel_size", "DeformConv")
        self.look = nn.Conv2d(channels, 3 * k * k, k, stride, k // 2)
        nn.init.zeros_(self.look.weight)
        nn.init.zeros_(self.look.bias)
        self.kernel = nn.Parameter(torch.empty(self.out_channels, channels // groups, k, k))
        nn.init.kaiming_uniform_(self.kernel, a=5 ** 0.5)      # as torch makes a convolution
        if start == "identity":
            if self.out_channels != channels or stride != 1:
                raise ValueError(f"DeformConv: an identity start needs out_channels = channels and stride 1, got "
                                 f"{self.out_channels}, {channels} and stride {stride}")
            self.adopt(nn.init.dirac_(self.kernel.detach(), groups))

    def adopt(self, kernel: Tensor) -> None:
        """Begin as the convolution with this kernel, (C_out, C / G, k, k): twice, since every sample counts half."""
        self.kernel.data.copy_(2 * kernel)

    def places(self, offsets: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
        """Row and column of every sample, from what is added to them, (N, K, 2, h, w): (N, K, h, w) twice."""
        tap = torch.arange(self.kernel_size, dtype=offsets.dtype, device=offsets.device) - self.kernel_size // 2
        down, across = (self.stride * torch.arange(side, dtype=offsets.dtype, device=offsets.device) for side in (h, w))
        rows = (tap[:, None] + down).repeat_interleave(self.kernel_size, 0)[..., None]          # (K, h, 1)
        columns = (tap[:, None] + across).repeat(self.kernel_size, 1)[:, None]                  # (K, 1, w)
        return offsets[:, :, 0] + rows, offsets[:, :, 1] + columns

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return in_float32(self.convolve, x)

    def convolve(self, x: Tensor, run: Run) -> Tensor:
        count = self.kernel_size ** 2
        told = run(self.look, x)                                                 # (N, 3 K, h, w)
        offsets = self.note("offsets", told[:, :2 * count].unflatten(1, (count, 2)))
        weights = self.note("weights", told[:, 2 * count:].sigmoid())            # (N, K, h, w)
        samples = looked_up(x, *self.places(offsets, *told.shape[2:])) * weights[:, None]         # (N, C, K, h, w)
        return F.conv2d(samples.flatten(1, 2), wide(self.kernel).flatten(1)[..., None, None], groups=self.groups)
