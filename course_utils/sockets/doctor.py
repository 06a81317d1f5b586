"""Is what was plugged in still there, does it run, does it learn, is it used? Asked after whatever may have lost it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor, nn

from .build import Eased
from .checkup import POINT, Checkup, Fault, Finding
from .gates import STAND_FOR, Reading
from .memory import Remembered, remembered, weighed
from .probe import Example, amiss, duplicate, examples, told, unnoticed
from .proof import noise
from .record import tensors
from .surgery import Plugged, host_class, part_socket, parts
from .symptoms import of_the_gates, of_the_network, of_the_use
from .trials import LEAST, Loss, Score, Subject, check_labels, costs, groups_of

ENOUGH = 32      # pictures for a look at the gradients

SPOILS = ("saturated", "constant", "mixes pictures")      # gates that are broken so spoil the statistics behind them

LOST = ("gone: the network has no such module any more. What exchanges modules loses it: fusing and re-parameterising, merging "
        "adapters, quantising, building the network anew from its settings. Plug in afterwards, or train without that step.")

WRAPPED = ("something was put around the module that it joined, such as an adapter. What it adds sees the map without this "
           "attention, and merging it changes the outputs. Take it off, or plug in at a module that has none.")


def plugged_in(model: nn.Module) -> dict[str, nn.Module]:
    """All attention in the network, by name."""
    found = {}
    for at, module in model.named_modules():
        for part in parts(module):
            found[f"{at}.{part}".lstrip(".")] = module._modules[part]
    return found


class Watch:
    """Notes what goes into the watched modules of a copy, and what comes out."""

    def __init__(self, modules: dict[str, nn.Module]):
        self.forget()
        self.handles = [m.register_forward_hook(lambda _, args, out, name=name: self.note(name, args[0], out))
                        for name, m in modules.items()]

    def forget(self) -> None:
        """A run that failed half-way has seen nothing."""
        self.calls: Counter[str] = Counter()
        self.finite: dict[str, bool] = {}
        self.change: dict[str, float] = {}
        self.silent: dict[str, bool] = {}
        self.asked = False

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def note(self, name: str, x: Tensor, y: Tensor) -> None:
        self.calls[name] += 1
        with torch.no_grad():
            self.finite[name] = bool(torch.isfinite(y).all()) and self.finite.get(name, True)
            self.silent[name] = not x.any() and self.silent.get(name, True)
            if part_socket(name) not in STAND_FOR:
                far = (y - x).abs().max() / x.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
                self.change[name] = max(far.item(), self.change.get(name, 0.0))


@torch.inference_mode(False)      # a copy learns
def doctor(model: nn.Module, pictures=None, labels: Tensor | None = None, score: Score | None = None,
           spread: float = POINT) -> Checkup:
    """Look at all that plug_in has put into a network, on pictures of your own: is it there, does it work, is it used?

        checkup = doctor(net, pictures, labels)
        print(checkup)               # seven questions, a row for each module, and what to do
        checkup.figure()

    In this order: does it run; does a gradient reach it; is its gate saturated, the same for each picture, or still at its
    start; do the statistics of the norms fit what comes now (found with forward passes only, nothing is learned); what is lost
    when it is frozen at its mean; what it costs here; and how many seeds would show a difference of that size. The first two
    are asked with any pictures, even none; the others with eight or more, better some hundreds, unseen ones; what a change
    loses is counted in right answers where there are labels, and in answers that change where there are none.

    Ask again after each step that exchanges modules: fuse(), re-parameterising, merging adapters, quantising, net.apply(init).

    Args:
        model: a network, in any mode, on any device; a copy is run, and nothing in it changes.
        pictures: what to run it on: a batch (N, C, H, W), a tuple of the arguments of model(...), or a dict of them by name.
            None: noise, of a usual size that the network takes.
        labels: what is right, (N,) for a classifier, (N, H, W) for a segmentation; with a `score` whatever it takes, first
            dimension N. With labels the network counts as trained: one at its start is complained of.
        score: (outputs, labels) -> (N,), one number a picture, more is better; None: right answers.
        spread: standard deviation of the differences between pairs of runs that differ in attention alone. Yours comes from
            three seeds; half of the contrasts recorded with this course lie below 0.023, half of those on Fashion-MNIST
            below 0.007.

    Raises:
        TypeError: not a module. ValueError: it does not run on the pictures, or on any picture of a usual size; labels that do
            not fit, fewer than eight of them, or without pictures; a spread that is not above zero.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not spread > 0:
        raise ValueError(f"spread must be above zero, got {spread}: the standard deviation of differences between pairs of runs")
    model = getattr(model, "_orig_mod", model)
    model = model.module if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) else model
    wanted = remembered(model)
    twin = duplicate(model).eval()
    there, host = plugged_in(twin), host_class(type(model)).__name__
    labels = check_labels(labels, pictures)
    if not there and not wanted:
        return Checkup((), host)
    watch = Watch(there)
    answer(twin, watch, pictures)
    watch.remove()
    elsewhere = {name: moved for name in wanted if name not in there and (moved := moved_to(name, there))}
    names = dict.fromkeys([*(name for name in wanted if name not in elsewhere), *there])
    found = [finding(name, there.get(name), wanted.get(name, Remembered()), watch, twin, name in elsewhere.values())
             for name in names]
    found = only_asleep(found, twin, pictures)
    checkup = Checkup(first_causes(found), host, watch.asked, spread=spread)
    like = next(twin.parameters())
    given = None if pictures is None else examples(twin, inputs=pictures)[0].map(lambda t: noise(t, like))
    if given is None or len(given.tensors[0]) < LEAST or given.tensors[0].ndim != 4:
        return checkup
    with unnoticed(twin):
        return second_half(checkup, twin.requires_grad_(False), given, None if labels is None else labels.to(like.device), score)


