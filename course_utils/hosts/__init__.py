"""The plain networks that receive attention. They take sizes and know nothing of it: plug_in brings it.

    net = hosts.SmallHost()
    plug_in(net, "eca", at="post")
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from .detector import Detector, boxes_of, detection_loss
from .large import CopyHost, MaxPool, RedPatchHost, ZoomHost, max_pooled
from .residual import ResidualBlock, SmallResNet
from .small import AveragePool, ConvLayer, ShuffledHost, SmallHost, spread, two_layers
from .unet import UNet, pixel_loss
from .window import Window, receptive_field

# name -> classes -> network. The wide ones are controls: no attention, and more parameters than the same host has with
# attention at all of its places.
HOSTS: dict[str, Callable[..., nn.Module]] = {
    "small_host": SmallHost,
    "small_resnet": SmallResNet,
    "wide_host": partial(SmallHost, widths=(18, 54, 72, 72)),
    # The colours in three groups of channels up to the last map; and the same widths without groups.
    "apart_host": partial(SmallHost, widths=(18, 48, 66, 66), groups=3),
    "mixed_host": partial(SmallHost, widths=(18, 48, 66, 66)),
    "shuffled_host": partial(ShuffledHost, widths=(18, 48, 66, 66), groups=3),      # as few weights, and it mixes
    "wide_resnet": partial(SmallResNet, widths=(17, 33, 66)),
    # What else than attention can compare two places: a larger window, or a classifier that asks twice. Lesson 01.
    "spread_2": partial(spread, dilation=2),
    "spread_4": partial(spread, dilation=4),
    "two_layers": two_layers,
    "whole": CopyHost,
    "copy_2": partial(CopyHost, factor=2),
    "copy_4": partial(CopyHost, factor=4),
    "narrow_4": partial(CopyHost, divide=4),
    "max_pooled": max_pooled,
}

# Those whose answer is not one class: boxes, and a class for every pixel. Lesson 15.
OTHERS: dict[str, Callable[..., nn.Module]] = {
    "detector": Detector,
    "unet": UNet,
    "wide_detector": partial(Detector, widths=(17, 26, 51, 68), neck=51),
    "wide_unet": partial(UNet, widths=(9, 17, 34, 68)),
}

__all__ = ["HOSTS", "OTHERS", "AveragePool", "ConvLayer", "CopyHost", "Detector", "MaxPool", "RedPatchHost", "ResidualBlock",
           "ShuffledHost", "SmallHost", "SmallResNet", "UNet", "Window", "ZoomHost", "boxes_of", "detection_loss", "max_pooled",
           "pixel_loss", "receptive_field", "spread", "two_layers"]
