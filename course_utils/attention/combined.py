"""Channel and spatial attention in one mechanism: what and where. Lesson 04."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, Mechanism, one_of, positive
from .spatial import SpatialGate, SpatialSE

ORDERS = ("channel first", "spatial first", "parallel")
POOLS = ("both", "mean", "max")


class ChannelGate(Gate):
    """CBAM's channel gate: like SE, with the largest value beside the mean, through the same two layers.

    Woo et al., ECCV 2018, arXiv 1807.06521.   Taught in lesson 04.

        s = sigmoid(MLP(mean over positions) + MLP(max over positions))     (N, C)    one MLP for both
        y = s * x                                                           (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction: r; the hidden width is max(1, C // r).
        bias: in the two layers; yes in the authors' code (the default), no in the paper's parameter counts and in timm.
        pool: "both", or only "mean" (then it is SE) or "max", as in the paper's table 1.
        start: "as_made" or "identity".

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C h + h + C with h = max(1, C // r).   Authors' socket: `post`, as the first half of CBAM.
    Same function as timm's ChannelAttn(mlp_bias=True).
    """

    family = "channel"
    paper = "1807.06521"
    compared = "timm"

    def __init__(self, channels: int, reduction: int = 16, bias: bool = True, pool: str = "both", start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // positive(reduction, "reduction", "ChannelGate"))
        self.pool = one_of(pool, POOLS, "pool", "ChannelGate")
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=bias)
        self.start_from(self.excite)

    def mlp(self, z: Tensor) -> Tensor:
        return self.excite(F.relu(self.squeeze(z)))

    def gate(self, x: Tensor) -> Tensor:
        logits = 0
        if self.pool != "max":
            logits = logits + self.mlp(x.mean((2, 3), keepdim=True))              # (N, C, 1, 1)
        if self.pool != "mean":
            logits = logits + self.mlp(x.amax((2, 3), keepdim=True))
        return self.squash(logits)


class CBAM(Mechanism):
    """Convolutional block attention module: first what (a channel gate), then where (a spatial gate).

    Woo et al., ECCV 2018, arXiv 1807.06521.   Taught in lesson 04.

        x' = ChannelGate(x) * x         (N, C, 1, 1) * (N, C, H, W)
        y  = SpatialGate(x') * x'       (N, 1, H, W) * (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction, bias, pool: see ChannelGate.
        kernel_size, norm: see SpatialGate; the authors' code has norm=True.
        order: "channel first" (the paper), "spatial first", or "parallel" (both gates from x, multiplied; its table 3).
        start: "as_made" (0.25 at first) or "identity".

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or with norm
            a single value in training.

    Parameters: 2 C h + h + C + 2 k^2 + 1 with h = max(1, C // r); with norm one more.   Authors' socket: `post`.
    With norm=True and bias=False, same function as timm's CbamModule. The authors' code stacks [max; mean], has norm=True
    and, in their ResNet, starts the weight of that norm at zero.
    """

    family = "combined"
    paper = "1807.06521"
    compared = "timm"

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7, bias: bool = True, norm: bool = False,
                 pool: str = "both", order: str = "channel first", start: str = "as_made"):
        super().__init__(channels, start)
        self.order = one_of(order, ORDERS, "order", "CBAM")
        self.what = ChannelGate(channels, reduction, bias, pool, start)
        self.where = SpatialGate(channels, kernel_size, norm, start=start)

    def norm_values(self, x: Tensor) -> int:
        return self.where.norm_values(x)

    def gate(self, x: Tensor) -> Tensor:
        """Both gates together, (N, C, H, W)."""
        if self.order == "spatial first":
            where = self.where.gate(x)
            what = self.what.gate(x * where)
        else:
            what = self.what.gate(x)
            where = self.where.gate(x if self.order == "parallel" else x * what)
        self.note("what", what)
        self.note("where", where)
        return what * where

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if self.being_read or self.order == "parallel":
            return x * self.note("gate", self.gate(x))
        first, second = (self.where, self.what) if self.order == "spatial first" else (self.what, self.where)
        x = x * first.gate(x)
        return x * second.gate(x)


class BAM(Gate):
    """Bottleneck attention module: a channel branch and a dilated spatial branch, added before the sigmoid; y = (1 + gate) x.

    Park et al., BMVC 2018, arXiv 1807.06514.   Taught in lesson 04.

        c = BN(W2 (W1 mean + b1) + b2)                          (N, C, 1, 1)
        p = BN(1x1 (3x3 dilation d (3x3 dilation d (1x1 x))))   (N, 1, H, W)    narrow width C / r
        y = (1 + sigmoid(c + p)) * x                            (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction: r; the narrow width is max(1, C // r).
        dilation: d, 4 in the paper.
        combine: "sum" (the paper) or "product" (the authors' code multiplies the two branches before the sigmoid).
        start: "as_made" (1.5 at first) or "identity" (2 sigmoid in place of 1 + sigmoid, exactly 1).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or a batch of
            one in training.

    Parameters: 3 C n + 18 n^2 + 5 n + 3 C + 3 with n = max(1, C // r).   Authors' socket: `between`, after stages 1 to 3.
    The authors' file raises a NameError, has norm and ReLU after the hidden layers, and pools square maps only.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "between"
    paper = "1807.06514"

    def __init__(self, channels: int, reduction: int = 16, dilation: int = 4, combine: str = "sum", start: str = "as_made"):
        super().__init__(channels, start)
        narrow, d = max(1, channels // positive(reduction, "reduction", "BAM")), positive(dilation, "dilation", "BAM")
        self.combine = one_of(combine, ("sum", "product"), "combine", "BAM")
        self.what = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.Conv2d(narrow, channels, 1), nn.BatchNorm2d(channels))
        self.where = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.Conv2d(narrow, narrow, 3, padding=d, dilation=d),
                                   nn.Conv2d(narrow, narrow, 3, padding=d, dilation=d), nn.Conv2d(narrow, 1, 1),
                                   nn.BatchNorm2d(1))
        self.start_from(self.what[-1])
        if combine == "sum":      # one factor of a product at zero is enough, and the other must not be
            self.start_from(self.where[-1])

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0]

    def gate(self, x: Tensor) -> Tensor:
        what = self.what(x.mean((2, 3), keepdim=True))                            # (N, C, 1, 1)
        where = self.where(x)                                                     # (N, 1, H, W)
        gate = self.squash(what + where if self.combine == "sum" else what * where)
        return 1 + gate if self.start == "as_made" else gate


class ScSE(Mechanism):
    """Concurrent spatial and channel SE: gate by what and, separately, by where; keep the larger of the two results.

    Roy, Navab & Wachinger, MICCAI 2018, arXiv 1803.02579; TMI 2019, arXiv 1808.08127.   Taught in lesson 04.

        c = sigmoid(W2 relu(W1 mean)) * x       (N, C, H, W)      cSE: an SE with r = 2
        s = sigmoid(w . x + b) * x              (N, C, H, W)      sSE
        y = max(c, s), or c + s                 (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction: r of the channel part.
        combine: "max", element by element, or "sum" (as the segmentation package smp has it).
        start: "as_made" or "identity" (for "sum", two gates of exactly one half).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C h + h + C + C + 1 with h = max(1, C // r).   Authors' socket: `between`, after every encoder and decoder
    block. With "max" a negative value gets the smaller gate: the larger result, not the larger gate.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "between"
    paper = "1803.02579"

    def __init__(self, channels: int, reduction: int = 2, combine: str = "max", start: str = "as_made"):
        super().__init__(channels, start)
        self.combine = one_of(combine, ("max", "sum"), "combine", "ScSE")
        self.what = ChannelGate(channels, reduction, pool="mean", start=start)
        self.where = SpatialSE(channels, start)

    def gate(self, x: Tensor) -> Tensor:
        """What x is multiplied by, (N, C, H, W)."""
        what, where = self.what.gate(x), self.where.gate(x)
        if self.combine == "sum":      # 2 sigmoid twice would start at 2
            return (what + where) * (0.5 if self.start == "identity" else 1.0)
        return torch.where(x >= 0, torch.maximum(what, where), torch.minimum(what, where))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x * self.note("gate", self.gate(x))
