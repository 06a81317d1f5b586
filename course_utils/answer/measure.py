"""How long a trial takes here, from its own steps: measured where the trials will run, on the pictures that they will see."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .. import cost
from ..runtime import best_device, use_data_folder
from ..studies.material import material
from ..studies.trial import LOOK_AT, Trial, network
from ..tasks import Batch
from ..train import CHECK_EVERY, evaluate, fit

WARM = 2      # steps that do not count: memory is laid out, kernels are chosen
SHOWN_TO_DOCTOR = 200      # pictures


@dataclass(frozen=True)
class Timing:
    """Seconds of the parts of a trial, and what its network costs."""

    read: float = 0.0      # the pictures, once for a process
    build: float = 0.0      # the host and what is plugged in
    step: float = 0.0
    picture: float = 0.0      # to test on one
    parameters: int = 0
    multiply_adds: float = 0.0      # per picture
    forward: float = 0.0      # seconds of one batch, without learning

    def trial(self, steps: int, test_size: int) -> float:
        """Seconds of one whole trial, its pictures being read already."""
        looks = steps // CHECK_EVERY * min(LOOK_AT, test_size)
        return self.build + steps * self.step + (looks + test_size) * self.picture


def measure(trial: Trial, seconds: float = 5.0, root: str | None = None) -> Timing:
    """Train a few steps of a trial, about so many seconds, and throw them away; `root` is where its data set lies."""
    if root:
        use_data_folder(root)
    device = best_device()
    began = time.perf_counter()
    stream, test = material(trial, device)
    read = time.perf_counter() - began
    began = time.perf_counter()
    net = network(trial, device).to(device)
    build = time.perf_counter() - began
    batches = iter(stream)
    first = time.perf_counter()
    fit(net, [next(batches) for _ in range(WARM)], lr=trial.lr * 1e-3, progress=False)      # nothing may run away here
    each = (time.perf_counter() - first) / WARM
    count = max(2, min(20, math.floor(0.7 * seconds / max(each, 1e-4))))
    began = time.perf_counter()
    # As a list of batches they would be cut before the clock: in a trial each is cut in its turn.
    history = fit(net, Counted(batches, count), lr=trial.lr * 1e-3, progress=False)
    step = max(history.seconds, time.perf_counter() - began) / count
    few = Batch(*(part[:256] for part in test))
    evaluate(net, Batch(*(part[:32] for part in few)))
    began = time.perf_counter()
    evaluate(net, few)
    picture = (time.perf_counter() - began) / len(few.y)
    return Timing(read, build, step, picture, cost.parameters(net), cost.multiply_adds(net, few.x[:2].to(device)))


def forwards(trials: Sequence[Trial], seconds: float = 2.0, root: str | None = None) -> list[float]:
    """Seconds in which each network answers for one batch, side by side: a busy moment of the machine hits all alike."""
    if root:
        use_data_folder(root)
    device = best_device()
    _, test = material(trials[0], device)
    nets, x = [network(trial, device).to(device) for trial in trials], test.x[:32].to(device)
    a_round = sum(cost.latencies(nets, x, repeats=1, warm_up=1))
    return cost.latencies(nets, x, repeats=max(3, min(40, int(seconds / max(a_round, 1e-4)))), warm_up=0)


class Counted:
    """So many of the batches that are left, as `fit` wants them."""

    def __init__(self, batches, count: int):
        self.batches, self.count = batches, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return (batch for _, batch in zip(range(self.count), self.batches, strict=False))


def balanced_accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """The mean over classes of the accuracy on each; classes without a picture here do not count."""
    right, y = (logits.argmax(1).cpu() == y.cpu()).float(), y.cpu()
    return torch.stack([right[y == label].mean() for label in y.unique()]).mean().item()
