"""Spatial attention: where to look. One number per position, from the map around it. Lesson 03."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, odd, positive


class SpatialGate(Gate):
    """CBAM's spatial gate: weigh each position by what the strongest and the mean channel show around it.

    Woo et al., ECCV 2018, arXiv 1807.06521.   Taught in lesson 03.

        d = [mean over channels; max over channels] of x    (N, 2, H, W)
        m = sigmoid(conv kxk (d))                           (N, 1, H, W)
        y = m * x                                           (N, C, H, W)

    Args:
        channels: C, at least 1.
        kernel_size: k, odd.
        dilation: steps between the kernel's weights: a window of dilation (k - 1) + 1 positions with the same weights.
        norm: batch norm after the convolution, which then has no bias. The paper's formula has none (the default); the
            authors' code has one, and starts its weight at zero.
        start: "as_made" or "identity".

    Raises:
        ValueError: an even kernel size; in `forward`, an input that is not a float (N, channels, H, W), or with norm a
            single value in training.

    Parameters: 2 k^2 + 1; with norm 2 k^2 + 2.   Authors' socket: `post`, after CBAM's channel gate.
    With norm, same function as timm's SpatialAttn. The authors' code stacks [max; mean] (exchange the two
    input channels) and averages its norm with momentum 0.01 instead of 0.1.
    """

    family = "spatial"
    paper = "1807.06521"
    compared = "timm"

    def __init__(self, channels: int, kernel_size: int = 7, norm: bool = False, dilation: int = 1, start: str = "as_made"):
        super().__init__(channels, start)
        k = odd(kernel_size, "kernel_size", "SpatialGate")
        d = positive(dilation, "dilation", "SpatialGate")
        self.conv = nn.Conv2d(2, 1, k, padding=d * (k // 2), dilation=d, bias=not norm)
        self.norm = nn.BatchNorm2d(1) if norm else nn.Identity()
        self.start_from(self.norm if norm else self.conv)

    def norm_values(self, x: Tensor) -> int:
        return 2 if isinstance(self.norm, nn.Identity) else x.shape[0] * x.shape[2] * x.shape[3]

    def gate(self, x: Tensor) -> Tensor:
        d = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)      # (N, 2, H, W)
        return self.squash(self.norm(self.conv(d)))                               # (N, 1, H, W)


class SpatialSE(Gate):
    """sSE: weigh each position by its own channels, nothing around it.

    Roy, Navab & Wachinger, MICCAI 2018, arXiv 1803.02579.   Taught in lesson 03.

        m = sigmoid(w . x + b) at every position    (N, 1, H, W)      w (C), a 1x1 convolution
        y = m * x                                   (N, C, H, W)

    Args:
        channels: C, at least 1.
        start: "as_made" or "identity".

    Raises:
        ValueError: in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: C + 1.   Authors' socket: `between`, after every encoder and decoder block of a segmentation network.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "spatial"
    home = "between"
    paper = "1803.02579"

    def __init__(self, channels: int, start: str = "as_made"):
        super().__init__(channels, start)
        self.conv = nn.Conv2d(channels, 1, 1)
        self.start_from(self.conv)

    def gate(self, x: Tensor) -> Tensor:
        return self.squash(self.conv(x))                                          # (N, 1, H, W)


class AttentionGate(Gate):
    """Attention gate: a coarse, later map says which positions of an early map, on a skip path, may pass.

    Oktay et al., MIDL 2018, arXiv 1804.03999.   Taught in lesson 03.

        q = psi . relu(Wx x + up(Wg g)) + b    (N, 1, H/2, W/2)    Wx: 2x2 stride 2; Wg: 1x1 with bias; psi (C_i)
        m = up(sigmoid(q))                     (N, 1, H, W)        up: bilinear to the size of the other
        y = m * x                              (N, C, H, W)

    Args:
        channels: C of the skip map x.
        gating_channels: channels of the coarser map g; None: as many as x.
        hidden: C_i; None takes max(1, C // 2), as the authors' code.
        subsample: the stride of Wx, 2 in the authors' code; 1 keeps the resolution.
        start: "as_made" or "identity".

    `forward(x, g)` gates x by g; `forward(x)` lets x gate itself, so that it also fits a plain socket.

    Raises:
        ValueError: a size below 1; in `forward`, an x that is not a float (N, channels, H, W), or a g that is not
            (N, gating_channels, h, w).

    Parameters: s^2 C C_i + C_g C_i + C_i + C_i + 1 with s = subsample.   Authors' socket: `identity`, each skip of a U-Net but
    the finest, before the concatenation.
    Where s does not divide H or W, zeros are added below and at the right, so that no position is left out.
    The authors' code appends a 1x1 convolution and batch norm to y; the paper's formula, as here, does not.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "spatial"
    home = "identity"
    fuses = "skip"
    paper = "1804.03999"

    def __init__(self, channels: int, gating_channels: int | None = None, hidden: int | None = None, subsample: int = 2,
                 start: str = "as_made"):
        super().__init__(channels, start)
        self.gating_channels = channels if gating_channels is None else positive(gating_channels, "gating_channels",
                                                                                 "AttentionGate")
        hidden = max(1, channels // 2) if hidden is None else positive(hidden, "hidden", "AttentionGate")
        self.subsample = positive(subsample, "subsample", "AttentionGate")
        self.look = nn.Conv2d(channels, hidden, subsample, subsample, bias=False)
        self.ask = nn.Conv2d(self.gating_channels, hidden, 1)
        self.psi = nn.Conv2d(hidden, 1, 1)
        self.start_from(self.psi)

    def gate(self, x: Tensor, g: Tensor | None = None) -> Tensor:
        g = x if g is None else g
        s, (h, w) = self.subsample, x.shape[2:]
        skip = self.look(F.pad(x, (0, -w % s, 0, -h % s)))                        # (N, C_i, H/s, W/s), rounded up
        asked = F.interpolate(self.ask(g), skip.shape[2:], mode="bilinear", align_corners=False)
        coarse = self.squash(self.psi(torch.relu(skip + asked)))                  # (N, 1, H/s, W/s)
        return F.interpolate(coarse, (h, w), mode="bilinear", align_corners=False)

    def forward(self, x: Tensor, g: Tensor | None = None) -> Tensor:
        self.check(x)
        if g is None and self.gating_channels != self.channels:
            raise ValueError(f"AttentionGate: made for a gating map of {self.gating_channels} channels: call it with two maps, "
                             "gate(x, g), or make it without gating_channels.")
        tracing = torch.jit.is_tracing()      # a size is a tensor then
        if g is not None and not tracing and (g.ndim != 4 or g.shape[:2] != (len(x), self.gating_channels)):
            raise ValueError(f"AttentionGate: g must be ({len(x)}, {self.gating_channels}, h, w), got {tuple(g.shape)}. "
                             "x is the skip map, g the coarser one: are they exchanged?")
        return x * self.note("gate", self.gate(x, g))
