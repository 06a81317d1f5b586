"""A very large kernel taken apart into rows and columns. Lesson 03."""

from __future__ import annotations

from torch import nn

from .base import one_of
from .window import LargeKernel

# The side of the window -> the length of the first pair of kernels, of the second, and the dilation of the second.
SIDES = {7: (3, 3, 2), 11: (3, 5, 2), 23: (5, 7, 3), 35: (5, 11, 3), 41: (5, 13, 3), 53: (5, 17, 3)}


def strips(channels: int, length: int, dilation: int = 1) -> nn.Sequential:
    """A depthwise convolution along the rows, then one along the columns."""
    reach = dilation * (length // 2)
    return nn.Sequential(
        nn.Conv2d(channels, channels, (1, length), padding=(0, reach), dilation=(1, dilation), groups=channels),
        nn.Conv2d(channels, channels, (length, 1), padding=(reach, 0), dilation=(dilation, 1), groups=channels))


class SeparableLargeKernel(LargeKernel):
    """Large separable kernel attention: LKA with each square kernel taken apart into a row and a column.

    Lau, Po & Rehman, 2024 (Expert Systems with Applications), arXiv 2309.01439.   Taught in lesson 03.

        u = depthwise 5x1 (depthwise 1x5 (x))                                       (N, C, H, W)    each with a bias
        a = conv 1x1 (depthwise 7x1, dilation 3 (depthwise 1x7, dilation 3 (u)))    (N, C, H, W)    no sigmoid
        y = a * x                                                                   (N, C, H, W)

    Args:
        channels: C, at least 1.
        side: of the window that the two pairs see, one of 7, 11, 23, 35, 41 and 53, as in the authors' code.
        start: "as_made" or "identity" (last layer: weight 0, bias 1).

    Raises:
        ValueError: another side; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: C^2 + C (2 a + 2 b + 5) with a and b the lengths of the kernels, 5 and 7 at side 23.   Authors' socket:
    `instead`, as LKA.
    With kernels of rank one, a column times a row, LKA of the same window is the same function; the row's bias must be zero.
    An LKA kernel of another rank it cannot compute. The weights grow like the side, not like its square.
    Not in timm or torchvision; compared with nested loops written from the formula, and with LKA.
    """

    paper = "2309.01439"

    def __init__(self, channels: int, side: int = 23, start: str = "as_made"):
        super().__init__(channels, start)
        near, far, dilation = SIDES[one_of(side, tuple(SIDES), "side", "SeparableLargeKernel")]
        self.near = strips(channels, near)
        self.far = strips(channels, far, dilation)      # behind them the last layer, the starts and the gate are those of LKA
