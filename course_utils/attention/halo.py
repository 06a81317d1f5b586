"""Mixing within reach: self-attention of blocks that also see a rim around them. Lesson 05."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Mechanism, Run, divisor, in_float32, positive, wide
from .mixing import to_map, to_rows


def pieces(x: Tensor, side: int, step: int, heads: int) -> Tensor:
    """Squares of a map, one row per pixel: (N, heads d, H, W) -> (N, heads, squares, side^2, d)."""
    cut = F.unfold(x, side, stride=step)                                         # (N, heads d side^2, squares)
    return cut.unflatten(1, (heads, -1, side * side)).permute(0, 1, 4, 3, 2)


class Halo(Mechanism):
    """HaloNet's local attention, in place of a 3x3 convolution: each block of b x b places looks at itself and h around it.

    Vaswani et al., CVPR 2021, arXiv 2103.12731.   Taught in lesson 05.

        q, k, v = Wq x, Wk x, Wv x      (N, heads, d, H, W)    d = C / heads, no bias
        a = softmax over the places j of the block of i and its rim of
            (q_i . k_j + q_i . (r^h_{row j - row i} + r^w_{column j - column i})) / sqrt(d)      (b + 2h)^2 places
        y = sum over j of a_j v_j       (N, C, H, W)

    Args:
        channels: C, divisible by heads.
        block: b, 8 in the paper.
        halo: h, 3 in the paper; 0: each block by itself.
        heads: None takes the largest number up to C / 16 that divides C: the paper has 16 channels a head.
        scale_position: divide the position term by sqrt(d) too; timm does not, unless it is told to.
        start: "as_made" only: it replaces a convolution and cannot be the identity.

    Raises:
        ValueError: an argument out of range, channels not divisible by heads; in `forward`, an input that is not a float
            (N, channels, H, W).

    Parameters: 3 C^2 + (4 b + 4 h - 2) d.   Authors' socket: `instead`, the 3x3 of the blocks.
    H and W may be any: zeros fill the last blocks, nobody looks at them, and they are cut off again. Nor does anybody look
    beyond the border of the picture. timm's HaloAttn refuses sides that b does not divide, and at the border gives the zeros
    outside their share of the softmax, so that a constant map does not stay constant. Where the window lies inside the picture
    it is the same function; of the 2 b + 4 h - 1 rows of each table of positions 2 h are never used there, and not made here.
    Two neighbours on either side of a block's edge see different windows: the result depends on where the blocks begin.
    """

    family = "mixing"
    kind = "mixing"
    home = "instead"
    paper = "2103.12731"
    compared = "timm"
    starts = ("as_made",)

    def __init__(self, channels: int, block: int = 8, halo: int = 3, heads: int | None = None, scale_position: bool = True,
                 start: str = "as_made"):
        super().__init__(channels, start)
        heads = divisor(channels, max(1, channels // 16)) if heads is None else positive(heads, "heads", "Halo")
        if channels % heads:
            raise ValueError(f"Halo: channels must be divisible by heads, got channels={channels}, heads={heads}")
        if isinstance(halo, bool) or not isinstance(halo, int) or halo < 0:
            raise ValueError(f"Halo: halo must be an integer of at least 0, got {halo!r}")
        self.block, self.halo = positive(block, "block", "Halo"), halo
        self.heads, self.scale_position = heads, scale_position
        d, reach = channels // heads, 2 * (block + halo) - 1
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        nn.init.normal_(self.qkv.weight, std=channels ** -0.5)
        self.rows = nn.Parameter(d ** -0.5 * torch.randn(reach, d))      # entry p: row j - row i = p - (b + h - 1)
        self.columns = nn.Parameter(d ** -0.5 * torch.randn(reach, d))

    def position(self, q: Tensor) -> Tensor:
        """q . (r^h + r^w) for all pairs: (N, heads, blocks, b^2, d) -> (N, heads, blocks, b^2, (b + 2h)^2)."""
        here = torch.arange(self.block, device=q.device)
        there = torch.arange(self.block + 2 * self.halo, device=q.device)
        entry = there[None] - here[:, None] + self.block - 1                     # (b, b + 2h): from i to j
        q = q.unflatten(3, (self.block, self.block))                             # (N, heads, blocks, b, b, d)
        by_row = torch.einsum("nalrcd,rjd->nalrcj", q, wide(self.rows)[entry])[..., :, None]
        by_column = torch.einsum("nalrcd,cjd->nalrcj", q, wide(self.columns)[entry])[..., None, :]
        return (by_row + by_column).flatten(5).flatten(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return in_float32(self.mix, x)

    def mix(self, x: Tensor, run: Run) -> Tensor:
        (h, w), b, rim = x.shape[2:], self.block, self.halo
        q, k, v = run(self.qkv, x).chunk(3, 1)                                   # (N, C, H, W) each
        size = ((h - 1) // b + 1, (w - 1) // b + 1)                              # how many blocks, the last ones filled up
        q = pieces(F.pad(q, (0, b - 1, 0, b - 1)), b, b, self.heads)             # (N, heads, blocks, b^2, d)
        around = (rim, rim + b - 1, rim, rim + b - 1)
        keys, values = (pieces(F.pad(part, around), b + 2 * rim, b, self.heads) for part in (k, v))
        inside = pieces(F.pad(torch.ones_like(x[:1, :1]), around), b + 2 * rim, b, 1)      # (1, 1, blocks, (b + 2h)^2, 1)
        scale = (self.channels // self.heads) ** -0.5
        logits = scale * q @ keys.transpose(-2, -1) + (scale if self.scale_position else 1.0) * self.position(q)
        a = logits.masked_fill(inside.transpose(-2, -1) == 0, float("-inf")).softmax(-1)   # (N, heads, blocks, b^2, (b + 2h)^2)
        if self.being_read:
            a = self.note("map", self.whole(a, (h, w), around))                  # (N, heads, HW, HW)
            return to_map(a @ to_rows(v, self.heads), (h, w))
        return self.joined(a @ values, size)[..., :h, :w]

    def joined(self, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """Blocks as one map: (N, heads, blocks, b^2, d) -> (N, heads d, rows of blocks * b, columns of blocks * b)."""
        parts = rows.unflatten(3, (self.block, self.block)).unflatten(2, size)   # (N, heads, rows, columns, b, b, d)
        return parts.permute(0, 1, 6, 2, 4, 3, 5).flatten(5).flatten(3, 4).flatten(1, 2)

    def whole(self, a: Tensor, size: tuple[int, int], around: tuple[int, int, int, int]) -> Tensor:
        """The weights between all places, (N, heads, HW, HW), zero where a block does not look."""
        h, w = size
        number = 1 + torch.arange(h * w, dtype=a.dtype, device=a.device).view(1, 1, h, w)      # 0: outside
        asked = pieces(F.pad(number, (0, self.block - 1, 0, self.block - 1)), self.block, self.block, 1)
        seen = pieces(F.pad(number, around), self.block + 2 * self.halo, self.block, 1)
        full = a.new_zeros(*a.shape[:2], h * w + 1, h * w + 1)
        full[:, :, asked[0, 0].long(), seen[0, 0].long().transpose(-2, -1)] = a      # (blocks, b^2, 1), (blocks, 1, (b + 2h)^2)
        return full[:, :, 1:, 1:]
