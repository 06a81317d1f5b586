"""Channel attention: what to look at. One number per channel, computed from the whole picture. Lesson 02."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, odd, positive, wide
from .export import variance


class SE(Gate):
    """Squeeze-and-Excitation: weigh each channel by what the whole picture contains.

    Hu et al., CVPR 2018, arXiv 1709.01507, eq. 2-4.   Taught in lesson 02.

        z = mean over positions of x      (N, C)        squeeze
        s = sigmoid(W2 relu(W1 z))        (N, C)        excite; W1 (C/r, C), W2 (C, C/r), both with bias
        y = s * x                         (N, C, H, W)

    Args:
        channels: C, at least 1.
        reduction: r, at least 1; the hidden width is max(1, C // r).
        hidden: h said directly, to have the same width at places with different numbers of channels.
        start: "as_made" (gates near 0.5 at first) or "identity" (exactly 1 at first, and still learns).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C h + h + C with h = max(1, C // r).   Authors' socket: `post`.
    With biases, as in the authors' released model; their later ablations drop them.
    Same function as torchvision's SqueezeExcitation(C, max(1, C // r)).
    Differs from timm's SEModule, which rounds the hidden width to a multiple of 8 (8 instead of 4 at C = 64).
    """

    paper = "1709.01507"
    compared = "torchvision, timm"

    def __init__(self, channels: int, reduction: int = 16, hidden: int | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        if hidden is None:
            hidden = max(1, channels // positive(reduction, "reduction", "SE"))
        positive(hidden, "hidden", "SE")
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)
        self.start_from(self.excite)

    def gate(self, x: Tensor) -> Tensor:
        z = x.mean((2, 3), keepdim=True)                             # (N, C, 1, 1)
        return self.squash(self.excite(F.relu(self.squeeze(z))))     # (N, C, 1, 1)


def eca_kernel(channels: int, gamma: float = 2, b: float = 1) -> int:
    """The width of ECA's kernel: log2(C) / gamma + b / gamma, cut to an integer, then raised to the next odd one.

    ECA-Net, arXiv 1910.03151, eq. 12 and the authors' code: 3 for 8 to 64 channels, 5 for 128 to 1024, 7 for 2048.
    """
    width = int(abs((math.log2(channels) + b) / gamma))
    return width if width % 2 else width + 1


class ECA(Gate):
    """Efficient Channel Attention: each channel looks at its neighbours, with one small kernel for all.

    Wang et al., CVPR 2020, arXiv 1910.03151, eq. 9 and 12.   Taught in lesson 02.

        z = mean over positions of x      (N, C)
        s = sigmoid(w conv z)             (N, C)        w has k weights, no bias; zeros beyond both ends
        y = s * x                         (N, C, H, W)

    Args:
        channels: C, at least 1.
        kernel_size: k, odd; None takes the paper's rule (`eca_kernel`).
        start: "as_made" or "identity".

    Raises:
        ValueError: an even or non-positive kernel size; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: k.   Authors' socket: `post`.
    Same function as timm's EcaModule from 8 channels on; below, timm keeps k at 3 or more and the paper's rule gives 1.
    """

    paper = "1910.03151"
    compared = "timm"

    def __init__(self, channels: int, kernel_size: int | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        k = eca_kernel(channels) if kernel_size is None else odd(kernel_size, "kernel_size", "ECA")
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)
        self.start_from(self.conv)

    def gate(self, x: Tensor) -> Tensor:
        z = x.mean((2, 3))                                           # (N, C)
        logits = self.conv(z.unsqueeze(1)).squeeze(1)                # (N, 1, C) and back: channels are the line
        return self.squash(logits)[..., None, None]                  # (N, C, 1, 1)


class GatedChannel(Gate):
    """Gated channel transformation: channels compete, or help each other, by how strong each is.

    Yang et al., CVPR 2020, arXiv 1909.11519, and the authors' code.   Taught in lesson 02.

        e = alpha * sqrt(sum over positions of x^2 + eps)       (N, C)    how strong each channel is
        n = e / sqrt(mean over channels of e^2 + eps)           (N, C)    compared with the others
        y = (1 + tanh(gamma * n + beta)) * x                    (N, C, H, W)

    Args:
        channels: C, at least 1.
        eps: keeps the roots away from zero, 1e-5 in the authors' code.
        start: "as_made" and "identity" are the same here: alpha = 1, gamma = beta = 0, so the gate is exactly 1.

    Raises:
        ValueError: eps not positive; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 3 C.   Authors' socket: `pre`, before every convolution; they exempt beta from weight decay.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    home = "pre"
    paper = "1909.11519"

    def __init__(self, channels: int, eps: float = 1e-5, start: str = "as_made"):
        super().__init__(channels, start)
        if not eps > 0:
            raise ValueError(f"GatedChannel: eps must be positive, got {eps!r}")
        self.eps = eps
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def gate(self, x: Tensor) -> Tensor:
        e = self.alpha * (wide(x).square().sum((2, 3), keepdim=True) + self.eps).sqrt()     # (N, C, 1, 1)
        n = e / (e.square().mean(1, keepdim=True) + self.eps).sqrt()                     # (N, C, 1, 1)
        return (1 + torch.tanh(self.gamma * n + self.beta)).to(x.dtype)                  # (N, C, 1, 1)


class SRM(Gate):
    """Style-based recalibration: weigh each channel by its mean and its spread, each channel by itself.

    Lee, Kim & Nam, ICCV 2019, arXiv 1903.10829.   In no lesson.

        t = [mean, standard deviation] over positions     (N, C, 2)
        s = sigmoid(BN(w1 * mean + w2 * deviation))       (N, C)        two weights a channel, no bias
        y = s * x                                         (N, C, H, W)

    Args:
        channels: C, at least 1.
        eps: added to the variance below the root, 1e-5 in the authors' code.
        start: "as_made" or "identity". The authors start w at zero, so their gate is 0.5 everywhere at first.

    Raises:
        ValueError: eps not positive; in `forward`, an input that is not a float (N, channels, H, W), or a batch of one in
            training (the batch norm then has one value per channel).

    Parameters: 4 C.   Authors' socket: `post`.
    The deviation divides by H W - 1, as in the authors' code; a 1x1 map has deviation sqrt(eps).
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    paper = "1903.10829"

    def __init__(self, channels: int, eps: float = 1e-5, start: str = "as_made"):
        super().__init__(channels, start)
        if not eps > 0:
            raise ValueError(f"SRM: eps must be positive, got {eps!r}")
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(channels, 2))
        self.norm = nn.BatchNorm1d(channels)

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0]

    def gate(self, x: Tensor) -> Tensor:
        flat = wide(x).flatten(2)                                               # (N, C, HW)
        style = torch.stack([flat.mean(2), (variance(flat) + self.eps).sqrt()], 2)      # (N, C, 2); one position: variance 0
        logits = self.norm((style * self.weight).sum(2).to(x.dtype))            # (N, C)
        return self.squash(logits)[..., None, None]                             # (N, C, 1, 1)
