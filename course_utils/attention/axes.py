"""Combined gates without a pooled vector: along the two axes, over the three planes, or from the energy. Lesson 04."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, divisor, group_norm, odd, positive, wide
from .export import less_one


class Coordinate(Gate):
    """Coordinate attention: one gate per row and one per column, for every channel.

    Hou, Zhou & Feng, CVPR 2021, arXiv 2103.02907.   Taught in lesson 04.

        f = hswish(BN(W1 [mean along rows; mean along columns]))    (N, m, H + W)    one layer for both
        a = sigmoid(Wh f[:H])    (N, C, H, 1)        b = sigmoid(Ww f[H:])    (N, C, 1, W)
        y = a * b * x            (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction: the narrow width is m = max(8, C // reduction), 32 in the paper.
        start: "as_made" (0.25 at first) or "identity".

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 3 C m + 3 m + 2 C.   Authors' socket: `inner`, after the depthwise convolution, on its expanded channels.
    Same function as timm's CoordAttn(rd_channels=m, bias=True); timm's own defaults differ (other m, no bias).
    """

    family = "combined"
    home = "inner"
    paper = "2103.02907"
    compared = "timm"

    def __init__(self, channels: int, reduction: int = 32, start: str = "as_made"):
        super().__init__(channels, start)
        narrow = max(8, channels // positive(reduction, "reduction", "Coordinate"))
        self.shared = nn.Conv2d(channels, narrow, 1)
        self.norm = nn.BatchNorm2d(narrow)
        self.rows = nn.Conv2d(narrow, channels, 1)
        self.columns = nn.Conv2d(narrow, channels, 1)
        self.start_from(self.rows)
        self.start_from(self.columns)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, 1) and (N, C, 1, W)."""
        h, w = x.shape[2:]
        strips = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(-2, -1)], 2)  # (N, C, H + W, 1)
        f = F.hardswish(self.norm(self.shared(strips)))                                   # (N, m, H + W, 1)
        down, across = f.split([h, w], 2)
        return self.squash(self.rows(down)), self.squash(self.columns(across.transpose(-2, -1)))

    def gate(self, x: Tensor) -> Tensor:
        down, across = self.gates(x)
        return down * across                                                              # (N, C, H, W)


