"""What stands in place of a module: attention instead of a convolution, or as the head. The parents get another child."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPE = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


class Instead(nn.Module):
    """Attention where a convolution was. It keeps the convolution's bias, under its name; the kernel is set aside.

    A mechanism that cannot take steps is followed by an average over stride x stride, as the authors of BoT do.
    """

    _plugged_names = ("attention_instead",)

    def __init__(self, conv: nn.Conv2d, attention: nn.Module, shrink: int = 1):
        super().__init__()
        self._plugged_original = (conv,)                      # in a tuple, or torch would register it as a part
        self.attention_instead = attention
        self.shrink = nn.AvgPool2d(shrink, ceil_mode=True, count_include_pad=False) if shrink > 1 else None
        self.bias = conv.bias
        for name in SHAPE:
            setattr(self, name, getattr(conv, name))

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_instead(x)
        y = y if self.shrink is None else self.shrink(y)
        y = y if self.bias is None else y + self.bias.view(-1, 1, 1).to(y.dtype)
        # A convolution keeps the order of its input in memory; what stands instead may not.
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return y.contiguous(memory_format=torch.channels_last) if last else y


class Head(nn.Module):
    """Attention where global average pooling was: (N, C, H, W) to the shape that the network goes on with.

    Where the pooling is a line of code there is no module to replace: `pool` is None, and the line pools one position.
    """

    _plugged_names = ("attention_head",)

    def __init__(self, pool: nn.Module | None, attention: nn.Module, flat: bool = False, relu: bool = False):
        super().__init__()
        self._plugged_original = (pool,)
        self.attention_head = attention
        self.flat, self.relu = flat, relu

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_head(F.relu(x) if self.relu else x)          # (N, C)
        return y if self.flat else y[:, :, None, None]


def replace(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is: a shared module stays shared."""
    for parent in list(net.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new
