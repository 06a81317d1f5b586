"""Hosts for large pictures: the whole picture, a smaller copy of it, or a small copy that says where to zoom. Lesson 07."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .small import WIDTHS, SmallHost


class CopyHost(nn.Module):
    """SmallHost on a copy of the picture that is `factor` times smaller (mean of factor x factor pixels).

    Args:
        classes: outputs.
        factor: 1 is the picture itself.
        divide: the widths of SmallHost divided by this: a narrower network in place of a smaller picture.

    Raises:
        ValueError: factor or divide below 1.

    Shape: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, classes: int = 10, *, factor: int = 1, divide: int = 1):
        super().__init__()
        if factor < 1 or divide < 1:
            raise ValueError(f"CopyHost: factor and divide must be at least 1, got {factor} and {divide}")
        self.shrink = nn.AvgPool2d(factor) if factor > 1 else nn.Identity()
        self.read = SmallHost(classes, widths=tuple(max(1, w // divide) for w in WIDTHS))

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.shrink(x))


class ZoomHost(nn.Module):
    """Looks at a small copy, chooses a place, and reads only the patch around it with SmallHost's convolutions.

        p = softmax over places of score(copy)                     (N, 1, h, w)
        training: y = sum over all places of p * features(x)       the expectation over places, exactly; it has a gradient
        after:    the same sum over the patch around the most likely place, with p divided by its sum there

    It does not score and cut by itself: `select` makes the module that does, and `attention.PatchSelection` is one. That also
    draws patches, where even training cannot read the whole picture.

    Args:
        classes: outputs.
        select: channels -> module with `size`, the side of its patch in pixels, a multiple of 4; `factor` 4, how much smaller
            its copy is; `scores(x)`, (N, 3, H, W) -> (N, 1, H/4, W/4); and `cut(x, top, left)`.
        every: after training, too, read all places, as in training: the control for reading one.
        hidden: width of a second layer in the classifier, with a ReLU before the last; 0: there is none.

    Raises:
        ValueError: a size or a factor that does not fit the step of the convolutions; afterwards, a picture smaller than the
            patch.

    Shape: (N, 3, H, W) -> (N, classes).
    """

    STEP = 4      # pixels from one position of SmallHost's features to the next; also how much smaller the copy is

    def __init__(self, classes: int = 10, *, select: Callable[[int], nn.Module], every: bool = False, hidden: int = 0):
        super().__init__()
        host = SmallHost(classes)
        self.layer1, self.layer2, self.layer3, self.layer4 = host.layers
        self.norm, self.classify, self.every = host.norm, host.classify, every
        if hidden:
            self.classify = nn.Sequential(nn.Linear(WIDTHS[-1], hidden), nn.ReLU(), nn.Linear(hidden, classes))
        self.select = select(3)
        if self.select.size < self.STEP or self.select.size % self.STEP or self.select.factor != self.STEP:
            raise ValueError(f"ZoomHost: size must be a multiple of {self.STEP}, and factor {self.STEP}, got "
                             f"{self.select.size} and {self.select.factor}")

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64, H/4, W/4): what each window says."""
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def places(self, x: Tensor) -> Tensor:
        """How likely each place of the copy is the one to read, (N, 1, h, w); sums to one."""
        scores = self.select.scores(x)
        precise = torch.promote_types(scores.dtype, torch.float32)      # in half precision a small share would become nothing
        return scores.flatten(2).softmax(2, dtype=precise).view_as(scores)

    def patch(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The patch around the most likely place, p inside it, and its corner (N, 2) in pixels."""
        side, best, across = self.select.size // self.STEP, p.flatten(1).argmax(1), p.shape[3]
        if min(p.shape[2:]) < side:
            raise ValueError(f"ZoomHost: a patch of {self.select.size}x{self.select.size} does not fit a picture of "
                             f"{tuple(x.shape[2:])}. Make the host with a smaller size, a multiple of {self.STEP}.")
        row = (best // across - side // 2).clamp(0, p.shape[2] - side)
        column = (best % across - side // 2).clamp(0, across - side)
        n, steps = torch.arange(len(x), device=x.device)[:, None, None], torch.arange(side, device=x.device)
        inside = p[:, 0][n, row[:, None, None] + steps[:, None], column[:, None, None] + steps]     # (N, side, side)
        cut = self.select.cut(x, self.STEP * row[:, None], self.STEP * column[:, None])[:, 0]
        return cut, (inside / inside.sum((1, 2), keepdim=True))[:, None], self.STEP * torch.stack([row, column], 1)

    def forward(self, x: Tensor) -> Tensor:
        p = self.places(x)
        if not self.training and not self.every:
            x, p, _ = self.patch(x, p)
        features = self.features(x)                                  # (N, 64, h, w)
        return self.classify(self.norm((features * p).sum((2, 3))))


class RedPatchHost(nn.Module):
    """A rule of hand instead of a learned selection: cut the patch around the reddest place, and read it with SmallHost.

        s = mean over 4 x 4 pixels of red minus green              (N, H/4, W/4)
        y = SmallHost(the patch around the largest s)              (N, classes)

    Args:
        classes: outputs.
        size: side of the patch in pixels, a multiple of 4.

    Raises:
        ValueError: a size that is no multiple of 4, a picture smaller than the patch.

    Shape: (N, 3, H, W) -> (N, classes).
    """

    STEP = 4

    def __init__(self, classes: int = 10, *, size: int = 32):
        super().__init__()
        if size < self.STEP or size % self.STEP:
            raise ValueError(f"RedPatchHost: size must be a multiple of {self.STEP}, got {size}")
        self.size, self.read = size, SmallHost(classes)

    def patch(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, size, size)."""
        if min(x.shape[2:]) < self.size:
            raise ValueError(f"RedPatchHost: a patch of {self.size}x{self.size} does not fit a picture of {tuple(x.shape[2:])}")
        red = F.avg_pool2d(x[:, :1] - x[:, 1:2], self.STEP)[:, 0]                   # (N, h, w)
        best, side = red.flatten(1).argmax(1), self.size
        top = (self.STEP * (best // red.shape[2]) + (self.STEP - side) // 2).clamp(0, x.shape[2] - side)
        left = (self.STEP * (best % red.shape[2]) + (self.STEP - side) // 2).clamp(0, x.shape[3] - side)
        n, steps = torch.arange(len(x), device=x.device)[:, None, None], torch.arange(side, device=x.device)
        return x.movedim(1, -1)[n, (top[:, None] + steps)[:, :, None], (left[:, None] + steps)[:, None, :]].movedim(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.patch(x))


class MaxPool(nn.Module):
    """The largest value of each channel, (N, C, H, W) -> (N, C): the simple control for attention at the head."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


def max_pooled(classes: int = 10) -> SmallHost:
    """SmallHost with max pooling in place of average pooling."""
    host = SmallHost(classes)
    host.pool = MaxPool()
    return host
