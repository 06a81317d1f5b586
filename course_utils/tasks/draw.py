"""What the diagnostic tasks are drawn with: scans placed on a canvas, in one vectorised pass on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .digits import digits


class Batch(NamedTuple):
    """Pictures, answers, and where in each picture the evidence for the answer is."""

    x: Tensor       # (N, 3, H, W) float32, about 0 to 1
    y: Tensor       # (N,) int64; boxes (N, K, 5) float32 or classes of pixels (N, H, W) int64 where a task asks for those
    mask: Tensor    # (N, H, W) bool


def integers(high: Tensor | int, shape: tuple[int, ...], g: torch.Generator) -> Tensor:
    """Integers from 0 to high - 1; high may be a tensor of that shape."""
    return (torch.rand(shape, generator=g) * high).long()


def scans(classes: Tensor, split: str, size: int, g: torch.Generator, device: torch.device) -> Tensor:
    """A random scan for each entry of classes (N, K) -> (N, K, size, size) on the device."""
    bank = digits(split, size)
    index = bank.first[classes] + integers(bank.count[classes], tuple(classes.shape), g)
    return digits(split, size, str(device)).images[index.to(device)]


def place(canvas: Tensor, patches: Tensor, top: Tensor, left: Tensor) -> None:
    """Write patches (N, K, h, w) into canvas (N, K, H, W) at rows top and columns left, both (N, K), in place."""
    n, k, h, w = patches.shape
    device = canvas.device
    rows = top.to(device)[..., None, None] + torch.arange(h, device=device)[:, None]     # (N, K, h, 1)
    columns = left.to(device)[..., None, None] + torch.arange(w, device=device)          # (N, K, 1, w)
    i = torch.arange(n, device=device)[:, None, None, None]
    j = torch.arange(k, device=device)[:, None, None]
    canvas[i, j, rows, columns] = patches


def box(n: int, size: int, top: Tensor, left: Tensor, side: int, device: torch.device) -> Tensor:
    """(n, size, size) bool: true inside the square with the given corner, (n,) each."""
    mask = torch.zeros(n, 1, size, size, dtype=torch.bool, device=device)
    place(mask, torch.ones(n, 1, side, side, dtype=torch.bool, device=device), top[:, None], left[:, None])
    return mask[:, 0]
