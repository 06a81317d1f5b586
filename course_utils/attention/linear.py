"""Mixing that costs less: linear attention, double attention, criss-cross attention. Lesson 05."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Mechanism, Run, in_float32, positive, run_plain, zero


class EfficientAttention(Mechanism):
    """Linear attention: first collect a few summaries of the whole map, then hand them out; never an HW x HW matrix.

    Shen et al., WACV 2021, arXiv 1812.01243.   Taught in lesson 05.

        q = softmax over channels of Wq x       (N, d, HW)
        k = softmax over positions of Wk x      (N, d, HW)
        g = v k^T                               (N, C, d)       d summaries of the map
        y = x + Wz (g q)                        (N, C, H, W)

    Args:
        channels: C, at least 1.
        hidden: d, width of keys and queries; None takes max(1, C // 2).
        start: "as_made" (layers as torch makes them) or "identity" (Wz zero).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C d + 2 d + 2 C^2 + 2 C.   Authors' socket: `after_add`, where non-local goes, at higher resolution too.
    The bias of the keys cancels in the softmax; it is there because it is in the authors' code.
    One head; the authors' code can have several. Work: HW (2 C d + ...), not (HW)^2.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "mixing"
    kind = "mixing"
    home = "after_add"
    paper = "1812.01243"

    def __init__(self, channels: int, hidden: int | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // 2) if hidden is None else positive(hidden, "hidden", "EfficientAttention")
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        if start == "identity":
            zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        q = self.query(x).flatten(2).softmax(1)                                  # (N, d, HW)
        k = self.key(x).flatten(2).softmax(2)                                    # (N, d, HW)
        v = self.value(x).flatten(2)                                             # (N, C, HW)
        if self.being_read:
            a = self.note("map", (q.transpose(-2, -1) @ k)[:, None])             # (N, 1, HW, HW), rows sum to one
            mixed = v @ a[:, 0].transpose(-2, -1)
        else:
            mixed = (v @ k.transpose(-2, -1)) @ q                                # (N, C, d) first, then (N, C, HW)
        return x + self.out(mixed.view_as(x))


class DoubleAttention(Mechanism):
    """Double attention: gather features into a few bags by one attention, distribute them by another.

    Chen et al., NeurIPS 2018 (A^2-Nets), arXiv 1810.11579.   Taught in lesson 05, exercise.

        a = Wa x                                (N, m, HW)      features
        b = softmax over positions of Wb x      (N, n, HW)      gather: where each bag collects
        v = softmax over bags of Wv x           (N, n, HW)      distribute: which bags a position wants
        y = x + Wz ((a b^T) v)                  (N, C, H, W)

    Args:
        channels: C, at least 1.
        features: m; None takes max(1, C // 4).
        bags: n; None takes max(1, C // 4).
        start: "as_made" (layers as torch makes them) or "identity" (Wz zero).

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C m + 2 C n + m + n + C.   Authors' socket: `after_add`. They published no code.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "mixing"
    kind = "mixing"
    home = "after_add"
    paper = "1810.11579"

    def __init__(self, channels: int, features: int | None = None, bags: int | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        quarter = max(1, channels // 4)
        m = quarter if features is None else positive(features, "features", "DoubleAttention")
        n = quarter if bags is None else positive(bags, "bags", "DoubleAttention")
        self.features = nn.Conv2d(channels, m, 1)
        self.gather = nn.Conv2d(channels, n, 1, bias=False)      # a softmax over positions ignores a bias
        self.distribute = nn.Conv2d(channels, n, 1)
        self.out = nn.Conv2d(m, channels, 1)
        if start == "identity":
            zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        a = self.features(x).flatten(2)                                          # (N, m, HW)
        b = self.gather(x).flatten(2).softmax(2)                                 # (N, n, HW): over positions
        v = self.distribute(x).flatten(2).softmax(1)                             # (N, n, HW): over bags
        if self.being_read:
            weights = self.note("map", (v.transpose(-2, -1) @ b)[:, None])       # (N, 1, HW, HW), rows sum to one
            mixed = a @ weights[:, 0].transpose(-2, -1)
        else:
            mixed = (a @ b.transpose(-2, -1)) @ v                                # (N, m, n) first, then (N, m, HW)
        return x + self.out(mixed.unflatten(2, x.shape[2:]))


class CrissCross(Mechanism):
    """Criss-cross attention: every position looks along its row and its column; twice, so that all places are reached.

    Huang et al., ICCV 2019, arXiv 1811.11721.   Taught in lesson 05.

        q, k, v = Wq x, Wk x, Wv x                              (N, C/8, H, W) twice, (N, C, H, W)
        a = softmax over the H + W - 1 places u of q_i . k_u    row and column of i together, i itself once
        y = x + gamma * sum_u a_u v_u                           (N, C, H, W); then once more, same weights

    Args:
        channels: C, at least 1.
        reduction: queries and keys have max(1, C // reduction) channels, 8 in the paper.
        passes: 2 in the paper: one pass reaches the cross, two reach everything.
        start: both starts are the same, exactly x: the authors start gamma at zero.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C h + 2 h + C^2 + C + 1 with h = max(1, C // r).   Authors' socket: `after_add`, on the last stage of a
    dilated network.
    The bias of the keys cancels in the softmax; it is there because it is in the authors' code.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    family = "mixing"
    kind = "mixing"
    home = "after_add"
    paper = "1811.11721"

    def __init__(self, channels: int, reduction: int = 8, passes: int = 2, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // positive(reduction, "reduction", "CrissCross"))
        self.passes = positive(passes, "passes", "CrissCross")
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor, run: Run = run_plain) -> tuple[Tensor, Tensor]:
        """Along the column (N, H, W, H) and along the row (N, H, W, W); the two together sum to one."""
        q, k = run(self.query, x), run(self.key, x)
        h = x.shape[2]
        column = torch.einsum("nchw,ncjw->nhwj", q, k)                           # (N, H, W, H)
        itself = torch.eye(h, device=x.device).bool()[:, None]                   # (H, 1, H): counted in the row
        row = torch.einsum("nchw,nchj->nhwj", q, k)                              # (N, H, W, W)
        both = torch.cat([column.masked_fill(itself, float("-inf")), row], 3).softmax(3)
        return both[..., :h], both[..., h:]

    def look(self, x: Tensor, run: Run) -> Tensor:
        """One pass: what each position gets from its row and its column, (N, C, H, W)."""
        column, row = self.weights(x, run)
        v = run(self.value, x)
        if self.being_read:
            a = self.note("map", self.whole(column, row))                        # (N, 1, HW, HW)
            return (v.flatten(2) @ a[:, 0].transpose(-2, -1)).view_as(v)
        return torch.einsum("nhwj,ncjw->nchw", column, v) + torch.einsum("nhwj,nchj->nchw", row, v)

    @staticmethod
    def whole(column: Tensor, row: Tensor) -> Tensor:
        """The weights of one pass as (N, 1, HW, HW), zero off the cross."""
        n, h, w, _ = column.shape
        eye_h, eye_w = (torch.eye(side, dtype=column.dtype, device=column.device) for side in (h, w))
        full = torch.einsum("nhwj,wv->nhwjv", column, eye_w) + torch.einsum("nhwv,hj->nhwjv", row, eye_h)
        return full.reshape(n, 1, h * w, h * w)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return in_float32(self.mix, x)

    def mix(self, x: Tensor, run: Run) -> Tensor:
        for _ in range(self.passes):
            x = x + self.gamma * self.look(x, run)
        return x