def second_half(checkup: Checkup, twin: nn.Module, given: Example, labels: Tensor | None, score: Score | None) -> Checkup:
    """What takes pictures: gates, norms, freezing, cost."""
    alive = {f.name: twin.get_submodule(f.name) for f in checkup.findings if f.runs and f.module != "-" and f.finite}
    subject = Subject(twin, given, labels, score)
    starts = {f.name: f.start for f in checkup.findings}

    def use() -> tuple[dict[str, Reading], list[Loss]]:
        seen = subject.look(alive, starts)
        return seen, subject.frozen(groups_of(list(alive)) | {"all": list(alive)}, seen)

    with subject.settled() as norms:
        stale = () if checkup.named else of_the_network(norms)      # norms miss what is gone: that is the cause
        if stale:      # such a network answers at random: what its gates see and do shows once its norms have settled
            seen, losses = use()
    if not stale:
        seen, losses = use()
    findings = of_the_gates([replace(f, reading=seen.get(f.name)) for f in checkup.findings], labels is not None)
    if any(fault.name in SPOILS for f in findings for fault in f.faults):
        stale = ()
    counted = labels is not None and score is None and labels.ndim == 1
    guess = labels.unique(return_counts=True)[1].max().item() / len(labels) if counted else None
    checkup = replace(checkup, guess=guess, findings=findings, pictures=subject.count, scored=labels is not None, norms=norms,
                      losses=tuple(losses), cost=costs(twin, given), faults=stale)
    return replace(checkup, faults=(*stale, *of_the_use(checkup)))


def moved_to(name: str, there: dict[str, nn.Module]) -> str | None:
    """Where attention is now, if something was put around the module that it joined: "conv1.base_layer.attention_pre"."""
    joined, _, part = name.rpartition(".")
    return next((n for n in there if n.startswith(f"{joined}.") and n.endswith(f".{part}")), None)


def answer(twin: nn.Module, watch: Watch, pictures) -> None:
    """One pass forward and back through the copy.

    Raises:
        ValueError: no example can be run.
    """
    like, problem = next(twin.parameters()), None
    for example in examples(twin, inputs=pictures):
        try:
            with unnoticed(twin), torch.enable_grad():
                watch.forget()
                twin.zero_grad()
                given = example.map(lambda t: noise(t, like))
                if given.tensors[0].ndim == 4:      # of a large batch a part is enough for the way back
                    given = given.part(slice(ENOUGH))
                out = twin(*given.args, **given.named)
                ends = [t.float() for t in tensors(out) if t.requires_grad and t.numel()]
                watch.asked = bool(ends)
                if ends:      # of size one: the outputs of a network without training may be of any size
                    sum((t / t.detach().abs().max().clamp_min(1e-30)).square().mean() for t in ends).backward()
            return
        except Exception as error:
            problem = problem or error
    wrong = amiss(example) if pictures is not None else ""
    raise ValueError(f"this {type(twin).__name__} could not be run: {told(problem)}. {wrong}Give pictures that it takes: "
                     "doctor(model, pictures)") from problem


