"""What all gates share: the door check, the multiplication and the two starts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STARTS = ("paper", "identity")


def check_channels(channels: int, name: str) -> None:
    """Refuse anything but a positive integer, in the same words for every mechanism."""
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise ValueError(f"{name}: channels must be an integer of at least 1, got {channels!r}. "
                         "It is the C of the feature map (N, C, H, W) that goes in.")


def check_input(x: Tensor, channels: int, name: str) -> None:
    """Refuse a tensor that is not a floating-point (N, channels, H, W)."""
    if x.ndim != 4:
        raise ValueError(f"{name}: wants a feature map of 4 dimensions (N, C, H, W), got {tuple(x.shape)}."
                         + (" For a single picture add the batch dimension: x[None]." if x.ndim == 3 else ""))
    if not x.is_floating_point():
        raise ValueError(f"{name}: wants floating-point numbers, got {x.dtype}. Convert first: x.float() / 255 for bytes.")
    if x.shape[1] != channels:
        raise ValueError(f"{name}: was made for {channels} channels, got {x.shape[1]} in {tuple(x.shape)}. "
                         f"Make it with channels={x.shape[1]}, or check where it is plugged in.")
    if x.numel() == 0:
        raise ValueError(f"{name}: got an empty tensor of shape {tuple(x.shape)}; every dimension must be at least 1.")


class Gate(nn.Module):
    """A mechanism that multiplies: y = gate(x) * x, with gate(x) broadcast over (N, C, H, W).

    A subclass computes the logits of the gate, calls `self.start_from(last_layer)` at the end of its constructor and
    `self.squash(logits)` at the end of `gate`. The two starts differ in two places only:

        "paper"     gate = sigmoid(logits), layers as torch makes them: near 0.5 at first, never above 1
        "identity"  gate = 2 sigmoid(logits), last layer zero: exactly 1 at first, between 0 and 2 later

    With the identity start the last layer has a gradient at the first step, and the layers before it from the second.
    """

    family = "channel"
    kind = "gate"
    home = "post"
    paper = ""

    def __init__(self, channels: int, start: str = "paper"):
        super().__init__()
        check_channels(channels, type(self).__name__)
        if start not in STARTS:
            raise ValueError(f"{type(self).__name__}: start must be one of {', '.join(map(repr, STARTS))}, got {start!r}")
        self.channels = channels
        self.start = start

    def start_from(self, last: nn.Module) -> None:
        """Apply the start to the layer whose output are the logits."""
        if self.start == "identity":
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def squash(self, logits: Tensor) -> Tensor:
        gate = torch.sigmoid(logits)
        return 2 * gate if self.start == "identity" else gate

    def gate(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> something that broadcasts to it: (N, C, 1, 1) for a channel gate."""
        raise NotImplementedError(f"{type(self).__name__} must define gate(x)")

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.channels, type(self).__name__)
        return x * self.gate(x)

    def extra_repr(self) -> str:
        return f"{self.channels}, start={self.start!r}"
