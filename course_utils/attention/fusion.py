"""Attention where two maps meet: how much of each, for every channel at every position. Lesson 15."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Gate, Run, in_float32, positive, run_plain, wide


def branch(channels: int, hidden: int) -> nn.Sequential:
    """Two 1x1 convolutions, each with its norm: the same layers for every position of a map, or for its mean."""
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU(),
                         nn.Conv2d(hidden, channels, 1), nn.BatchNorm2d(channels))


def weighed(s: Tensor, local: nn.Module, whole: nn.Module, run: Run = run_plain) -> Tensor:
    """The logits: from every position by itself, and from the mean of the map, (N, C, H, W)."""
    return run(local, s) + run(whole, s.mean((2, 3), keepdim=True))


class AFF(Gate):
    """Attentional feature fusion: where two maps are added, weigh them against each other, value by value.

    Dai et al., WACV 2021, arXiv 2009.14082.   Taught in lesson 15.

        s = x + y                                          (N, C, H, W)    the two maps; of one map s = x
        L = BN(W2 relu(BN(W1 s + b1)) + b2)                (N, C, H, W)    at every position by itself
        G = the same with other weights of the mean of s   (N, C, 1, 1)
        w = sigmoid(L + G)                                 (N, C, H, W)
        z = 2 w * x + 2 (1 - w) * y                        (N, C, H, W)    of one map z = w * x

    Args:
        channels: C of both maps, at least 1.
        reduction: r; the hidden width of each branch is max(1, C // r), 4 in the paper.
        start: "as_made" or "identity" (exactly x + y at first; of one map exactly x).

    `forward(x, y)` fuses two maps of one shape; `forward(x)` gates x by itself, the paper's MS-CAM, so that it also fits a
    plain socket. What it notes is the factor of x; with two maps y gets 2 minus that.

    Raises:
        ValueError: reduction below 1; in `forward`, an x that is not a float (N, channels, H, W), a y of another shape or not
            floating-point, or a batch of one in training (the norms behind the mean then have one value per channel).

    Parameters: 4 C h + 6 h + 6 C with h = max(1, C // r).   Authors' socket: `fuse`, in place of the additions of residual
    blocks, where x is the branch and y the skip, and of those of a feature pyramid.
    The factor 2 is that of the authors' code, and makes w = 1/2 the plain sum; the paper's formula, w x + (1 - w) y, has none.
    Below r channels their hidden width is zero.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "fuse"
    fuses = "sum"
    paper = "2009.14082"

    def __init__(self, channels: int, reduction: int = 4, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // positive(reduction, "reduction", type(self).__name__))
        self.local = branch(channels, hidden)
        self.whole = branch(channels, hidden)
        # The norms, not the convolutions before them: a norm of nothing but zeros divides the first gradients by 0.003.
        self.start_from(self.local[-1])
        self.start_from(self.whole[-1])

    def norm_values(self, x: Tensor) -> int:
        return x.shape[0]

    def joined(self, x: Tensor, y: Tensor | None) -> Tensor:
        """What the weights are computed from, (N, C, H, W)."""
        return x if y is None else x + y

    def gate(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What x is multiplied by, (N, C, H, W): with two maps between 0 and 2, whatever the start."""
        logits = weighed(self.joined(x, y), self.local, self.whole)               # (N, C, H, W)
        return self.squash(logits) if y is None else 2 * torch.sigmoid(logits)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check(x)
        tracing = torch.jit.is_tracing()      # a size is a tensor then
        if y is not None and not tracing and (y.shape != x.shape or not y.is_floating_point()):
            raise ValueError(f"{type(self).__name__}: y must be floating-point numbers of shape {tuple(x.shape)}, as x, got "
                             f"{y.dtype} of shape {tuple(y.shape)}. Bring both maps to one size and number of channels first, "
                             "for example with F.interpolate and a 1x1 convolution.")
        gate = self.note("gate", self.gate(x, y))
        return x * gate if y is None else x * gate + y * (2 - gate)


class IAFF(AFF):
    """Iterative attentional feature fusion: the weights of the two maps come from a first fusion, not from their plain sum.

    Dai et al., WACV 2021, arXiv 2009.14082.   Taught in lesson 15.

        u = 2 M1(x + y) * x + 2 (1 - M1(x + y)) * y       (N, C, H, W)    a first AFF; of one map u = M1(x) * x
        w = M2(u)                                         (N, C, H, W)    M1, M2: sigmoid(L + G), each as in AFF
        z = 2 w * x + 2 (1 - w) * y                       (N, C, H, W)    of x and y again; of one map z = w * x

    Args:
        channels: C of both maps, at least 1.
        reduction: r; the hidden width of each of the four branches is max(1, C // r), 4 in the paper.
        start: "as_made" or "identity" (exactly x + y at first, of one map exactly x: M2 says 1/2, and M1 is as made, since
            what it says counts for nothing yet and is needed from the second step on).

    `forward(x, y)` and `forward(x)` as in AFF, and what it notes is the factor of x, of the second round.

    Raises:
        ValueError: reduction below 1; in `forward`, an x that is not a float (N, channels, H, W), a y of another shape or not
            floating-point, or a batch of one in training (the norms behind the mean then have one value per channel).

    Parameters: 8 C h + 12 h + 12 C with h = max(1, C // r).   Authors' socket: `fuse`, as AFF.
    The authors' PyTorch file (aff_pytorch/aff_net/fusion.py) uses the first `global_att` in the second round too: its
    `global_att2`, a quarter of the parameters, is never called and never learns (their issues 31 and 37). Their MXNet file
    (model/fusion.py) and the paper use both, as here.
    In neither file has iAFF the factor 2 that their AFF has, so that theirs begins near half the sum; here it has.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    def __init__(self, channels: int, reduction: int = 4, start: str = "as_made"):
        super().__init__(channels, reduction, start)      # these branches are M2
        hidden = self.local[0].out_channels
        self.first_local = branch(channels, hidden)
        self.first_whole = branch(channels, hidden)

    def gate(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """As in AFF; in float32, since what the first gate loses by rounding the second would see as large as the map."""
        return in_float32(lambda x, run: self.twice(x, None if y is None else wide(y), run), x)

    def twice(self, x: Tensor, y: Tensor | None, run: Run) -> Tensor:
        first = weighed(self.joined(x, y), self.first_local, self.first_whole, run)       # (N, C, H, W)
        if y is None:
            return self.squash(weighed(x * self.squash(first), self.local, self.whole, run))
        w = torch.sigmoid(first)
        return 2 * torch.sigmoid(weighed(2 * w * x + 2 * (1 - w) * y, self.local, self.whole, run))
