"""How much of the picture one position of a map depends on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Window:
    """The part of a picture that one output position of a stack of convolutions depends on."""

    size: int     # pixels across
    step: int     # pixels between the windows of neighbouring positions
    start: int    # first pixel of the window of position 0; negative when it begins in the padding

    def span(self, position: int) -> tuple[int, int]:
        """First and last pixel that the output position sees, along one axis."""
        first = self.start + position * self.step
        return first, first + self.size - 1


def receptive_field(net: nn.Module) -> Window:
    """The window of a chain of convolutions, from kernel sizes, strides, padding and dilation.

    Only for modules whose Conv2d and pooling layers follow each other in the order in which they are registered: no
    branches, square kernels. Araujo, Norris & Sim, Distill 2019, "Computing receptive fields of CNNs", eq. 2-4.
    """
    size, step, start = 1, 1, 0
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, padding, dilation = (
                value[0] if isinstance(value, tuple) else value
                for value in (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1)))
            reach = dilation * (kernel - 1)
            size += reach * step
            start -= {"same": reach // 2, "valid": 0}.get(padding, padding) * step
            step *= stride
    return Window(size, step, start)
