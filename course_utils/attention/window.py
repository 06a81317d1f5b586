"""Spatial gates that look far: an hourglass, and a very large kernel. Lesson 03."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, positive


class PreActivation(nn.Module):
    """A residual unit in which norm and ReLU come before each convolution (He et al. 2016, arXiv 1603.05027)."""

    def __init__(self, channels: int):
        super().__init__()
        narrow = max(1, channels // 4)
        sizes = [(channels, narrow, 1), (narrow, narrow, 3), (narrow, channels, 1)]
        self.branch = nn.Sequential(*(layer for i, o, k in sizes for layer in (
            nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, o, k, padding=k // 2, bias=False))))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class ResidualMask(Gate):
    """Residual attention: an hourglass makes a mask that can only add to what was there, y = (1 + mask) x.

    Wang et al., CVPR 2017, arXiv 1704.06904.   Taught in lesson 03.

        d = unit(max-pool 3x3 stride 2 (x)), `levels` times            down: every position sees a large part
        u = unit(bilinear upsampling + skip), then once more up        up, back to (H, W)
        M = sigmoid(conv 1x1 (conv 1x1 (u)))    (N, C, H, W)           norm and ReLU before each of the two
        y = (1 + M) * x;  with residual=False, the paper's "naive" form: y = M * x

    Args:
        channels: C, at least 1.
        levels: how often the map is halved, 1 to 3 in the paper by stage.
        residual: False gives the naive mask.
        start: "as_made" (near 1.5 at first; naive: 0.5) or "identity" (2 sigmoid in place of 1 + sigmoid, exactly 1).

    Raises:
        ValueError: levels below 1; in `forward`, an input that is not a float (N, channels, H, W), or a single value per
            channel in training.

    Parameters: (2 levels - 1) u + 2 C^2 + 5 C with u = 2 C n + 9 n^2 + 2 C + 4 n and n = max(1, C // 4).
    Authors' socket: `between`, a module between stages. The mask alone: their module also holds the trunk that it multiplies.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "spatial"
    home = "between"
    paper = "1704.06904"

    def __init__(self, channels: int, levels: int = 2, residual: bool = True, start: str = "as_made"):
        super().__init__(channels, start)
        self.residual = residual
        positive(levels, "levels", "ResidualMask")
        self.down = nn.ModuleList(PreActivation(channels) for _ in range(levels))
        self.up = nn.ModuleList(PreActivation(channels) for _ in range(levels - 1))
        self.head = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False),
                                  nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1))
        self.start_from(self.head[-1])

    def norm_values(self, x: Tensor) -> int:
        h, w = x.shape[2:]
        for _ in self.down:
            h, w = (h + 1) // 2, (w + 1) // 2
        return x.shape[0] * h * w

    def gate(self, x: Tensor) -> Tensor:
        skips, u = [], x
        for unit in self.down:
            skips.append(u)
            u = unit(F.max_pool2d(u, 3, 2, 1))                                    # half the size, rounded up
        for unit in self.up:
            skip = skips.pop()
            u = unit(F.interpolate(u, skip.shape[2:], mode="bilinear", align_corners=False) + skip)
        u = F.interpolate(u, x.shape[2:], mode="bilinear", align_corners=False)   # (N, C, H, W)
        mask = self.squash(self.head(u))
        return 1 + mask if self.residual and self.start == "as_made" else mask


class LargeKernel(Gate):
    """Large-kernel attention: weigh every value by a window of 23x23, without any squashing.

    Guo et al., CVMJ 2023, arXiv 2202.09741.   Taught in lesson 03.

        a = conv 1x1 (depthwise 7x7, dilation 3 (depthwise 5x5 (x)))    (N, C, H, W)    no sigmoid: any sign and size
        y = a * x                                                       (N, C, H, W)

    Args:
        channels: C, at least 1.
        start: "as_made" or "identity" (last layer: weight 0, bias 1).

    Raises:
        ValueError: in `forward`, an input that is not a float (N, channels, H, W).

    The paper speaks of the 21x21 kernel that it takes apart; the two depthwise ones reach 2 + 9 = 11 to each side, so 23x23.

    Parameters: C^2 + 77 C.   Authors' socket: `instead`, the token mixer of every block of their network, between two 1x1
    convolutions and a skip; this is the attention alone.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "spatial"
    home = "instead"
    paper = "2202.09741"

    def __init__(self, channels: int, start: str = "as_made"):
        super().__init__(channels, start)
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.join = nn.Conv2d(channels, channels, 1)
        self.start_from(self.join)
        if start == "identity":
            nn.init.ones_(self.join.bias)

    def gate(self, x: Tensor) -> Tensor:
        return self.join(self.far(self.near(x)))                                  # (N, C, H, W)
