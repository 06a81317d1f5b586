"""Mixing: every position collects from all others. Non-local, global context, self-attention in a bottleneck. Lesson 05."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Mechanism, Run, in_float32, one_of, positive, wide, zero


def to_rows(x: Tensor, heads: int = 1) -> Tensor:
    """A map (N, heads d, H, W) as rows (N, heads, HW, d): one row per position.

    Contiguous rows: with any other order torch's fused kernel is not used on the processor, and nothing is saved.
    """
    n, c, h, w = x.shape
    return x.reshape(n, heads, c // heads, h * w).transpose(-2, -1).contiguous()


def to_map(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Rows (N, heads, HW, d) as a map (N, heads d, H, W)."""
    n, heads, _, d = rows.shape
    return rows.transpose(-2, -1).reshape(n, heads * d, *size)


class NonLocal(Mechanism):
    """Non-local block: every position gets a weighted mean over all positions, weighted by similarity, added to itself.

    Wang et al., CVPR 2018, arXiv 1711.07971.   Taught in lesson 05.

        q, k, v = Wq x, Wk x, Wv x             (N, d, HW) each
        a = softmax over j of q_i . k_j        (N, HW, HW)       form="embedded"
        a = q_i . k_j / HW                     (N, HW, HW)       form="dot": no softmax
        y = x + BN(Wz (a v))                   (N, C, H, W)

    Args:
        channels: C, at least 1.
        hidden: d; None takes max(1, C // 2), as the paper.
        form: "embedded" (Gaussian) or "dot".
        subsample: 2x2 max-pooling of x before keys and values, the paper's "trick": a quarter of the work.
        norm: batch norm after Wz, its weight zero at the start; without it Wz itself starts at zero.
        scale: None for the paper's form; a number multiplies q_i . k_j before the softmax. The authors' code has d ** -0.5.
        start: both starts are the same, exactly x: it is the authors'.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or with norm
            a single value per channel in training.

    Parameters: 4 C d + 3 d + C; with norm 2 C more.   Authors' socket: `after_add`, between blocks.
    timm's NonLocalAttn is the same function with scale = C ** -0.5 (of the input's width, not of d).
    The bias of the keys cancels in the softmax, those of values and Wz in the norm; they are in the authors' code.
    The embedded form runs torch's fused kernel, which never holds the HW x HW weights; while it is being read it computes
    them in the open. The same numbers to rounding.
    """

    family = "mixing"
    kind = "mixing"
    home = "after_add"
    paper = "1711.07971"
    compared = "timm"

    def __init__(self, channels: int, hidden: int | None = None, form: str = "embedded", subsample: bool = False,
                 norm: bool = True, scale: float | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // 2) if hidden is None else positive(hidden, "hidden", "NonLocal")
        self.form = one_of(form, ("embedded", "dot"), "form", "NonLocal")
        self.subsample, self.scale = subsample, 1.0 if scale is None else scale
        self.query, self.key, self.value = (nn.Conv2d(channels, hidden, 1) for _ in range(3))
        self.out = nn.Conv2d(hidden, channels, 1)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        zero(self.norm if norm else self.out)

    def norm_values(self, x: Tensor) -> int:
        return 2 if isinstance(self.norm, nn.Identity) else x.shape[0] * x.shape[2] * x.shape[3]

    def map(self, q: Tensor, k: Tensor) -> Tensor:
        """The weights in the open: (N, 1, HW, d) and (N, 1, hw, d) -> (N, 1, HW, hw)."""
        logits = self.scale * q @ k.transpose(-2, -1)
        return logits.softmax(-1) if self.form == "embedded" else logits / k.shape[2]

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x + self.norm(in_float32(self.mix, x))

    def mix(self, x: Tensor, run: Run) -> Tensor:
        """What each position gets from the others, Wz (a v): (N, C, H, W)."""
        small = F.max_pool2d(x, 2, ceil_mode=True) if self.subsample else x
        q, k, v = to_rows(run(self.query, x)), to_rows(run(self.key, small)), to_rows(run(self.value, small))
        if self.being_read:
            a = self.note("map", self.map(q, k))                                 # (N, 1, HW, hw)
            mixed = a @ v
        elif self.form == "embedded":
            mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        else:      # without a softmax the order of the products is free: the small one first
            mixed = self.scale * q @ (k.transpose(-2, -1) @ v) / k.shape[2]
        return run(self.out, to_map(mixed, x.shape[2:]))


class GlobalContext(Mechanism):
    """Global context block: one weighted mean for the whole map, through a bottleneck, added at every position.

    Cao et al., ICCV-W 2019, arXiv 1904.11492.   Taught in lesson 05.

        a = softmax over positions of w . x + b       (N, 1, HW)       the same for every query
        c = sum_j a_j x_j                             (N, C)           where SE takes the plain mean
        y = x + W2 relu(LN(W1 c))                     (N, C, H, W)     added, not multiplied

    Args:
        channels: C, at least 1.
        reduction: r; the hidden width is max(1, C // r), r = 16 in the authors' final block.
        start: both starts are the same, exactly x: the authors start W2 at zero.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: C + 1 + 2 C h + 3 h + C with h = max(1, C // r).   Authors' socket: `post`, after the last 1x1 convolution.
    Same function as timm's GlobalContext(fuse_add=True, fuse_scale=False, rd_ratio=1/16) but for the norm's epsilon (1e-5
    here and in the authors' code, 1e-6 there) and for timm's start, which leaves a random bias; timm rounds
    the hidden width where C / r is not whole.
    The bias of w cancels in the softmax; it is there because it is in the authors' code.
    With h = 1, so below 32 channels at r = 16, the norm of a single number is zero: the block adds the same to every picture.
    Take a smaller reduction there.
    """

    family = "mixing"
    kind = "mixing"
    home = "post"
    paper = "1904.11492"
    compared = "timm"

    def __init__(self, channels: int, reduction: int = 16, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // positive(reduction, "reduction", "GlobalContext"))
        self.attend = nn.Conv2d(channels, 1, 1)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.LayerNorm([hidden, 1, 1])
        self.excite = nn.Conv2d(hidden, channels, 1)
        zero(self.excite)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        a = self.note("map", self.attend(x).flatten(2).softmax(-1))              # (N, 1, HW)
        context = (x.flatten(2) @ a.transpose(-2, -1))[..., None]                # (N, C, 1, 1)
        return x + self.excite(F.relu(self.norm(self.squeeze(context))))


class BoT(Mechanism):
    """Self-attention with relative position, in place of a 3x3 convolution.

    Srinivas et al., CVPR 2021, arXiv 2101.11605.   Taught in lesson 05.

        q, k, v = Wq x, Wk x, Wv x      (N, heads, HW, d)    d = C / heads, no bias, no projection afterwards
        a = softmax over j of (q_i . k_j + q_i . (r^h_{row j - row i} + r^w_{column j - column i})) / sqrt(d)
        y = a v                         (N, C, H, W)

    Args:
        channels: C, divisible by heads.
        size: (H, W) of the map, which the tables of relative positions fix; None: no position, and any map.
        heads: 4 in the paper; None takes 4, or the largest number up to 4 that divides C.
        scale_position: scale the position term too, as in the authors' code (the default); the other convention does not.
        start: "as_made" only: it replaces a convolution and cannot be the identity.

    Raises:
        ValueError: channels not divisible by heads; in `forward`, an input that is not a float (N, channels, H, W), or a
            map of another size than the tables.

    Parameters: 3 C^2, and with size (2 H + 2 W - 2) d.   Authors' socket: `instead`, the 3x3 of the last three blocks.
    With size, same function as timm's BottleneckAttn(dim_head=C // heads, scale_pos_embed=True). The weights are then
    computed in the open, since their gradient is needed for the tables; without size torch's fused kernel runs.
    """

    family = "mixing"
    kind = "mixing"
    home = "instead"
    paper = "2101.11605"
    compared = "timm"
    starts = ("as_made",)

    def __init__(self, channels: int, size: tuple[int, int] | None = None, heads: int | None = None,
                 scale_position: bool = True, start: str = "as_made"):
        super().__init__(channels, start)
        if heads is None:
            heads = next(h for h in (4, 3, 2, 1) if channels % h == 0)
        if channels % positive(heads, "heads", "BoT"):
            raise ValueError(f"BoT: channels must be divisible by heads, got channels={channels}, heads={heads}")
        self.heads, self.scale_position = heads, scale_position
        if size is not None and (not isinstance(size, tuple | list) or len(size) != 2):
            raise ValueError(f"BoT: size must be (H, W) of the map, got {size!r}")
        self.size = None if size is None else (positive(size[0], "size[0]", "BoT"), positive(size[1], "size[1]", "BoT"))
        d = channels // heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        nn.init.normal_(self.qkv.weight, std=channels ** -0.5)
        if size is not None:
            self.rows = nn.Parameter(d ** -0.5 * torch.randn(2 * size[0] - 1, d))        # entry p: row j - row i = p - H + 1
            self.columns = nn.Parameter(d ** -0.5 * torch.randn(2 * size[1] - 1, d))

    def position(self, q: Tensor) -> Tensor:
        """q . (r^h + r^w) for all pairs: (N, heads, HW, d) -> (N, heads, HW, HW)."""
        h, w = self.size
        down = torch.arange(h, device=q.device)
        across = torch.arange(w, device=q.device)
        rows = wide(self.rows)[down[None] - down[:, None] + h - 1]               # (H, H, d): from row i to row j
        columns = wide(self.columns)[across[None] - across[:, None] + w - 1]     # (W, W, d)
        q = q.unflatten(2, (h, w))                                               # (N, heads, H, W, d)
        by_row = torch.einsum("nahwd,hjd->nahwj", q, rows)[..., :, None]         # (N, heads, H, W, H, 1)
        by_column = torch.einsum("nahwd,wjd->nahwj", q, columns)[..., None, :]   # (N, heads, H, W, 1, W)
        return (by_row + by_column).flatten(4).flatten(2, 3)                     # (N, heads, HW, HW)

    def check(self, x: Tensor) -> None:
        super().check(x)
        if self.size is not None and not torch.jit.is_tracing() and tuple(x.shape[2:]) != self.size:
            raise ValueError(f"BoT: made for maps of {self.size[0]}x{self.size[1]}, got {tuple(x.shape)}. Its tables of relative "
                             f"positions fix the size: make it with size={tuple(x.shape[2:])}, or with size=None.")

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return in_float32(self.mix, x)

    def mix(self, x: Tensor, run: Run) -> Tensor:
        q, k, v = (to_rows(part, self.heads) for part in run(self.qkv, x).chunk(3, 1))
        if self.size is None and not self.being_read:
            return to_map(F.scaled_dot_product_attention(q, k, v), x.shape[2:])
        scale = (self.channels // self.heads) ** -0.5
        logits = scale * q @ k.transpose(-2, -1) if self.size is None else self.logits(q, k, scale)
        a = self.note("map", logits.softmax(-1))                                 # (N, heads, HW, HW)
        return to_map(a @ v, x.shape[2:])

    def logits(self, q: Tensor, k: Tensor, scale: float) -> Tensor:
        """Both terms in one pass over the large matrix, (N, heads, HW, HW)."""
        position = self.position(q)
        both = torch.baddbmm(position.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).transpose(-2, -1), alpha=scale,
                             beta=scale if self.scale_position else 1.0)
        return both.view_as(position)
