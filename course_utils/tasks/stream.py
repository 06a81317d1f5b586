"""Pictures of a task: a batch, or a stream of fresh batches to train on."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .. import names
from .clutter import CLUTTER
from .digits import check_split
from .draw import Batch
from .puzzles import TASKS, Task
from .scenes import SCENES

NOISE = 0.05
DRAWN: dict[str, Task] = TASKS | CLUTTER | SCENES


def find(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: no such task; the message lists the names and the closest one.
    """
    return names.find("task", name, DRAWN)


def make(name: str, n: int, split: str = "train", seed: int | torch.Generator = 0,
         device: torch.device | str | None = None) -> Batch:
    """n pictures of a task, with answers and evidence masks, on the device (the processor, if none is given).

    Args:
        name: of DRAWN.
        n: number of pictures, at least 1.
        split: "train" or "test": which scans the pictures are made of. No scan is in both.
        seed: an integer, or a CPU generator that goes on from where it is.

    Raises:
        ValueError: unknown task or split, n below 1.
    """
    task = find(name)
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    device = torch.device(device or "cpu")
    g = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    batch = task.draw(n, split, g, device)
    noise = torch.Generator(device).manual_seed(int(torch.randint(2**31, (), generator=g)))
    x = batch.x + NOISE * torch.randn(batch.x.shape, generator=noise, device=device)
    return Batch(x, batch.y.to(device), batch.mask)


class Stream:
    """Fresh batches of a task, never the same picture twice; a stream of the same seed gives the same batches again."""

    def __init__(self, name: str, steps: int, batch_size: int = 32, split: str = "train", seed: int = 0,
                 device: torch.device | str | None = None):
        find(name)
        check_split(split)
        self.name, self.steps, self.batch_size, self.split, self.seed = name, steps, batch_size, split, seed
        self.device = device

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.steps):
            yield make(self.name, self.batch_size, self.split, g, self.device)
