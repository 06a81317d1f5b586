"""What a mechanism adds to a network, counted: parameters, multiply-adds and bytes moved, on a ResNet-18 at its home."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from .. import attention, cost
from ..sockets import plug_in

SIDE, BATCH, CLASSES = 224, 8, 1000      # a ResNet-18 as for ImageNet
PROOF = 64      # plug_in compares outputs on pictures of this side: the same places and weights, in a tenth of the time
CHANNELS = 64      # of the single module whose parameters are counted


@dataclass(frozen=True)
class Price:
    """Of the mechanism at every place of its home in the host; where it cannot stand there, `refused` says why."""

    places: int = 0
    parameters: int = 0         # added to the host's, as all that follow; what is replaced is taken off
    multiply_adds: float = 0    # a picture
    traffic: float = 0          # bytes a picture, in batches of BATCH
    share: tuple[float, float, float] = (0, 0, 0)      # each, as a share of the host's
    refused: str = ""

    def __str__(self) -> str:
        if self.refused:
            return f"not on a ResNet-18: {self.refused}"
        of = [f"({share:+.1%})".replace("%", " %") for share in self.share]
        return (f"ResNet-18, {self.places} place{'s' * (self.places > 1)}: {self.parameters:+,} parameters {of[0]}, "
                f"{self.multiply_adds / 1e6:+,.2f} M multiply-adds {of[1]}, {self.traffic / 1e6:+,.1f} MB moved {of[2]}")


def host() -> nn.Module:
    import torchvision  # takes a second, and the rest of a card does without it

    return torchvision.models.resnet18(weights=None, num_classes=CLASSES).eval()


def pictures() -> torch.Tensor:
    return torch.zeros(BATCH, 3, SIDE, SIDE)


def counted(net: nn.Module) -> tuple[int, float, float]:
    """Parameters; multiply-adds and bytes moved of one picture."""
    return cost.parameters(net), cost.multiply_adds(net, pictures()), cost.traffic(net, pictures())


@cache
def plain() -> tuple[int, float, float]:
    return counted(host())


@cache
def price(name: str) -> Price:
    """What that mechanism costs at every place of its home in a ResNet-18, with the paper's options. Takes some seconds.

    Raises:
        ValueError: no such mechanism.
    """
    net, home = host(), attention.find(name).home
    # By name the attention gate wants two maps; on a skip by itself it is asked by the map that it gates.
    maker = attention.AttentionGate if name == "attention_gate" else name
    try:
        receipt = plug_in(net, maker, at=home, start="as_made", input_size=PROOF)
    except ValueError as refusal:
        return Price(refused=str(refusal).splitlines()[0])
    more = [after - before for after, before in zip(counted(net), plain(), strict=True)]
    return Price(len(receipt.names), *more, tuple(a / b for a, b in zip(more, plain(), strict=True)))


def module(name: str) -> tuple[nn.Module, int]:
    """One module with the paper's options, and its channels: those of a map, or the three of a picture."""
    channels = 3 if attention.find(name).family == "input" else CHANNELS
    with torch.random.fork_rng(devices=[]):
        return attention.build(name, channels), channels
