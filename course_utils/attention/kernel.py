"""Attention over branches: several convolutions side by side, and the picture decides how much of each. Lesson 06."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Mechanism, positive


def check_groups(channels: int, out_channels: int, groups: int, name: str) -> None:
    """Refuse groups that do not divide both widths."""
    if channels % positive(groups, "groups", name) or out_channels % groups:
        raise ValueError(f"{name}: groups must divide channels and out_channels, got groups={groups}, channels={channels}, "
                         f"out_channels={out_channels}")


class KernelMechanism(Mechanism):
    """A mechanism in place of a convolution: `out_channels`, `stride` and `groups` are those of the one it replaces.

    `adopts` says what `adopt(kernel)` can do with the kernel of that convolution: "exact" computes the same at first,
    "branches" gives the kernel to every branch, but norms and ReLUs follow; "" where there is no such start.
    """

    adopts = ""
    family = "kernel"
    kind = "kernel"
    home = "instead"
    starts: tuple[str, ...] = ("as_made",)

    def __init__(self, channels: int, out_channels: int | None, stride: int, groups: int, start: str):
        super().__init__(channels, start)
        name = type(self).__name__
        self.out_channels = channels if out_channels is None else positive(out_channels, "out_channels", name)
        self.stride, self.groups = positive(stride, "stride", name), groups
        check_groups(channels, self.out_channels, groups, name)

    def extra_repr(self) -> str:
        return f"{self.channels}, out_channels={self.out_channels}, stride={self.stride}, groups={self.groups}"


class SelectiveKernel(KernelMechanism):
    """Selective kernel: a 3x3 and a 5x5 window side by side; each channel chooses between them by the whole picture.

    Li et al., CVPR 2019, arXiv 1903.06586.   Taught in lesson 06.

        u1 = relu(BN(3x3 x)),  u2 = relu(BN(3x3 dilation 2 x))       (N, C, H, W)     further branches: dilation 3, ...
        z  = relu(BN(W mean(u1 + u2)))                               (N, d)
        a  = softmax over branches of (A1 z, A2 z)                   (N, 2, C)
        y  = a1 * u1 + a2 * u2                                       (N, C, H, W)

    Args:
        channels: C in.
        out_channels: C out; None: as many.
        stride, groups: of the branches (the paper's network has 32 groups; 1 here, so that any C fits).
        branches: at least 2.
        reduction: d = max(C // reduction, smallest), 16 and 32 in the paper.
        smallest: the least d.
        start: "as_made" only: the branches end in a norm and a ReLU.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or a batch of
            one in training.

    Parameters: M (9 C^2 / G + 2 C) + C d + 2 d + M d C with M branches (for C in = C out).   Authors' socket: `instead`, the
    3x3 of every block.
    Same function as timm's SelectiveKernel(split_input=False, rd_channels=d); by default timm splits the input over branches.
    """

    paper = "1903.06586"
    compared = "timm"

    def __init__(self, channels: int, out_channels: int | None = None, stride: int = 1, groups: int = 1, branches: int = 2,
                 reduction: int = 16, smallest: int = 32, start: str = "as_made"):
        super().__init__(channels, out_channels, stride, groups, start)
        if positive(branches, "branches", "SelectiveKernel") < 2:
            raise ValueError("SelectiveKernel: branches must be at least 2, there is nothing to choose from one")
        width = self.out_channels
        d = max(width // positive(reduction, "reduction", "SelectiveKernel"), positive(smallest, "smallest", "SelectiveKernel"))
        self.branches = nn.ModuleList(nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=k, dilation=k, groups=groups, bias=False), nn.BatchNorm2d(width),
            nn.ReLU()) for k in range(1, branches + 1))
        self.squeeze = nn.Sequential(nn.Conv2d(width, d, 1, bias=False), nn.BatchNorm2d(d), nn.ReLU())
        self.select = nn.Conv2d(d, branches * width, 1, bias=False)

    adopts = "branches"

    def adopt(self, kernel: Tensor) -> None:
        """Every branch begins with this kernel, (C_out, C / G, 3, 3), the wider ones with gaps between its values."""
        for branch in self.branches:
            branch[0].weight.data.copy_(kernel)

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        u = torch.stack([branch(x) for branch in self.branches], 1)              # (N, M, C, H, W)
        z = self.squeeze(u.sum(1).mean((2, 3), keepdim=True))                    # (N, d, 1, 1)
        a = self.select(z).unflatten(1, (u.shape[1], -1)).softmax(1)             # (N, M, C, 1, 1)
        a = self.note("weights", a[..., 0, 0])[..., None, None]
        return (a * u).sum(1)


class SplitAttention(KernelMechanism):
    """Split attention: the channels of one grouped convolution as R branches; softmax over them, channel by channel.

    Zhang et al., CVPR-W 2022 (ResNeSt), arXiv 2004.08955.   Taught in lesson 06.

        u = relu(BN(3x3 x)) with R C channels in R G groups     (N, R, C, H, W)
        z = relu(BN(W1 mean(sum over r of u) + b1))             (N, d)       W1, W2 in G groups
        a = softmax over r of W2 z + b2                         (N, R, C)    R = 1: sigmoid
        y = sum over r of a_r * u_r                             (N, C, H, W)

    Args:
        channels: C in; R G must divide it.
        out_channels: C out; None: as many.
        stride: of the convolution.
        groups: G, the paper's cardinality.
        radix: R; None takes 2, or 1 where channels is odd.
        reduction: d = max(C R // reduction, 32), 4 in the paper; rounded up to a multiple of G.
        start: "as_made" only: the branches end in a norm and a ReLU.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or a batch of
            one in training.

    Parameters: 9 C C_out / G + 2 R C_out + C_out d / G + d + 2 d + d R C_out / G + R C_out.   Authors' socket: `instead`.
    Same function as timm's SplitAttn(norm_layer=nn.BatchNorm2d), where timm does not round d up to a multiple of 8; by
    default timm has no norm.
    """

    paper = "2004.08955"
    compared = "timm"

    def __init__(self, channels: int, out_channels: int | None = None, stride: int = 1, groups: int = 1,
                 radix: int | None = None, reduction: int = 4, start: str = "as_made"):
        super().__init__(channels, out_channels, stride, groups, start)
        self.radix = (1 if channels % (2 * groups) else 2) if radix is None else positive(radix, "radix", "SplitAttention")
        if channels % (self.radix * groups):
            raise ValueError(f"SplitAttention: radix times groups must divide channels, got radix={self.radix}, groups={groups}, "
                             f"channels={channels}")
        width, branched = self.out_channels, self.out_channels * self.radix
        d = max(channels * self.radix // positive(reduction, "reduction", "SplitAttention"), 32)
        d += -d % groups
        self.conv = nn.Conv2d(channels, branched, 3, stride, padding=1, groups=self.radix * groups, bias=False)
        self.norm = nn.BatchNorm2d(branched)
        self.squeeze = nn.Sequential(nn.Conv2d(width, d, 1, groups=groups), nn.BatchNorm2d(d), nn.ReLU())
        self.select = nn.Conv2d(d, branched, 1, groups=groups)

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        u = F.relu(self.norm(self.conv(x))).unflatten(1, (self.radix, -1))       # (N, R, C, H, W)
        logits = self.select(self.squeeze(u.sum(1).mean((2, 3), keepdim=True)))  # (N, R C, 1, 1), ordered (G, R, C / G)
        a = logits.unflatten(1, (self.groups, self.radix, -1))
        a = a.softmax(2) if self.radix > 1 else a.sigmoid()
        a = a.transpose(1, 2).flatten(2, 3)                                      # (N, R, C, 1, 1)
        a = self.note("weights", a[..., 0, 0])[..., None, None]
        return (a * u).sum(1)
