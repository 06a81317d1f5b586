"""A data set in memory: one uint8 tensor on the device, where batches are cut and augmented too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .draw import Batch

PAD = 2      # pixels by which a picture is shifted at most


class Images(NamedTuple):
    """A data set in memory: bytes, a quarter of the room of floats, and nothing to load while training."""

    x: Tensor               # (N, C, H, W) uint8
    y: Tensor               # (N,) int64; of scenes boxes (N, K, 5) or classes of pixels (N, H, W)
    classes: list[str]

    def __repr__(self) -> str:
        """Shapes: the pictures themselves would fill pages."""
        return f"Images(x={tuple(self.x.shape)} {str(self.x.dtype)[6:]}, y={tuple(self.y.shape)}, classes={self.classes})"

    @property
    def counts(self) -> dict[str, int]:
        """Class -> its pictures. Far from equal, a guess at the largest class scores well: then give the balanced accuracy too,
        the mean over classes of the accuracy on each."""
        return dict(zip(self.classes, torch.bincount(self.y, minlength=len(self.classes)).tolist(), strict=True))


def crop_and_flip(x: Tensor, g: torch.Generator, pad: int = PAD) -> Tensor:
    """Shift each picture by up to `pad` pixels and mirror every second one at random; (N, C, H, W) to the same shape.

    The choices are drawn on the processor, the pictures are cut on their device in one indexing operation.
    """
    n, _, h, w = x.shape
    padded = F.pad(x, (pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (2, n), generator=g).to(x.device)
    mirrored = torch.randint(0, 2, (n,), generator=g).to(x.device).bool()
    columns = torch.arange(w, device=x.device)
    columns = torch.where(mirrored[:, None], w - 1 - columns, columns) + left[:, None]      # (N, W)
    rows = torch.arange(h, device=x.device) + top[:, None]                                  # (N, H)
    i = torch.arange(n, device=x.device)[:, None, None]
    return padded[i, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class Epochs:
    """Batches of a data set for `fit`: shuffled anew each epoch, float32 in 0..1, three channels if the data is grey."""

    def __init__(self, data: Images, epochs: int, batch_size: int = 128, seed: int = 0, augment: bool = True):
        if batch_size < 1 or epochs < 1:
            raise ValueError(f"epochs and batch_size must be at least 1, got {epochs} and {batch_size}")
        if augment and data.y.ndim > 1:
            raise ValueError("only pictures are shifted and mirrored here, and answers that are boxes or pixels would stay where "
                             "they are: say augment=False")
        self.data, self.epochs, self.batch_size, self.seed, self.augment = data, epochs, batch_size, seed, augment

    def __len__(self) -> int:
        return self.epochs * len(self.parts(torch.arange(len(self.data.y))))

    @property
    def says(self) -> str:
        """What is trained on, for a record: "60,000 pictures of 28x28 (6,000 a class), crop 2 px and flip"."""
        n, _, h, w = self.data.x.shape
        few, many = min(self.data.counts.values()), max(self.data.counts.values())
        each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        return f"{n:,} pictures of {h}x{w} ({each} a class), " + (f"crop {PAD} px and flip" if self.augment else "not augmented")

    def parts(self, order: Tensor) -> list[Tensor]:
        """Batches of indices; a single picture that is left over joins the batch before it: batch norm needs two."""
        parts = list(order.split(self.batch_size))
        if len(parts) > 1 and len(parts[-1]) == 1 < self.batch_size:
            parts[-2:] = [torch.cat(parts[-2:])]
        return parts

    def __iter__(self) -> Iterator[Batch]:
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.epochs):
            for index in self.parts(torch.randperm(len(self.data.y), generator=g)):
                index = index.to(self.data.x.device)
                x = self.data.x[index]
                yield to_batch(crop_and_flip(x, g, PAD) if self.augment else x, self.data.y[index])


class Steps:
    """A given number of batches, in as many epochs as that takes: a budget that does not depend on the size of the set."""

    def __init__(self, data: Images, steps: int, batch_size: int = 64, seed: int = 0, augment: bool = True):
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        per_epoch = len(Epochs(data, 1, batch_size, augment=augment))
        self.epochs, self.steps = Epochs(data, -(-steps // per_epoch), batch_size, seed, augment), steps

    def __len__(self) -> int:
        return self.steps

    @property
    def says(self) -> str:
        """What is trained on, as that of `Epochs`."""
        return self.epochs.says

    def __iter__(self) -> Iterator[Batch]:
        return islice(self.epochs, self.steps)


def to_batch(x: Tensor, y: Tensor) -> Batch:
    """Bytes (N, C, H, W) to a Batch: floats in 0..1, grey repeated to three channels, evidence everywhere."""
    n, c, h, w = x.shape
    x = x.float() / 255
    return Batch(x.expand(n, 3, h, w) if c == 1 else x, y, torch.ones(n, h, w, dtype=torch.bool, device=x.device))
