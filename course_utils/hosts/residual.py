"""A small residual network: where there is a skip, a place before the branch is not a place after it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .small import AveragePool, check_sizes


class ResidualBlock(nn.Module):
    """y = relu(skip(x) + branch(x)), with a branch of two 3x3 convolutions."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        same = stride == 1 and c_in == c_out
        self.skip = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(self.skip(x) + y)


class SmallResNet(nn.Module):
    """A residual network for 28x28 to 64x64 pictures: a stem and three stages of `blocks` residual blocks.

    He et al., CVPR 2016, arXiv 1512.03385, the CIFAR form of section 4.2 with projection skips.

    Args:
        classes: outputs, at least 1.
        widths: channels of the stages, one each.
        blocks: residual blocks in a stage; the first of each stage but the first halves the map.
        channels: of the picture.

    Raises:
        ValueError: a size below 1. TypeError: classes is no integer.

    Shape: (N, channels, H, W) float -> (N, classes).
    """

    def __init__(self, classes: int = 10, widths: Sequence[int] = (16, 32, 64), blocks: int = 1, channels: int = 3):
        super().__init__()
        check_sizes(classes, widths, blocks=blocks)
        self.stem = nn.Sequential(nn.Conv2d(channels, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
                                  nn.ReLU())
        self.stages, c_in = nn.Sequential(), widths[0]
        for level, c_out in enumerate(widths):
            stage = nn.Sequential()
            for stride in [1 if level == 0 else 2] + [1] * (blocks - 1):
                stage.append(ResidualBlock(c_in, c_out, stride))
                c_in = c_out
            self.stages.append(stage)
        self.pool = AveragePool()
        self.classify = nn.Linear(c_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(self.stages(self.stem(x))))
