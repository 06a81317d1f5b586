"""One trial: what is trained on what, with which seed and budget; a stable key; the network, the pictures, the run."""

from __future__ import annotations

import copy
import functools
import json
import math
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

import torch

from .. import tasks
from ..cost import parameters
from ..runtime import best_device
from ..sockets import plug_in, unplug
from ..tasks import Batch
from ..train import History, evaluate, fit, layout, predict
from .controls import CONTROLS
from .hosting import HOSTS, build, check_host
from .material import SPLITS, TEST_SEED, material, real, shape
from .scoring import check_answers, scoring

__all__ = ["HOSTS", "SPLITS", "TEST_SEED", "Result", "Trial", "material", "network", "real", "run_trial", "shape", "trained"]

SEEDING = threading.Lock()      # torch has one generator for the process: seeding and drawing must not be interleaved
SETTLE_SEED = 30_000
BEFORE_SEED = 10_000      # other pictures while a host is trained before the trial
LOOK_AT = 500      # test pictures for the curve: enough to see a take-off, and cheap enough for every 50 steps


def frozen(value: Any) -> Any:
    """Lists to tuples, at every depth: JSON knows no tuples, and a trial must be hashable."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def stable_options(options: Any) -> tuple[tuple[str, Any], ...]:
    """A dict, or pairs from a file, as sorted pairs."""
    pairs = options.items() if isinstance(options, dict) else options
    return tuple(sorted((str(k), frozen(v)) for k, v in pairs))


def places(value: Any) -> tuple[Any, ...]:
    """One place, or several, as a tuple."""
    value = frozen(value)
    return value if isinstance(value, tuple) else (value,)


# In a key the settings have the names, and the start the word, with which the first results were recorded.
KEY_NAMES = {"at": "socket", "stages": "layers", "layers": "names"}
KEY_STARTS = {"as_made": "paper"}
# What came later is left out of a key where it says nothing, so that old keys stay.
LATER = {"stages": (), "layers": (), "unit": None, "times": 1, "before": 0, "had": None, "settle": 0, "size": 0,
         "split": "", "pretrained": False}
# A plain host has no mechanism to say more about.
PLAIN = {"start": "as_made", "options": (), "stages": (), "layers": (), "unit": None, "times": 1}


@dataclass(frozen=True)
class Trial:
    """One training run: what is trained on what, with which seed and which budget. Two equal trials are the same trial.

    Args:
        task: a name of tasks.DRAWN or tasks.DATA_SETS, or "folder:PATH" for pictures of your own (see tasks.folder). A folder
            is known by its path: after you changed the pictures, record to another file of results.
        host: a name of HOSTS, or of a host elsewhere: see `hosting`.
        mechanism: a name of attention.REGISTRY, or of CONTROLS, or None for the plain host. The others say how `plug_in` brings
            it in, and mean what they mean there:
        at: its socket; "none" for the plain host.
        start: "identity" or "as_made".
        options: further arguments of the mechanism as sorted (name, value) pairs.
        stages, layers: which places get it; (): all of that socket. `layers` are patterns such as "layer3.*".
        unit: "block", "conv", or None for the natural one of the host.
        times: how many of them one behind the other.
        before: steps for which the host is trained before the mechanism is plugged in; `steps` come after that, and may be 0.
        had: the mechanism that the host has at `at` while it is trained `before`, identity start; it makes room for
            `mechanism`, or stays where that is None.
        settle: batches that pass forward in training mode after the training, without learning: the norms get the statistics
            of what now comes to them.
        seed: initial weights and training pictures. Trials of the same seed see the same pictures: they are pairs.
        steps, batch_size, lr: the budget.
        test_size: pictures to test on, made of scans that no training picture holds.
        size: side of real pictures; 0: that of the data set.
        split: "": as the data set or the folder has it; "once": its pictures divided anew, the same ones kept together;
            "by_seed": divided by each seed in its own way, for sets so small that one test set is a matter of luck.
        pretrained: the host comes with weights of ImageNet, and a new last layer.
    """

    task: str
    host: str = "small_host"
    mechanism: str | None = None
    at: str = "post"
    start: str = "identity"
    options: tuple[tuple[str, Any], ...] = ()
    stages: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    unit: str | None = None
    times: int = 1
    before: int = 0
    had: str | None = None
    settle: int = 0
    seed: int = 0
    steps: int = 800
    batch_size: int = 32
    lr: float = 1e-2
    test_size: int = 2000
    size: int = 0
    split: str = ""
    pretrained: bool = False

    def __post_init__(self):
        check_host(self.host)
        check_answers(self.task, self.host)
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {self.split!r}")
        # One stable form: equal trials must have equal keys, whoever wrote them.
        for name, kind in (("options", stable_options), ("stages", places), ("layers", places), ("lr", float), ("seed", int),
                           ("steps", int), ("batch_size", int), ("test_size", int), ("times", int), ("before", int),
                           ("settle", int), ("size", int), ("pretrained", bool)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        if self.mechanism is not None and self.at == "none":
            raise ValueError(f"mechanism {self.mechanism!r} needs a socket, got at='none'; name one, for example 'post'")
        if self.times < 1:
            raise ValueError(f"times must be at least 1, got {self.times}; the plain host is mechanism=None")
        if self.had and not self.before:
            raise ValueError(f"had={self.had!r} is what the host is trained with: say for how many steps, before=...")
        if self.mechanism is None:
            for name, value in {**PLAIN, "at": self.at if self.had else "none"}.items():
                object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """The same text on every machine, in every session: the settings in the order of their names."""
        settings = {KEY_NAMES.get(k, k): v for k, v in asdict(self).items() if k not in LATER or v != LATER[k]}
        settings["start"] = KEY_STARTS.get(self.start, self.start)
        if self.mechanism or self.had:
            settings["plugged"] = True      # told apart from the first trials, whose hosts built the mechanism in
        return json.dumps(settings, sort_keys=True)

    @property
    def arm_before(self) -> Trial:
        """The trial that trains the host which this one goes on from."""
        return Trial(self.task, self.host, self.had, self.at if self.had else "none", seed=self.seed + BEFORE_SEED,
                     steps=self.before, batch_size=self.batch_size, test_size=self.test_size, size=self.size,
                     split=self.split, pretrained=self.pretrained)

    @property
    def arm(self) -> Trial:
        """The configuration without its seed: what is compared."""
        return replace(self, seed=0)


@dataclass(frozen=True)
class Result:
    """A finished trial: what came out, or the error that ended it."""

    trial: Trial
    accuracy: float | None = None      # on all test pictures, after the last step; AP of boxes, the mean IoU of pixels
    seconds: float | None = None
    parameters: int | None = None
    curve: tuple[float, ...] = ()      # the same on the first LOOK_AT test pictures after 50, 100, ... steps
    error: str | None = None
    device: str = ""
    torch: str = ""
    date: str = ""
    data: str = ""      # of real data: how many pictures, how they were augmented, how many it was tested on
    balanced: float | None = None      # the mean over classes of the accuracy on each, where it was asked for
    words: str = ""      # what the doctor said of the trained network, where it was asked
    wall: float | None = None      # seconds of everything: reading, building, training, testing
    scores: dict[str, float] = field(default_factory=dict, hash=False)      # of boxes and pixels: see `scores`


def network(trial: Trial, device: torch.device | None = None) -> torch.nn.Module:
    """The host of a trial with its mechanism plugged in, initial weights from the trial's seed.

    All arms of a seed begin with the same host: the mechanism draws its weights after it. With `before`, the host has been
    trained, on pictures that the trial itself does not see.
    """
    if trial.before:
        net = copy.deepcopy(trained(trial.arm_before, str(device or best_device())))
        if trial.had and trial.mechanism:
            unplug(net)
    with SEEDING:
        torch.manual_seed(trial.seed)
        classes, side = shape(trial.task, trial.size)
        if not trial.before:
            net = build(trial.host, classes, trial.pretrained)
        mechanism, options = trial.mechanism, dict(trial.options)
        if mechanism in CONTROLS:
            mechanism, options = partial(CONTROLS[mechanism], **options), {}
        for number in range(trial.times if mechanism else 0):
            plug_in(net, mechanism, at=trial.at, stages=trial.stages or None, layers=trial.layers or None,
                    unit=trial.unit, start=trial.start, stack=number > 0, input_size=side, **options)
    return net


@functools.lru_cache(maxsize=4)
def trained(trial: Trial, device: str) -> torch.nn.Module:
    """The network of a trial, trained; kept, because several trials go on from it."""
    net = network(trial).to(device)
    fit(net, material(trial, torch.device(device))[0], lr=trial.lr, progress=False, **scoring(trial.task).fit)
    return net


def run_trial(trial: Trial, after: Callable[[torch.nn.Module, Batch], dict[str, Any]] | None = None) -> Result:
    """Train and test; an error becomes part of the result. The accuracy is that of the last step, never the best one.

    Args:
        after: further entries of the result, from the trained network and the batch that it was tested on.
    """
    began = time.perf_counter()
    device = best_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    about = {"device": name, "torch": torch.__version__, "date": date.today().isoformat()}
    try:
        net = network(trial, device).to(device)
        stream, test = material(trial, device)
        if trial.task not in tasks.DRAWN:
            about["data"] = f"{trial.task}: {stream.says}; tested on {len(test.y):,}"
        few = Batch(*(part[:LOOK_AT] for part in test))
        how, history = scoring(trial.task), History()
        if trial.steps or not trial.before:
            history = fit(net, stream, lr=trial.lr, progress=False, unseen=few, **how.fit)
        if history.interrupted:
            raise KeyboardInterrupt
        settle(net, trial, device)
        if how.all:
            found = how.all(predict(net, test.x), test.y)
            accuracy = next(iter(found.values()))      # AP of boxes, the mean IoU of pixels
            about["scores"] = {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}
        else:
            accuracy = evaluate(net, test)
        curve = tuple(round(value, 4) for value in history.unseen)
        about |= after(net, test) if after else {}
        about["wall"] = round(time.perf_counter() - began, 2)
        return Result(trial, accuracy, round(history.seconds, 2), parameters(net), curve, **about)
    except Exception as error:
        return failed(trial, error, **about)


def settle(net: torch.nn.Module, trial: Trial, device: torch.device) -> None:
    """Let the norms see `settle` batches of pictures that no training has used."""
    if trial.settle:
        batches, _ = material(replace(trial, seed=trial.seed + SETTLE_SEED, steps=trial.settle), device)
        net.train()
        with torch.no_grad():
            for x, _, _ in batches:
                net(layout(x, device))


def failed(trial: Trial, error: BaseException, **about: Any) -> Result:
    """The result of a trial that an error ended, with the place where it happened."""
    trace = traceback.extract_tb(error.__traceback__)
    where = f" ({trace[-1].name}, line {trace[-1].lineno})" if trace else ""
    return Result(trial, error=f"{type(error).__name__}: {error}{where}", **about)
