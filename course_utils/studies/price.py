"""What every recorded mechanism gained on a task, and what it costs there: for the picture of lesson 14."""

from __future__ import annotations

import torch

from ..cost import traffic
from .overview import FEWEST, pairs, plain, said
from .trial import Trial, network, shape


def priced(task: str) -> dict[str, tuple[float, list[float]]]:
    """Mechanism and socket -> (bytes moved, by those of the plain host; accuracy gained over the plain host, one a pair).

    On the small host, of `overview.pairs`, where there are three or more. An added summary (a control) counts too.

    Raises:
        ValueError: unknown task.
    """
    _, side = shape(task)
    gained: dict[str, list[float]] = {}
    example: dict[str, Trial] = {}
    for trial, gain in pairs():
        if trial.task == task and trial.host == "small_host":
            label = f"{said(trial)}, {trial.at}"
            gained.setdefault(label, []).append(gain)
            example[label] = trial
    x = torch.zeros(8, 3, side, side)
    free = {label: traffic(network(plain(t)), x) for label, t in example.items() if len(gained[label]) >= FEWEST}
    return {label: (traffic(network(example[label]), x) / base, gained[label]) for label, base in free.items()}
