"""Gates for groups of channels: each group by itself, with few parameters that all share. Lessons 03 and 04."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Gate, divisor, group_norm, positive, wide
from .export import variance


def standardised(rows: Tensor, eps: float) -> Tensor:
    """Less the mean, divided by the deviation plus eps, over the last dimension: (..., L) -> (..., L); one number becomes 0."""
    spread = variance(rows).clamp(min=1e-30).sqrt()      # the root of zero has no gradient
    return (rows - rows.mean(-1, keepdim=True)) / (spread[..., None] + eps)


class SGE(Gate):
    """Spatial group-wise enhance: each group of channels is strengthened where it looks like its own mean.

    Li, Hu & Yang, 2019, arXiv 1905.09646.   Taught in lesson 03.

        t = sum over the group's channels of x * (its mean over positions)    (N, G, HW)    likeness to the mean
        n = (t - mean over positions) / (deviation over positions + eps)      (N, G, HW)
        y = sigmoid(weight * n + bias) * x                                    (N, C, H, W)  weight, bias: one each per group

    Args:
        channels: C, at least 1.
        groups: 64 in the authors' code; rounded down to the largest number that divides C.
        eps: 1e-5 in the authors' code.
        start: "as_made", the authors' weight 0 and bias 1 (0.73 everywhere at first), or "identity" (weight and bias 0).

    Raises:
        ValueError: groups below 1, eps not positive; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 G with G the largest divisor of C up to groups.   Authors' socket: `post`.
    The deviation divides by H W - 1, as in the authors' code; on a 1x1 map theirs is no number, and so is all that follows:
    here n is 0 there. With 64 groups the first stage of a ResNet-18, of 64 channels, has one channel in each group.
    A group is as strong at its least likely position as the mean allows: n has no scale, so that a map that differs from place
    to place by next to nothing (but by more than eps) gets the same gates as one that differs a lot.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "spatial"
    paper = "1905.09646"

    def __init__(self, channels: int, groups: int = 64, eps: float = 1e-5, start: str = "as_made"):
        super().__init__(channels, start)
        if not eps > 0:
            raise ValueError(f"SGE: eps must be positive, got {eps!r}")
        self.groups, self.eps = divisor(channels, positive(groups, "groups", "SGE")), eps
        self.weight = nn.Parameter(torch.zeros(self.groups, 1))
        self.bias = nn.Parameter(torch.ones(self.groups, 1) if start == "as_made" else torch.zeros(self.groups, 1))

    def gate(self, x: Tensor) -> Tensor:
        parts = wide(x).reshape(x.shape[0], self.groups, self.channels // self.groups, -1)         # (N, G, C / G, HW)
        likeness = (parts * parts.mean(3, keepdim=True)).sum(2)                 # (N, G, HW)
        gate = self.squash(self.weight * standardised(likeness, self.eps) + self.bias).to(x.dtype)
        return gate.repeat_interleave(self.channels // self.groups, 1).reshape(x.shape)           # (N, C, H, W)


class ShuffleAttention(Gate):
    """Shuffle attention: half of each group of channels is gated by what, half by where; then the channels are shuffled.

    Zhang & Yang, ICASSP 2021 (SA-Net), arXiv 2102.00240.   Taught in lesson 04.

        x of one group = [a; b], the first and second half of its C/G channels
        a' = sigmoid(w1 * mean over positions of a + b1) * a        (N, C/2G, H, W)    what
        b' = sigmoid(w2 * norm(b) + b2) * b                         (N, C/2G, H, W)    where; norm: each channel over its map
        y = [a'; b'] of all groups, halves interleaved: channel 0, C/2, 1, C/2 + 1, ...    (N, C, H, W)

    Args:
        channels: C, at least 1.
        groups: G, 64 in the authors' code; rounded down until 2 G divides C. An odd C has no halves: G divides C, and the
            second part of a group has a channel more than the first.
        shuffle: whether to interleave; None: with the start as made yes, with the identity start no. An odd C never is.
        start: "as_made", the authors' weights 0 and biases 1 (0.73 at first, and the shuffle), or "identity": biases 0 and the
            channels stay where they are.

    Raises:
        ValueError: groups below 1; an identity start with the shuffle; in `forward`, an input that is not a float
            (N, channels, H, W).

    Parameters: 2 (k // 2) + 4 (k - k // 2) with k = C / G, so 3 C / G where k is even.   Authors' socket: `post`.
    All groups share the weights. The norm has a weight and a bias of its own before w2 and b2: one pair would do.
    Beware: y is no gate times x, its channels are in another order. In a branch that is trained from scratch the next layer
    learns that; before an addition, or in a network that was trained already, every channel meets the wrong partner.
    The gate that is read is in the order of x.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    paper = "2102.00240"

    def __init__(self, channels: int, groups: int = 64, shuffle: bool | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        even = channels % 2 == 0
        self.groups = divisor(channels // 2, positive(groups, "groups", "ShuffleAttention"))
        if not even:      # an odd C of two or more: three at least in each group
            self.groups = divisor(channels, min(groups, max(1, channels // 3)))
        if shuffle and start == "identity":
            raise ValueError("ShuffleAttention: an identity start with shuffle=True would put every channel in another's place. "
                             "Leave shuffle out, or use start='as_made'.")
        self.shuffle = even and (start == "as_made" if shuffle is None else shuffle)
        width = channels // self.groups
        sizes = self.sizes = (width // 2, width - width // 2)
        level = torch.ones if start == "as_made" else torch.zeros
        if sizes[0]:      # a single channel is gated by where alone
            self.what_weight, self.what_bias = (nn.Parameter(make(1, sizes[0], 1, 1)) for make in (torch.zeros, level))
        self.norm = nn.GroupNorm(sizes[1], sizes[1])
        self.where_weight, self.where_bias = (nn.Parameter(make(1, sizes[1], 1, 1)) for make in (torch.zeros, level))

    def gate(self, x: Tensor) -> Tensor:
        """(N, C, H, W), in the order of the channels of x."""
        a, b = x.reshape(-1, sum(self.sizes), *x.shape[2:]).split(self.sizes, 1)                # (N G, C / 2G, H, W) each
        where = self.squash(self.where_weight * group_norm(b, self.norm) + self.where_bias)     # (N G, C / 2G, H, W)
        if not self.sizes[0]:
            return where.reshape(x.shape)
        what = self.squash(self.what_weight * a.mean((2, 3), keepdim=True) + self.what_bias)    # (N G, C / 2G, 1, 1)
        return torch.cat([what.expand_as(a), where], 1).reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        y = x * self.note("gate", self.gate(x))
        return torch.stack(y.chunk(2, 1), 2).flatten(1, 2) if self.shuffle else y


class EMA(Gate):
    """Efficient multi-scale attention: in each group a strip branch and a 3x3 branch weigh each other's maps into one gate.

    Ouyang et al., ICASSP 2023, arXiv 2305.13563.   Named in lesson 04.

        r, c = W1 [mean along rows; mean along columns]    (N, k, H, 1), (N, k, 1, W)    k = C/G channels of a group
        u = norm(x * sigmoid(r) * sigmoid(c))              (N, k, H, W)    norm: each channel over its map
        v = W3 x                                           (N, k, H, W)    3x3
        m = softmax over channels (mean u) . v + softmax over channels (mean v) . u      (N, 1, H, W)
        y = sigmoid(m) * x                                 (N, C, H, W)    for each of the G groups, with the same weights

    Args:
        channels: C, at least 1.
        factor: G, the number of groups, 32 in the authors' code; rounded down to the largest number that divides C.
        start: "as_made" or "identity" (norm and W3 zero, so that m is 0).

    Raises:
        ValueError: factor below 1; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 10 k^2 + 4 k with k = C / G and G the largest divisor of C up to factor.   Authors' socket: `between`.
    Half of the "cross-spatial learning" does not look at the picture: norm makes the mean of every channel of u its bias,
    whatever the picture is, so that the first softmax is of the biases alone, and 1/k for each channel at first. This is
    so in the authors' code, and is kept.
    Their code stops where C is below the factor, and in `forward` where the factor does not divide C.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "combined"
    home = "between"
    paper = "2305.13563"

    def __init__(self, channels: int, factor: int = 32, start: str = "as_made"):
        super().__init__(channels, start)
        self.groups = divisor(channels, positive(factor, "factor", "EMA"))
        k = channels // self.groups
        self.strips = nn.Conv2d(k, k, 1)
        self.norm = nn.GroupNorm(k, k)
        self.near = nn.Conv2d(k, k, 3, padding=1)
        self.start_from(self.norm)
        self.start_from(self.near)

    def gate(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        parts = x.reshape(-1, self.channels // self.groups, h, w)                               # (N G, k, H, W)
        both = torch.cat([parts.mean(3, keepdim=True), parts.mean(2, keepdim=True).transpose(-2, -1)], 2)
        rows, columns = self.strips(both).split([h, w], 2)                                      # (N G, k, H, 1), (N G, k, W, 1)
        u = group_norm(parts * rows.sigmoid() * columns.transpose(-2, -1).sigmoid(), self.norm)
        v = self.near(parts)                                                                    # (N G, k, H, W)
        m = ((u.mean((2, 3), keepdim=True).softmax(1) * v).sum(1, keepdim=True)
             + (v.mean((2, 3), keepdim=True).softmax(1) * u).sum(1, keepdim=True))              # (N G, 1, H, W)
        return self.squash(m).expand_as(parts).reshape(x.shape)                                 # (N, C, H, W)
