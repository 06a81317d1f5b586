"""A small U-Net: a class for every pixel, with the skips written out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .residual import ResidualBlock
from .small import ConvLayer, check_sizes


class Join(nn.Module):
    """Where a skip joins: what comes from below, enlarged to its size, and the skip, side by side."""

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([F.interpolate(below, size=skip.shape[2:], mode="nearest"), skip], 1)


class UNet(nn.Module):
    """Down to an eighth of the size and up again; on the way up the map of the same size from the way down joins.

        stem                  3x3 convolution           (N, 8, H, W)
        down2, down3, low     a residual block each     (N, 16, H/2, W/2), (N, 32, H/4, W/4), (N, 64, H/8, W/8)
        join3, join2, join1   a larger copy of what is below, and the skip of that size, side by side
        up3, up2              a residual block each     (N, 32, H/4, W/4), (N, 16, H/2, W/2)
        up1                   3x3 convolution           (N, 8, H, W)

    Ronneberger, Fischer & Brox, MICCAI 2015, arXiv 1505.04597, with padding, residual blocks and nearest-neighbour copies.

    Args:
        classes: of a pixel, the ground among them; at least 1.
        widths: channels of the four levels.

    Raises:
        ValueError: a size below 1, not four widths; afterwards, a picture of fewer than 8 pixels on a side.
        TypeError: classes is no integer.

    Shape: (N, 3, H, W) float -> (N, classes, H, W).
    """

    def __init__(self, classes: int = 11, widths: Sequence[int] = (8, 16, 32, 64)):
        super().__init__()
        check_sizes(classes, widths, 4)
        c1, c2, c3, c4 = widths
        self.stem = ConvLayer(3, c1, 3, 1)
        self.down2, self.down3, self.low = ResidualBlock(c1, c2, 1), ResidualBlock(c2, c3, 1), ResidualBlock(c3, c4, 1)
        self.up3, self.up2 = ResidualBlock(c4 + c3, c3, 1), ResidualBlock(c3 + c2, c2, 1)
        self.up1 = ConvLayer(c2 + c1, c1, 3, 1)
        self.join3, self.join2, self.join1 = Join(), Join(), Join()
        self.out = nn.Conv2d(c1, classes, 1)
        nn.init.constant_(self.out.bias[:1], 3.0)      # most pixels are of the ground: begin with that

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.stem(x)                                                    # (N, 8, H, W)
        skip2 = self.down2(F.max_pool2d(skip1, 2))                              # (N, 16, H/2, W/2)
        skip3 = self.down3(F.max_pool2d(skip2, 2))                              # (N, 32, H/4, W/4)
        y = self.low(F.max_pool2d(skip3, 2))                                    # (N, 64, H/8, W/8)
        y = self.up3(self.join3(y, skip3))                                      # (N, 32, H/4, W/4)
        y = self.up2(self.join2(y, skip2))                                      # (N, 16, H/2, W/2)
        y = self.up1(self.join1(y, skip1))                                      # (N, 8, H, W)
        return self.out(y)                                                      # (N, classes, H, W)


def pixel_loss(logits: Tensor, y: Tensor) -> Tensor:
    """How far logits (N, classes, H, W) are from the classes of pixels y (N, H, W), 0 for the ground.

        cross-entropy, in which a pixel of the ground has a tenth of the weight of another, + 1 - Dice
        Dice = 2 sum p t / (sum p + sum t) of each class, p its probability and t its pixels; then the mean over classes

    With 95 % of the pixels on the ground, plain cross-entropy first learns to say nothing else. Dice: Milletari, Navab & Ahmadi,
    3DV 2016, arXiv 1606.04797, section 3, without the squares.
    """
    weight = logits.new_ones(logits.shape[1])
    weight[0] = 0.1
    log = logits.log_softmax(1)
    p, there = log.exp(), torch.bincount(y.flatten(), minlength=logits.shape[1])         # (N, classes, H, W), (classes,)
    both = torch.zeros_like(weight).index_add(0, y.flatten(), p.gather(1, y[:, None]).flatten())
    sums = p.sum((0, 2, 3)) + there
    return F.nll_loss(log, y, weight) + 1 - (2 * both / sums.clamp(min=1)).mean()
