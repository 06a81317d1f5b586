"""Real data sets through torchvision: the whole set as one uint8 tensor on the device, batches cut and augmented there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..paths import own_folder
from ..runtime import DATA_VARIABLE as VARIABLE
from ..runtime import data_folder
from .digits import SPLITS
from .draw import Batch


class Images(NamedTuple):
    """A data set in memory: bytes, a quarter of the room of floats, and nothing to load while training."""

    x: Tensor               # (N, C, H, W) uint8
    y: Tensor               # (N,) int64
    classes: list[str]


def fashion_mnist(split: str = "train", root: str | Path | None = None, download: bool = False,
                  device: torch.device | str | None = None) -> Images:
    """Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747, MIT licence): 60,000 and 10,000 grey pictures of 28x28 pixels.

    Args:
        split: "train" or "test".
        root: the folder that holds FashionMNIST/raw; by default the environment variable COURSE_DATA, else downloads/
            in the course's folder; in the current folder if the course was installed from a wheel.
        download: fetch the files if they are not there. Nothing is fetched unless you ask for it.

    Raises:
        ValueError: unknown split.
        FileNotFoundError: the files are not there; the message says where they were looked for and how to get them.
        ValueError: a file is damaged or incomplete; the message says which folder to delete.
    """
    from torchvision.datasets import FashionMNIST  # takes seconds to import; the tasks of digits do without it

    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}")
    root = Path(root or data_folder() or own_folder() / "downloads")
    folder = root / "FashionMNIST" / "raw"
    try:
        data = FashionMNIST(root, train=split == "train", download=download)
    except (RuntimeError, ValueError, IndexError, EOFError) as error:
        # torchvision says "not found" for a missing file; with download it says why it could not be fetched.
        if isinstance(error, RuntimeError) and (download or "not found" in str(error)):
            raise FileNotFoundError(f"Fashion-MNIST is not in {folder} ({error}). With a connection: "
                                    "fashion_mnist(download=True), 31 MB. Without: copy the folder there, or set "
                                    f"{VARIABLE} to the folder that holds FashionMNIST/raw.") from error
        raise ValueError(f"Fashion-MNIST in {folder} is damaged or incomplete ({error}). Delete the folder, then copy it "
                         "again or call fashion_mnist(download=True).") from error
    device = torch.device(device or "cpu")
    return Images(data.data[:, None].to(device), data.targets.to(device), list(data.classes))


def crop_and_flip(x: Tensor, g: torch.Generator, pad: int = 2) -> Tensor:
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
        self.data, self.epochs, self.batch_size, self.seed, self.augment = data, epochs, batch_size, seed, augment

    def __len__(self) -> int:
        return self.epochs * len(self.parts(torch.arange(len(self.data.y))))

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
                yield to_batch(crop_and_flip(x, g) if self.augment else x, self.data.y[index])


class Steps:
    """A given number of batches, in as many epochs as that takes: a budget that does not depend on the size of the set."""

    def __init__(self, data: Images, steps: int, batch_size: int = 64, seed: int = 0, augment: bool = True):
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        per_epoch = len(Epochs(data, 1, batch_size))
        self.epochs, self.steps = Epochs(data, -(-steps // per_epoch), batch_size, seed, augment), steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        return islice(self.epochs, self.steps)


def to_batch(x: Tensor, y: Tensor) -> Batch:
    """Bytes (N, C, H, W) to a Batch: floats in 0..1, grey repeated to three channels, evidence everywhere."""
    n, c, h, w = x.shape
    x = x.float() / 255
    return Batch(x.expand(n, 3, h, w) if c == 1 else x, y, torch.ones(n, h, w, dtype=torch.bool, device=x.device))
