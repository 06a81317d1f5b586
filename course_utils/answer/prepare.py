"""Make the plan: the size that the host takes, the arms that it can have, the time that a step takes here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, TypeVar

import torch

from .. import runtime
from ..studies.hosting import cached, fetch
from ..studies.trial import Trial
from .arms import PLAIN, arms, fit_size, rate
from .measure import Timing, forwards, measure
from .plan import EPOCHS, LEAST_SEEDS, LEAST_STEPS, SHARE, Plan, assumed_spread, choose
from .survey import Survey

T = TypeVar("T")
MEASURED = 0.12      # the share of the minutes that measuring may take
READING = 0.4      # the share of the minutes that reading the pictures may take
ALMOST = 0.5      # runs of the plain host alone that would take so much of the time: the others need not be measured


def make_plan(survey: Survey, host: str = "small_resnet", minutes: float = 30, pretrained: bool = False, size: int | None = None,
              lr: float | None = None, seed: int = 0, download: bool = False, root: str | None = None,
              executor: Executor | None = None, began: float | None = None, tell: Callable[[str], None] = print) -> Plan:
    """What to run so that it ends in so many minutes.

        plan = make_plan(survey, host="small_resnet", minutes=10)
        print(plan)

    Args:
        survey: from `look`.
        host: a name as `studies.hosting` has them.
        minutes: from the start of looking to the page.
        pretrained: fine-tune weights of ImageNet that are there, or that `download` may bring.
        size, lr: side of the pictures and peak learning rate, instead of those that are chosen.
        seed: the first.
        root: the folder of data sets, where it is not that of COURSE_DATA.
        executor: where the trials will run, and where they are measured; None: here.
        began: time.monotonic() of the start; None: looking counts as it was.

    Raises:
        ValueError: too little time, or a size that the host does not take. FileNotFoundError: no pretrained weights.
        ImportError: no such module or package.
    """
    began = time.monotonic() - survey.seconds if began is None else began
    if not 0 < minutes < math.inf:
        raise ValueError(f"minutes must be above 0, and finite, got {minutes}")
    check_reading(survey, minutes)
    if pretrained:
        weights(host, download)
    side, said = fit_size(host, len(survey.classes), survey.sides[1], size, pretrained)
    train = survey.total - survey.tests
    batch = 64 if train >= 2000 else 32 if train >= 200 else 16
    workers = getattr(executor, "workers", 1)
    base: dict[str, Any] = {"task": survey.task, "host": host, "batch_size": min(batch, train),
                            "lr": lr or rate(host, pretrained), "test_size": survey.tests, "size": side,
                            "split": survey.split, "pretrained": pretrained}
    wanted, lacks = arms(host, len(survey.classes), side)
    most = max(LEAST_STEPS, EPOCHS[pretrained] * -(-train // base["batch_size"]))
    total, timings = 60 * minutes * SHARE, {}
    for arm, settings in wanted.items():
        trial = Trial(**{**base, **settings, "seed": seed, "steps": 100})
        try:
            timings[arm] = there(executor, measure, trial, MEASURED * 60 * minutes / len(wanted) / 2, root)
        except Exception as error:  # of whatever kind: an arm that this host cannot have is left out, and named
            if arm == PLAIN:
                raise
            lacks[arm] = f"it does not work in {host}: {type(error).__name__}: {error}"
            continue
        tell(f"  {arm}: {1000 * timings[arm].step:.0f} ms a step, {timings[arm].build:.1f} s to build")
        if arm == PLAIN:
            check_time(timings[PLAIN], total - (time.monotonic() - began), workers, survey.tests)
    outcome = "balanced" if survey.uneven else "accuracy"
    if outcome == "balanced":      # tested twice
        timings = {arm: replace(t, picture=2 * t.picture) for arm, t in timings.items()}
    trials = [Trial(**{**base, **wanted[arm], "seed": seed, "steps": 100}) for arm in timings]
    beside = there(executor, forwards, trials, 0.02 * 60 * minutes, root)
    timings = {arm: replace(t, forward=seconds) for (arm, t), seconds in zip(timings.items(), beside, strict=True)}
    spent = time.monotonic() - began
    once = max(t.read for t in timings.values()) if executor else 0.0      # here they have been read by now
    chosen, seeds, steps, tests = choose(total - spent - once, timings, workers, most, survey.tests)
    lacks |= {arm: "for want of time" for arm in timings if arm not in chosen}
    spread, spread_from = assumed_spread(tests)
    asked = {"source": survey.source, "host": host, "minutes": minutes, "pretrained": pretrained, "size": size, "lr": lr,
             "seed": seed}
    device = runtime.best_device()
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Plan(asked, survey, {**base, "steps": steps, "test_size": tests}, {arm: wanted[arm] for arm in chosen}, lacks, timings,
                outcome, seeds, spent + once, workers, spread, spread_from, (said,), machine)


def there(executor: Executor | None, call: Callable[..., T], *args: Any) -> T:
    """Call it where the trials will run."""
    return executor.submit(call, *args).result() if executor else call(*args)


def check_reading(survey: Survey, minutes: float) -> None:
    """Refuse where already reading the pictures takes too long; how fast they are read, looking has shown.

    Raises:
        ValueError: it does.
    """
    reading = survey.seconds / max(1, survey.opened) * survey.listed
    if reading > READING * 60 * minutes:
        raise ValueError(f"too little time: to read {survey.listed:,} pictures takes about {reading / 60:.1f} minutes here. Give "
                         f"it {reading / 60 / READING:.0f} minutes or more, or fewer or smaller files.")


def check_time(plain: Timing, seconds: float, workers: int, tests: int) -> None:
    """Refuse before the other arms are measured, where even the plain host takes too long.

    Raises:
        ValueError: it does.
    """
    if LEAST_SEEDS * plain.trial(LEAST_STEPS, min(tests, 500)) / workers > ALMOST * seconds:
        choose(seconds, {PLAIN: plain, "one arm more": plain}, workers, LEAST_STEPS, tests)


def weights(host: str, download: bool) -> None:
    """See to it that the pretrained weights are there.

    Raises:
        FileNotFoundError: they are not, and may not be fetched.
    """
    if ":" in host and not host.startswith("timm:"):
        raise ValueError(f"{host}: load your weights in the function itself, and leave --pretrained out; the identity start "
                         "keeps them. A learning rate for fine-tuning: --lr 5e-4.")
    try:
        cached(host)
    except FileNotFoundError:
        if not download:
            raise
        fetch(host)
        cached(host)