class ELA(Gate):
    """Efficient local attention: one gate per row and one per column, each channel by itself and without a narrow layer.

    Xu & Wan, 2024, arXiv 2403.01123.   Named in lesson 04.

        r = sigmoid(norm(w conv (mean along rows)))         (N, C, H)    w: k weights for each channel, no bias
        c = sigmoid(norm(w conv (mean along columns)))      (N, C, W)    the same w and the same norm for both
        y = r * c * x                                       (N, C, H, W)

    Args:
        channels: C, at least 1.
        kernel_size: k, odd; 7 in the paper's ELA-B, 5 in ELA-T. Their ELA-S and ELA-L let channels see one another and are
            left out.
        groups: of the group norm, 16 in ELA-B; rounded down to the largest number that divides C.
        start: "as_made" (0.25 at first) or "identity" (norm zero).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: k C + 2 C.   Authors' socket: `inner`, where coordinate attention sits.
    timm's EfficientLocalAttn is another function: two convolutions and two norms, a norm over all channels at once in place of
    groups, and a SiLU before the sigmoid, so that no row's or column's gate falls below 0.43.
    Where a row or column has one position and a group one channel, the norm of that number is its bias.
    There is no code of the authors'; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "inner"
    paper = "2403.01123"

    def __init__(self, channels: int, kernel_size: int = 7, groups: int = 16, start: str = "as_made"):
        super().__init__(channels, start)
        k = odd(kernel_size, "kernel_size", "ELA")
        self.conv = nn.Conv1d(channels, channels, k, padding=k // 2, groups=channels, bias=False)
        self.norm = nn.GroupNorm(divisor(channels, positive(groups, "groups", "ELA")), channels)
        self.start_from(self.norm)

    def along(self, strip: Tensor) -> Tensor:
        """The gate of the rows, or of the columns, from their means: (N, C, L) -> (N, C, L)."""
        return self.squash(group_norm(self.conv(strip), self.norm))

    def gate(self, x: Tensor) -> Tensor:
        return self.along(x.mean(3))[..., None] * self.along(x.mean(2))[..., None, :]      # (N, C, H, 1) * (N, C, 1, W)


def zpool(x: Tensor, dim: int) -> Tensor:
    """[max; mean] along one dimension, which becomes 2."""
    return torch.cat([x.amax(dim, keepdim=True), x.mean(dim, keepdim=True)], dim)


class Triplet(Gate):
    """Triplet attention: the spatial gate three times, with height, width and channel taking turns as "channel".

    Misra et al., WACV 2021, arXiv 2010.03045.   Taught in lesson 04.

        plane(a, b) = sigmoid(BN(conv kxk ([max; mean] along the third axis)))
        y = (plane(C, W) + plane(H, C) + plane(H, W)) / 3 * x       (N, C, H, W)

    Args:
        channels: C, at least 1.
        kernel_size: k, odd.
        start: "as_made" or "identity".

    Raises:
        ValueError: an even kernel size; in `forward`, an input that is not a float (N, channels, H, W), or a single value in
            training.

    Parameters: 3 (2 k^2 + 2).   Authors' socket: `post`.
    The convolutions over (C, W) and (H, C) see channels as neighbours, as ECA does.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    paper = "2010.03045"

    def __init__(self, channels: int, kernel_size: int = 7, start: str = "as_made"):
        super().__init__(channels, start)
        k = odd(kernel_size, "kernel_size", "Triplet")
        self.convs = nn.ModuleList(nn.Conv2d(2, 1, k, padding=k // 2, bias=False) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(1, momentum=0.01) for _ in range(3))      # momentum: the authors' code
        for norm in self.norms:
            self.start_from(norm)

    def norm_values(self, x: Tensor) -> int:
        n, c, h, w = x.shape
        return n * min(c * w, c * h, h * w)

    def plane(self, index: int, z: Tensor) -> Tensor:
        return self.squash(self.norms[index](self.convs[index](z)))                        # (N, 1, rows, columns)

    def gate(self, x: Tensor) -> Tensor:
        over_rows = self.plane(0, zpool(x, 2).transpose(1, 2)).transpose(1, 2)             # (N, C, 1, W)
        over_columns = self.plane(1, zpool(x, 3).permute(0, 3, 2, 1)).permute(0, 3, 2, 1)  # (N, C, H, 1)
        over_channels = self.plane(2, zpool(x, 1))                                         # (N, 1, H, W)
        return (over_rows + over_columns + over_channels) / 3


class SimAM(Gate):
    """SimAM: without parameters, weigh each value by how far it stands out from its channel.

    Yang et al., ICML 2021 (PMLR 139) and the authors' code.   Taught in lesson 04.

        v = sum over positions of (x - mean)^2 / (H W - 1)         (N, C, 1, 1)
        y = sigmoid((x - mean)^2 / (4 (v + lambda)) + 1/2) * x     (N, C, H, W)

    Args:
        channels: C, at least 1; only checked, nothing depends on it.
        lambda_: 1e-4 is the code's default; the authors' training commands set 0.1.
        start: "as_made" only: without parameters there is nothing to learn.

    Raises:
        ValueError: lambda_ not positive; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 0.   Authors' socket: `inner`, after the 3x3 convolution, before its norm.
    On a 1x1 map the authors' code divides zero by zero; here a single position has no spread: v = 0, gate sigmoid(1/2).
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "inner"
    paper = "PMLR 139"
    starts = ("as_made",)

    def __init__(self, channels: int, lambda_: float = 1e-4, start: str = "as_made"):
        super().__init__(channels, start)
        if not lambda_ > 0:
            raise ValueError(f"SimAM: lambda_ must be positive, got {lambda_!r}")
        self.lambda_ = lambda_

    def gate(self, x: Tensor) -> Tensor:
        d = wide(x)
        d = (d - d.mean((2, 3), keepdim=True)).square()                           # (N, C, H, W)
        v = d.sum((2, 3), keepdim=True) / less_one(x.shape[2] * x.shape[3])       # (N, C, 1, 1)
        return torch.sigmoid(d / (4 * (v + self.lambda_)) + 0.5).to(x.dtype)
