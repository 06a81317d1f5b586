"""What every recorded mechanism gained on a task, and what it costs there: for the picture of lesson 14."""

from __future__ import annotations

import torch

from ..cost import traffic
from .catalogue import CATALOGUE
from .overview import FEWEST, plain, said
from .results import finished, read
from .trial import Trial, network, shape


def priced(task: str) -> dict[str, tuple[float, list[float]]]:
    """Mechanism and socket -> (bytes moved, by those of the plain host; accuracy gained over the plain host, one a pair).

    Trials from the beginning, on the small host, with attention once at all places of the socket; with three pairs or more. An
    added summary (a control) counts too.

    Raises:
        ValueError: unknown task.
    """
    _, side = shape(task)
    done: dict[Trial, float] = {}
    for study in CATALOGUE.values():
        if study.path.exists():
            done |= {t: r.accuracy for t, r in finished(read(study.path)).items()}
    gained: dict[str, list[float]] = {}
    example: dict[str, Trial] = {}
    for trial, accuracy in done.items():
        if trial.task == task and trial.host == "small_host" and trial.mechanism and plain(trial) in done \
                and not (trial.layers or trial.stages or trial.before or trial.settle) and trial.times == 1:
            label = f"{said(trial)}, {trial.at}"
            gained.setdefault(label, []).append(accuracy - done[plain(trial)])
            example[label] = trial
    x = torch.zeros(8, 3, side, side)
    free = {label: traffic(network(plain(t)), x) for label, t in example.items() if len(gained[label]) >= FEWEST}
    return {label: (traffic(network(example[label]), x) / base, gained[label]) for label, base in free.items()}
