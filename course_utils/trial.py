"""One trial: what is trained on what, with which seed and budget; a stable key; the network, the pictures, the run."""

from __future__ import annotations

import copy
import functools
import json
import threading
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import torch

from . import models, tasks
from .images import Images, Steps, fashion_mnist, to_batch
from .large import LARGE
from .models import count_parameters
from .runtime import best_device
from .sockets import plug_in, unplug
from .tasks import Batch
from .train import History, evaluate, fit

HOSTS = {**models.HOSTS, **models.CONTROLS, **LARGE}
SEEDING = threading.Lock()      # torch has one generator for the process: seeding and drawing must not be interleaved
BEFORE_SEED = 10_000      # other pictures while a host is trained before the trial
TEST_SEED = 2_000_003      # one test set for all trials of a task: differences between trials are not differences of luck


def frozen(value: Any) -> Any:
    """Lists to tuples, at every depth: JSON knows no tuples, and a trial must be hashable."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def stable_options(options: Any) -> tuple[tuple[str, Any], ...]:
    """A dict, or pairs from a file, as sorted pairs."""
    pairs = options.items() if isinstance(options, dict) else options
    return tuple(sorted((str(k), frozen(v)) for k, v in pairs))


# Fields of a trial that came after the first results.
LATER = {"layers": (), "plugged": False, "times": 1, "before": 0, "had": None}


@dataclass(frozen=True)
class Trial:
    """One training run: what is trained on what, with which seed and which budget. Two equal trials are the same trial.

    Args:
        task: a name of tasks.TASKS, or "fashion_mnist".
        mechanism: a name of attention.REGISTRY, or None for the plain host.
        socket: where it is plugged in; "none" for the plain host.
        start: the mechanism's start.
        options: further arguments of the mechanism as sorted (name, value) pairs.
        seed: initial weights and training pictures. Trials of the same seed see the same pictures: they are pairs.
        layers: which layers of the host get it, or, when plugged, which stages; (): all that can.
        plugged: by `sockets.plug_in` into the finished host, whose initial weights are then those of the plain host of the
            same seed; any socket of plug_in. Otherwise the host builds it in.
        times: how many of them one behind the other, when plugged.
        before: steps for which the host is trained before the mechanism is plugged in; `steps` come after that, and may be 0.
        had: the mechanism that the host has at `socket` while it is trained `before`, identity start; it makes room for
            `mechanism`, or stays where that is None.
        steps, batch_size, lr: the budget.
        test_size: pictures to test on, made of scans that no training picture holds.
    """

    task: str
    host: str = "small_host"
    mechanism: str | None = None
    socket: str = "post"
    start: str = "paper"
    options: tuple[tuple[str, Any], ...] = ()
    layers: tuple[int, ...] = ()
    plugged: bool = False
    times: int = 1
    before: int = 0
    had: str | None = None
    seed: int = 0
    steps: int = 800
    batch_size: int = 32
    lr: float = 1e-2
    test_size: int = 2000

    def __post_init__(self):
        if self.host not in HOSTS:
            raise ValueError(f"unknown host {self.host!r}. Known: {', '.join(HOSTS)}")
        # One stable form: equal trials must have equal keys, whoever wrote them.
        for name, kind in (("options", stable_options), ("layers", frozen), ("lr", float), ("seed", int), ("steps", int),
                           ("batch_size", int), ("test_size", int)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        if self.mechanism is not None and self.socket == "none":
            raise ValueError(f"mechanism {self.mechanism!r} needs a socket, got 'none'; name one, for example 'post'")
        if self.mechanism is None and self.had is None:
            for name, value in (("socket", "none"), ("start", "paper"), ("options", ()), ("layers", ()), ("plugged", False),
                                ("times", 1)):
                object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """The same text on every machine, in every session: the settings in the order of their names.

        Some came later than the first recorded results: they are left out where they say nothing, so old keys stay.
        """
        settings = {k: v for k, v in asdict(self).items() if k not in LATER or v != LATER[k]}
        return json.dumps(settings, sort_keys=True)

    @property
    def arm_before(self) -> Trial:
        """The trial that trains the host which this one goes on from."""
        return Trial(self.task, self.host, self.had, self.socket if self.had else "none", "identity", plugged=bool(self.had),
                     seed=self.seed + BEFORE_SEED, steps=self.before, batch_size=self.batch_size, test_size=self.test_size)

    @property
    def arm(self) -> Trial:
        """The configuration without its seed: what is compared."""
        return replace(self, seed=0)


@dataclass(frozen=True)
class Result:
    """A finished trial: an accuracy, or the error that ended it."""

    trial: Trial
    accuracy: float | None = None
    seconds: float | None = None
    parameters: int | None = None
    error: str | None = None
    device: str = ""
    torch: str = ""
    date: str = ""


@functools.cache
def real(split: str, device: str) -> Images:
    return fashion_mnist(split, device=device)      # read once, for all trials of a process


def shape(task: str) -> tuple[int, int]:
    """Number of classes and side of the pictures.

    Raises:
        ValueError: unknown task.
    """
    if task == "fashion_mnist":
        return 10, 28
    return tasks.find(task).classes, tasks.find(task).size


def material(trial: Trial, device: torch.device) -> tuple[Iterable[Batch], Batch]:
    """Batches to train on, and one to test on."""
    if trial.task == "fashion_mnist":
        x, y, _ = real("test", str(device))
        return (Steps(real("train", str(device)), trial.steps, trial.batch_size, trial.seed),
                to_batch(x[:trial.test_size], y[:trial.test_size]))
    return (tasks.Stream(trial.task, trial.steps, trial.batch_size, seed=trial.seed, device=device),
            tasks.make(trial.task, trial.test_size, "test", TEST_SEED, device))


def network(trial: Trial, device: torch.device | None = None) -> torch.nn.Module:
    """The host of a trial with its mechanism plugged in, initial weights from the trial's seed.

    With `before`, the host has been trained, on pictures that the trial itself does not see.
    """
    if trial.before:
        net = copy.deepcopy(trained(trial.arm_before, str(device or best_device())))
        if trial.had and trial.mechanism:
            unplug(net)
    attention, socket = None, "post"
    if trial.mechanism is not None and not trial.plugged:
        from . import attention as mechanisms
        mechanisms.find(trial.mechanism)
        def attention(channels: int, **shape: int) -> torch.nn.Module:      # a place may ask for out_channels and stride
            return mechanisms.build(trial.mechanism, channels, start=trial.start, **dict(trial.options), **shape)
        socket = trial.socket
    where = {"layers": trial.layers} if trial.layers and not trial.plugged else {}
    with SEEDING:
        torch.manual_seed(trial.seed)
        classes, side = shape(trial.task)
        if not trial.before:
            net = HOSTS[trial.host](classes, attention, socket, trial.start, **where)
        for number in range(trial.times if trial.plugged and trial.mechanism else 0):
            plug_in(net, trial.mechanism, trial.socket, stages=trial.layers or None, start=trial.start, stack=number > 0,
                    input_size=side, **dict(trial.options))
    return net


@functools.lru_cache(maxsize=4)
def trained(trial: Trial, device: str) -> torch.nn.Module:
    """The network of a trial, trained; kept, because several trials go on from it."""
    net = network(trial).to(device)
    fit(net, material(trial, torch.device(device))[0], lr=trial.lr, progress=False)
    return net


def run_trial(trial: Trial) -> Result:
    """Train and test; an error becomes part of the result. The accuracy is that of the last step, never the best one."""
    device = best_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    about = {"device": name, "torch": torch.__version__, "date": date.today().isoformat()}
    try:
        net = network(trial, device).to(device)
        stream, test = material(trial, device)
        history = fit(net, stream, lr=trial.lr, progress=False) if trial.steps or not trial.before else History()
        if history.interrupted:
            raise KeyboardInterrupt
        accuracy = evaluate(net, test)
        return Result(trial, accuracy, round(history.seconds, 2), count_parameters(net), **about)
    except Exception as error:
        return failed(trial, error, **about)


def failed(trial: Trial, error: BaseException, **about: Any) -> Result:
    """The result of a trial that an error ended, with the place where it happened."""
    trace = traceback.extract_tb(error.__traceback__)
    where = f" ({trace[-1].name}, line {trace[-1].lineno})" if trace else ""
    return Result(trial, error=f"{type(error).__name__}: {error}{where}", **about)
