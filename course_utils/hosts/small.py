"""The small host of the lessons: four convolutions, average pooling, a linear classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 48, 64, 64)      # of the four layers of SmallHost


def check_sizes(classes: int, widths: Sequence[int], layers: int | None = None, blocks: int = 1) -> None:
    """Refuse a network without outputs, layers or channels."""
    if isinstance(classes, bool) or not isinstance(classes, int):
        raise TypeError(f"classes must be an integer, got {classes!r}. A host takes sizes and no attention: plug it in "
                        "afterwards, plug_in(net, \"se\", at=\"post\").")
    if layers is not None and len(widths) != layers:
        raise ValueError(f"widths must name {layers} layers, got {tuple(widths)}")
    if not widths or min(widths) < 1:
        raise ValueError(f"widths must be channel numbers of at least 1, got {tuple(widths)}")
    if classes < 1 or blocks < 1:
        raise ValueError(f"classes and blocks must be at least 1, got classes={classes}, blocks={blocks}")


class ConvLayer(nn.Module):
    """Convolution -> batch norm -> ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class AveragePool(nn.Module):
    """The mean over all positions, (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class SmallHost(nn.Module):
    """Four convolutions, average pooling, a linear classifier: a CNN with a window of 15 pixels and no more.

        layer   kernel stride   channels     map of 56x56      window     sees every
        layer1  3x3    2        3 -> 16      28x28             3          2 pixels
        layer2  3x3    2        16 -> 48     14x14             7          4
        layer3  3x3    1        48 -> 64     14x14             15         4
        layer4  1x1    1        64 -> 64     14x14             15         4

    Average pooling then adds up what all windows say, so nothing in the host can let one window decide how another is
    read. The batch norm before the classifier brings the average, small because most windows see nothing, back to size.

    Args:
        classes: outputs, at least 1.
        widths: output channels of the four layers.
        groups: of channels that the convolutions keep apart; with 3 each colour has its own, up to the last map.

    Raises:
        ValueError: a size below 1, not four widths, or groups that do not divide them and the 3 colours.
        TypeError: classes is no integer.

    Shape: (N, 3, H, W) float -> (N, classes).
    """

    LAYOUT = ((3, 2), (3, 2), (3, 1), (1, 1))      # kernel, stride

    def __init__(self, classes: int = 10, widths: Sequence[int] = WIDTHS, groups: int = 1):
        super().__init__()
        check_sizes(classes, widths, len(self.LAYOUT))
        if groups < 1 or any(width % groups for width in (3, *widths)):
            raise ValueError(f"groups must divide 3 and all widths, got groups={groups} and widths {tuple(widths)}")
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            ConvLayer(c_in, c_out, kernel, stride, groups)
            for c_in, c_out, (kernel, stride) in zip((3, *widths[:-1]), widths, self.LAYOUT, strict=True))
        self.pool = AveragePool()
        self.norm = nn.BatchNorm1d(widths[-1])
        self.classify = nn.Linear(widths[-1], classes)

    @property
    def layers(self) -> tuple[ConvLayer, ...]:
        """The four, in order."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64, H/4, W/4): what each window says."""
        for layer in self.layers:
            x = layer(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(self.features(x))                # (N, 64)
        return self.classify(self.norm(pooled))             # (N, classes)


class ShuffledHost(SmallHost):
    """SmallHost in groups, whose channels are exchanged between the groups before each layer: they mix, with no weight more."""

    def features(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(F.channel_shuffle(x, layer.conv.groups))
        return x


def two_layers(classes: int = 10) -> SmallHost:
    """SmallHost with a classifier of two layers and a ReLU between them: it can ask about what the votes add up to."""
    net = SmallHost(classes)
    net.classify = nn.Sequential(nn.Linear(WIDTHS[-1], 64), nn.ReLU(), nn.Linear(64, classes))
    return net


def spread(classes: int = 10, dilation: int = 4) -> SmallHost:
    """SmallHost whose third convolution has its nine weights further apart: the same weights, and a larger window."""
    net = SmallHost(classes)
    net.layer3.conv.dilation = net.layer3.conv.padding = (dilation, dilation)
    return net
