"""The pictures of a trial: to train on and to test on, of a task, a data set or a folder of one's own.

A trial is asked for its settings alone; `trial` stands above this file and is not imported.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from .. import names, tasks
from ..tasks import Batch, Images, Steps, to_batch

TEST_SEED = 2_000_003      # one test set for all trials of a task: differences between trials are not differences of luck
TEST_SHARE = 0.2      # of each class, where the trial makes the splits
SPLITS = ("", "once", "by_seed")


@functools.lru_cache(maxsize=4)
def real(task: str, split: str, device: str, size: int = 0) -> Images:
    return tasks.load(task, split, device=device, **({"size": size} if size else {}))      # once, for all trials of a process


@functools.lru_cache(maxsize=2)
def whole(task: str, device: str, size: int = 0) -> tuple[Images, list[list[list[int]]]]:
    """Both splits as one, and of each class the groups of its pictures that are the same: they must stay together."""
    train, test = (tasks.load(task, split, device=device, **({"size": size} if size else {})) for split in ("train", "test"))
    data = Images(torch.cat([train.x, test.x]), torch.cat([train.y, test.y]), train.classes)
    return data, alike(data)


def fingerprints(x: torch.Tensor) -> list[bytes]:
    """A hash of the pixels of each picture, (N, C, H, W) uint8."""
    flat = x.cpu().contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat]


def alike(data: Images) -> list[list[list[int]]]:
    """Class -> groups of places; the pictures of a group are the same to the pixel.

    The same picture under two labels is in the group of its first label: on both sides it would tell what is asked."""
    prints, groups, of_class = fingerprints(data.x), {}, [[] for _ in data.classes]
    for i, (one, label) in enumerate(zip(prints, data.y.tolist(), strict=True)):
        if one not in groups:
            groups[one] = []
            of_class[label].append(groups[one])
        groups[one].append(i)
    return of_class


def divided(of_class: list[list[list[int]]], seed: int, share: float = TEST_SHARE) -> dict[str, list[int]]:
    """Split -> places, chosen by the seed: that share of the groups of each class for testing, at least one and never all."""
    g, places = torch.Generator().manual_seed(seed), {"train": [], "test": []}
    for groups in of_class:
        kept_back = min(max(round(share * len(groups)), 1), len(groups) - 1)
        for rank, which in enumerate(torch.randperm(len(groups), generator=g).tolist()):
            places["test" if rank < kept_back else "train"] += groups[which]
    # Mixed, so that the first hundred are of all classes.
    return {split: [found[i] for i in torch.randperm(len(found), generator=g).tolist()] for split, found in places.items()}


def sides(trial: Any, device: torch.device) -> tuple[Images, Images]:
    """What a trial on real pictures trains on, and what it tests on; all of it."""
    if not trial.split:
        return tuple(real(trial.task, split, str(device), trial.size) for split in ("train", "test"))
    data, of_class = whole(trial.task, str(device), trial.size)
    places = divided(of_class, trial.seed if trial.split == "by_seed" else 0)
    return tuple(Images(data.x[places[split]], data.y[places[split]], data.classes) for split in ("train", "test"))


def shape(task: str, size: int = 0) -> tuple[int, int]:
    """Number of classes and side of the pictures.

    Raises:
        ValueError: neither a task nor a data set.
    """
    if task in tasks.DRAWN:
        return tasks.find(task).classes, tasks.find(task).size
    if task in tasks.DATA_SETS or task.startswith(tasks.FOLDER):
        classes, side = tasks.outline(task)
        return classes, size or side
    if Path(task).is_dir():
        raise ValueError(f"unknown task or data set {task!r}. It is a folder here: of pictures, write {tasks.FOLDER + task!r}.")
    raise names.unknown("task or data set", task, [*tasks.DRAWN, *tasks.DATA_SETS, f"{tasks.FOLDER}PATH"])


def material(trial: Any, device: torch.device) -> tuple[Iterable[Batch], Batch]:
    """Batches to train on, and one to test on."""
    if trial.task not in tasks.DRAWN:
        train, test = sides(trial, device)
        return (Steps(train, trial.steps, trial.batch_size, trial.seed),
                to_batch(test.x[:trial.test_size], test.y[:trial.test_size]))
    return (tasks.Stream(trial.task, trial.steps, trial.batch_size, seed=trial.seed, device=device),
            tasks.make(trial.task, trial.test_size, "test", TEST_SEED, device))
