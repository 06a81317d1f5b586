"""The real handwritten digits that every task is built from: 1,797 scans of 8x8 pixels, shipped in data/digits.npz."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..paths import DATA, get_back

FILE = DATA / "digits.npz"
SPLITS = ("train", "test")


class Digits(NamedTuple):
    """Scans sorted by class, so that a scan of class c is `first[c]` plus anything below `count[c]`."""

    images: Tensor   # (n, size, size) float32, 0 paper to 1 ink
    first: Tensor    # (10,) index of the first scan of each class
    count: Tensor    # (10,) scans of each class


def check_split(split: str) -> None:
    """Raises ValueError for anything but "train" and "test"."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}")


def read(path: Path = FILE) -> dict[str, np.ndarray]:
    """The arrays of the file: images (1797, 8, 8) uint8 0..16, labels (1797,) uint8, test (1797,) bool.

    Raises:
        FileNotFoundError, ValueError: the file is missing, truncated or is not what it should be; the message says
            which file, and how to get it back.
    """
    remedy = get_back(path, "python tools/make_digits.py")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("images", "labels", "test")}
    except Exception as error:  # zipfile, zlib and NumPy each have their own for a damaged file
        raise ValueError(f"{path} cannot be read ({type(error).__name__}: {error}). It is damaged or incomplete. "
                         f"{remedy}") from error
    shapes = {key: value.shape for key, value in arrays.items()}
    if shapes != {"images": (1797, 8, 8), "labels": (1797,), "test": (1797,)}:
        raise ValueError(f"{path} holds {shapes}; wanted 1,797 images of 8x8 with labels and the test mark. {remedy}")
    return arrays


@lru_cache(maxsize=32)
def digits(split: str, size: int, device: str = "cpu") -> Digits:
    """The scans of one split, enlarged to size x size pixels.

    Raises:
        ValueError: unknown split.
    """
    check_split(split)
    arrays = read()
    chosen = arrays["test"] if split == "test" else ~arrays["test"]
    labels = torch.from_numpy(arrays["labels"][chosen].astype(np.int64))
    order = labels.argsort(stable=True)
    images = torch.from_numpy(arrays["images"][chosen].astype(np.float32))[order] / 16
    images = F.interpolate(images[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    count = torch.bincount(labels, minlength=10)
    return Digits(images.to(device), (count.cumsum(0) - count).to(device), count.to(device))
