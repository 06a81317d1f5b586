"""What is plugged in like attention and is none, or has one thing changed: the controls of studies. Nothing else uses them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import DynamicConv, build


class Added(nn.Module):
    """The gate of a mechanism, added instead of multiplied: y = x + gate(x). Is it the product that helps?

    Args:
        channels: C of the map.
        made: a name of attention.REGISTRY whose mechanism is a gate.
        options: its own.
    """

    def __init__(self, channels: int, made: str, **options):
        super().__init__()
        self.made = build(made, channels, **options)

    def forward(self, x: Tensor) -> Tensor:
        self.made.check(x)
        return x + self.made.gate(x)                                 # (N, C, 1, 1) or (N, 1, H, W), spread over (N, C, H, W)


class LargeConv(nn.Module):
    """A k x k convolution of each channel by itself, added: y = x + conv(x). It reaches as far as a gate, and chooses nothing.

    Args:
        channels: C of the map.
        kernel_size: k, odd.

    Parameters: C k^2.
    """

    def __init__(self, channels: int, kernel_size: int = 15):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class CooledDynamicConv(DynamicConv):
    """Dynamic convolution whose temperature falls in a straight line while it trains, as Chen et al. do it (arXiv 1912.03458).

    Args:
        cool: forward passes in training until the temperature has come from `temperature` down to 1; it stays there.
    """

    def __init__(self, channels: int, *shape, cool: int = 400, **options):
        super().__init__(channels, *shape, **options)
        self.cool, self.hot, self.passed = cool, self.temperature, 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.temperature = max(1.0, self.hot + (1 - self.hot) * self.passed / self.cool)
            self.passed += 1
        return super().forward(x)


class Pointwise(nn.Module):
    """The two small layers of SE at every position, and added: y = x + W2 relu(W1 x). As many weights as SE; nothing is weighed.

    Args:
        channels: C of the map.
        reduction: r; the hidden width is max(1, C // r), as SE has it.

    Parameters: 2C^2/r + C/r + C.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze, self.excite = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.excite(F.relu(self.squeeze(x)))              # (N, C, H, W)


class OneNumber(nn.Module):
    """A gate that looks at nothing: y = 2 sigmoid(b) x, with one learned number for all pictures, channels and places.

    It begins at exactly x, as a gate with the identity start, and goes as far: from 0 to 2. What it gains, no looking gains.

    Args:
        channels: C of the map, for the sake of the call.

    Parameters: 1.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * torch.sigmoid(self.b) * x


class Balance(nn.Module):
    """A sum of two maps that looks at neither: y = w a + (2 - w) b, w = 2 sigmoid(v), and v one learned number. Blind AFF.

    It begins at exactly a + b.

    Args:
        channels, others: C of the two maps, for the sake of the call.

    Parameters: 1.
    """

    def __init__(self, channels: int, others: int | None = None):
        super().__init__()
        self.v = nn.Parameter(torch.zeros(()))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        w = 2 * torch.sigmoid(self.v)
        return w * a + (2 - w) * b


# Name of a trial's mechanism -> what makes it. The names are none of attention.REGISTRY.
CONTROLS: dict[str, Callable[..., nn.Module]] = {
    "se_added": partial(Added, made="se"),
    "spatial_gate_added": partial(Added, made="spatial_gate"),
    "large_conv": LargeConv,
    "pointwise": Pointwise,
    "one_number": OneNumber,
    "balance": Balance,
    "cooled_dynamic_conv": CooledDynamicConv,
}