def finding(name: str, module: nn.Module | None, wanted: Remembered, watch: Watch, twin: nn.Module, wrapped: bool) -> Finding:
    """What there is to say about one module."""
    if module is None:
        return Finding(name, "-", 0, wanted.calls, faults=(Fault("gone", LOST),))
    runs, finite, change = watch.calls[name], watch.finite.get(name, True), watch.change.get(name)
    weights = list(module.parameters())
    frozen = bool(weights) and not any(p.requires_grad for p in weights)
    gradient = torch.stack([p.grad.cpu().double().norm() for p in weights if p.grad is not None]).norm().item() \
        if any(p.grad is not None for p in weights) else None
    silent = watch.silent.get(name, False)
    faults = [Fault("wrapped", WRAPPED)] if wrapped else []
    if not runs:
        faults.append(Fault("does not run", "does not run: the network goes another way than when it was plugged in (a fused "
                            "forward, a branch that is switched off). Undo that step, or unplug and plug in again after it."))
    elif wanted.calls and runs != wanted.calls:
        faults.append(Fault("runs too often", f"runs {runs} times for one picture, and {wanted.calls} times when it was plugged "
                            "in: something else calls it, or its place is passed as often. Look for a forward that goes through "
                            "all that a module holds."))
    if not finite:
        faults.append(Fault("not finite", "gives numbers that are not finite. Look at what comes in; in half precision try "
                            "bfloat16 or float32."))
    if runs and weights and watch.asked and not (frozen or gradient or silent):
        faults.append(Fault("no gradient", "no gradient reaches it. In it or behind it something is cut off (no_grad, detach, "
                            "item) or multiplies by zero, or its own gate is saturated, all 0 or all 1 (weights set anew by "
                            "net.apply(init) can do that)."))
    elif gradient is not None and not torch.isfinite(torch.tensor(gradient)):
        faults.append(Fault("gradient not finite", "its gradient is not finite. Lower the learning rate, clip, or leave half "
                            "precision."))
    if in_float(twin, module):
        faults.append(Fault("stays in float", "stays in float while the network around it is prepared for quantisation, and so "
                            "does what it joined. Unplug, prepare, and plug in again."))
    untrained = bool(weights) and wanted.weights is not None and wanted.weights == weighed(module)
    kind = type(module.module if isinstance(module, Eased) else module).__name__
    return Finding(name, kind, runs, wanted.calls or runs, finite, change, gradient, frozen, silent,
                   wanted.start, untrained, faults=tuple(faults))


def only_asleep(found: list[Finding], twin: nn.Module, pictures) -> list[Finding]:
    """Nobody is accused who gets no gradient for weights of the host that begin at zero, and would if they had moved."""
    stuck = [f.name for f in found if any(fault.name == "no gradient" for fault in f.faults)]
    ours = tuple(f"{f.name}." for f in found)
    zeros = [name for name, p in twin.named_parameters() if not (name.startswith(ours) or name.endswith("bias") or p.any())]
    if not (stuck and zeros):
        return found
    woken = duplicate(twin)
    for name in zeros:
        woken.get_parameter(name).data.fill_(1)
    answer(woken, Watch({}), pictures)
    awake = {name for name in stuck if any(p.grad is not None and p.grad.any() for p in woken.get_submodule(name).parameters())}
    return [replace(f, asleep=zeros[0], faults=tuple(fault for fault in f.faults if fault.name != "no gradient"))
            if f.name in awake else f for f in found]


def first_causes(findings: list[Finding]) -> tuple[Finding, ...]:
    """Where numbers are not finite, no gradient is, of this module or of those before it: that is no fault of its own."""
    broken = any(fault.name == "not finite" for f in findings for fault in f.faults)
    return tuple(replace(f, faults=tuple(fault for fault in f.faults if not (broken and "gradient" in fault.name)))
                 for f in findings)


def in_float(twin: nn.Module, module: nn.Module) -> bool:
    """Is the network prepared for quantisation, or quantised, and the module that this one joined is not?"""
    quantised = [m for m in twin.modules() if "quantiz" in type(m).__module__
                 or (".ao.nn." in type(m).__module__ and not isinstance(m, Plugged))]
    joined = next((m for m in twin.modules() if any(part is module for part in m.children())), None)
    return bool(quantised) and isinstance(joined, Plugged) and isinstance(joined, nn.Conv2d | nn.Linear) \
        and ".ao." not in type(joined)._plugged_host.__module__
