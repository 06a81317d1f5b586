"""Channel gates with a single layer or none: effective SE, and the competition of channels in ConvNeXt V2. Lesson 02."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, Mechanism, wide


class EffectiveSE(Gate):
    """Effective SE: weigh each channel by the whole picture, with one layer as wide as the map and no bottleneck.

    Lee & Park, CVPR 2020 (CenterMask), arXiv 1911.06667.   Named in lesson 02.

        z = mean over positions of x      (N, C)
        s = hard sigmoid(W z + b)         (N, C)        W (C, C); hard sigmoid(v) = min(max(v + 3, 0), 6) / 6
        y = s * x                         (N, C, H, W)

    Args:
        channels: C, at least 1.
        start: "as_made" (gates near 0.5 at first) or "identity" (2 hard sigmoid, last layer zero: exactly 1 at first).

    Raises:
        ValueError: in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: C^2 + C.   Authors' socket: `post`, on the joined maps of a VoVNet module, before its addition.
    Without the bottleneck of SE no channel's mean is lost on the way, at r / 2 times the weights: 262656 parameters at 512
    channels, where an SE with r = 16 has 33312.
    A hard sigmoid is flat beyond 3: a channel whose logit is there for every picture has no gradient any more.
    Same function as timm's EffectiveSEModule.
    """

    paper = "1911.06667"
    compared = "timm"

    def __init__(self, channels: int, start: str = "as_made"):
        super().__init__(channels, start)
        self.excite = nn.Conv2d(channels, channels, 1)
        self.start_from(self.excite)

    def squash(self, logits: Tensor) -> Tensor:
        gate = F.hardsigmoid(logits)
        return 2 * gate if self.start == "identity" else gate

    def gate(self, x: Tensor) -> Tensor:
        return self.squash(self.excite(x.mean((2, 3), keepdim=True)))           # (N, C, 1, 1)


class GRN(Mechanism):
    """Global response normalisation: what is strong in the picture, compared with the other channels, is made stronger.

    Woo et al., CVPR 2023 (ConvNeXt V2), arXiv 2301.00808.   Taught in lesson 02.

        e = sqrt(sum over positions of x^2)         (N, C)          how strong each channel is
        n = e / (mean over channels of e + eps)     (N, C)          compared with the others
        y = (1 + gamma * n) * x + beta              (N, C, H, W)    the residual form: x itself is in it

    Args:
        channels: C, at least 1.
        eps: keeps the quotient finite, 1e-6 in the authors' code.
        start: "as_made" and "identity" are the same here: gamma = beta = 0, exactly x.

    Raises:
        ValueError: eps not positive; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C.   Authors' socket: `inner`, on the widened channels between the two 1x1 layers of a block.
    The gate that is read is 1 + gamma * n; beta comes on top. Nothing bounds the gate, and gamma may be negative.
    With a single channel n is 1 for every picture, unless the map is zero.
    Same function as timm's GlobalResponseNorm(channels_last=False).
    """

    home = "inner"
    paper = "2301.00808"
    compared = "timm"

    def __init__(self, channels: int, eps: float = 1e-6, start: str = "as_made"):
        super().__init__(channels, start)
        if not eps > 0:
            raise ValueError(f"GRN: eps must be positive, got {eps!r}")
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def gate(self, x: Tensor) -> Tensor:
        e = torch.linalg.vector_norm(wide(x), dim=(2, 3), keepdim=True)         # (N, C, 1, 1)
        n = e / (e.mean(1, keepdim=True) + self.eps)                            # (N, C, 1, 1)
        return (1 + self.gamma * n).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x * self.note("gate", self.gate(x)) + self.beta
