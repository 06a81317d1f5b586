"""Gather-excite: a channel gate that may differ from region to region."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, positive


class GatherExcite(Gate):
    """Gather-excite without parameters: the mean of the surroundings, squashed, is the gate.

    Hu et al., NeurIPS 2018, arXiv 1810.12348.   In no lesson.

        g = mean of x over windows of 2e - 1, every e positions    (N, C, H/e, W/e); extent 0: over the whole map
        y = sigmoid(nearest upsampling of g) * x                   (N, C, H, W)

    Args:
        channels: C, at least 1.
        extent: e, 0 for the whole map (the default) or an even number.
        start: "as_made" only: without parameters there is nothing to learn.

    Raises:
        ValueError: an extent that is odd or negative; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 0.   Authors' socket: `post`.
    Same function as timm's GatherExcite(use_mlp=False, extra_params=False), the only form of it that runs.
    """

    paper = "1810.12348"
    compared = "timm"
    starts = ("as_made",)

    def __init__(self, channels: int, extent: int = 0, start: str = "as_made"):
        super().__init__(channels, start)
        if isinstance(extent, bool) or not isinstance(extent, int) or extent < 0 or extent % 2:
            raise ValueError(f"{type(self).__name__}: extent must be 0 (the whole map) or an even number, got {extent!r}")
        self.extent = extent

    def gather(self, x: Tensor) -> Tensor:
        if self.extent == 0:
            return x.mean((2, 3), keepdim=True)                                 # (N, C, 1, 1)
        window = 2 * self.extent - 1
        return F.avg_pool2d(x, window, self.extent, window // 2, count_include_pad=False)

    def gate(self, x: Tensor) -> Tensor:
        logits = self.gather(x)                                                 # (N, C, h, w)
        return self.squash(F.interpolate(logits, x.shape[2:]) if self.extent else logits)


class LearnedGatherExcite(GatherExcite):
    """Gather-excite with learned gathering: strided depthwise convolutions in place of the mean.

    Hu et al., NeurIPS 2018, arXiv 1810.12348.   In no lesson.

        g = (BN depthwise 3x3 stride 2), log2 e times, ReLU between    (N, C, H/e, W/e)
        g = W2 relu(W1 relu(g))                                        only with mlp=True (the paper's theta-plus)
        y = sigmoid(nearest upsampling of g) * x                       (N, C, H, W)

    Args:
        channels: C, at least 1.
        extent: e, a power of two, at least 2. (The paper's global extent is one depthwise kernel as large as the map,
            which fixes the size of the picture; it is left out.)
        mlp: append the two 1x1 convolutions of SE, hidden width max(1, C // reduction).
        reduction: r, only with mlp.
        start: "as_made" or "identity".

    Raises:
        ValueError: an extent that is not a power of two; in `forward`, an input that is not a float (N, channels, H, W), or
            a single 1x1 map in training.

    Parameters: 11 C log2 e; with mlp also 2 C h + h + C.   Authors' socket: `post`.
    timm's GatherExcite stops with a TypeError for this form; compared with nested loops written from the formula.
    """

    compared = "nested loops"
    starts = Gate.starts

    def __init__(self, channels: int, extent: int = 8, mlp: bool = False, reduction: int = 16, start: str = "as_made"):
        super().__init__(channels, extent, start)
        if extent < 2 or extent & (extent - 1):
            raise ValueError(f"LearnedGatherExcite: extent must be a power of two, at least 2, got {extent}")
        layers: list[nn.Module] = []
        for _ in range(extent.bit_length() - 1):
            layers += [nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        self.gathering = nn.Sequential(*layers[:-1])
        hidden = max(1, channels // positive(reduction, "reduction", "LearnedGatherExcite"))
        self.mlp = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, hidden, 1), nn.ReLU(),
                                 nn.Conv2d(hidden, channels, 1)) if mlp else None
        self.start_from(self.mlp[-1] if mlp else self.gathering[-1])

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0] * math.ceil(x.shape[2] / self.extent) * math.ceil(x.shape[3] / self.extent)

    def gather(self, x: Tensor) -> Tensor:
        g = self.gathering(x)                                                   # (N, C, h, w)
        return g if self.mlp is None else self.mlp(g)
