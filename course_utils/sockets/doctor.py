"""Is what was plugged in still there, does it run, does it learn? Asked again after whatever may have lost it."""

from __future__ import annotations

import copy
import html
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..tables import as_html, as_text
from .probe import examples
from .proof import noise
from .record import tensors
from .surgery import Plugged, host_class, part_socket, parts, remembered

LOST = ("gone: the network has no such module any more. What exchanges modules loses it: fusing and re-parameterising, merging "
        "adapters, quantising, building the network anew from its settings. Plug in afterwards, or train without that step.")

WRAPPED = ("something was put around the module that it joined, such as an adapter. What it adds sees the map without this "
           "attention, and merging it changes the outputs. Take it off, or plug in at a module that has none.")


@dataclass(frozen=True)
class Finding:
    """What was found at one module that was plugged in.

    `runs` is how often it is called for one picture, and `wanted` how often its place was passed when it was plugged in.
    `change` is the largest |difference| that it makes to its map, by the largest |value|; 0 at the identity start, None where
    it stands for something else (instead, head, fuse). `gradient` is the norm of the gradients of its parameters, None where
    none can be had. `silent`: nothing but zeros comes in, so that nothing can be learned there yet.
    """

    name: str
    module: str
    runs: int
    wanted: int
    finite: bool = True
    change: float | None = None
    gradient: float | None = None
    frozen: bool = False
    silent: bool = False
    start: str = ""
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkup:
    """What `doctor` found, a `Finding` for each module; printed as a table with what to do. True if there is no complaint."""

    findings: tuple[Finding, ...]
    host: str
    asked: bool = True          # for gradients: the outputs carry some

    def __bool__(self) -> bool:
        return not self.complaints

    @property
    def complaints(self) -> list[str]:
        """What is wrong and what to do, each once, with the modules that it concerns."""
        told: dict[str, list[str]] = {}
        for finding in self.findings:
            for complaint in finding.complaints:
                told.setdefault(complaint, []).append(finding.name)
        return [f"{who[0]}{f' and {len(who) - 1} more' if len(who) > 1 else ''}: {what}" for what, who in told.items()]

    @property
    def rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        def number(value: float | None, form: str) -> str:
            return "-" if value is None else format(value, form)
        head = ("plugged in", "module", "runs", "changes its map by", "gradient")
        return head, [[f.name, f.module, f"{f.runs} of {f.wanted}", number(f.change, ".1%"),
                       "frozen" if f.frozen else number(f.gradient, ".1e")] for f in self.findings]

    @property
    def foot(self) -> str:
        if not self.findings:
            return f"{self.host}: nothing is plugged in."
        count = len(self.findings)
        learns = ", their outputs are finite, and a gradient reaches each" if self.asked else " and their outputs are finite"
        well = f"{self.host}: all {count} modules run{learns}."
        moved = sum(f.start == "identity" and bool(f.change) for f in self.findings)
        silent = sum(f.silent for f in self.findings)
        told = [f"{moved} of {count} have left their identity start: by training, or because net.apply(init) has set their "
                "weights anew."] if moved else []
        told += [f"{silent} of {count} get a map of nothing but zeros, as behind a norm that starts at zero: they learn once "
                 "that has moved."] if silent else []
        told += [] if self.asked else ["No gradient was asked for: the outputs carry none (a detector that has found nothing, "
                                       "labels in place of logits). Ask for a part, or with other pictures."]
        return "\n".join([*(self.complaints or [well]), *told])

    def __str__(self) -> str:
        return f"{as_text(*self.rows)}\n{self.foot}" if self.findings else self.foot

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(*self.rows, self.foot) if self.findings else f"<p>{html.escape(self.foot)}</p>"


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
        for name, module in modules.items():
            module.register_forward_hook(lambda _, args, out, name=name: self.note(name, args[0], out))

    def forget(self) -> None:
        """A run that failed half-way has seen nothing."""
        self.calls: Counter[str] = Counter()
        self.finite: dict[str, bool] = {}
        self.change: dict[str, float] = {}
        self.silent: dict[str, bool] = {}
        self.asked = False

    def note(self, name: str, x: Tensor, y: Tensor) -> None:
        self.calls[name] += 1
        with torch.no_grad():
            self.finite[name] = bool(torch.isfinite(y).all()) and self.finite.get(name, True)
            self.silent[name] = not x.any() and self.silent.get(name, True)
            if part_socket(name) not in ("instead", "head", "fuse"):
                far = (y - x).abs().max() / x.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
                self.change[name] = max(far.item(), self.change.get(name, 0.0))


def doctor(model: nn.Module, pictures=None) -> Checkup:
    """Look at all that plug_in has put into a network: is it there, does it run, is it finite, does a gradient reach it?

        checkup = doctor(net, pictures)
        print(checkup)
        assert checkup

    Ask after each step that changes modules: fuse(), re-parameterising, merging adapters, quantising, net.apply(init).

    Args:
        model: a network, in any mode; a copy is run, and nothing in it changes.
        pictures: what to run it on: a batch (N, C, H, W), a tuple of the arguments of model(...), or a dict of them by name.
            None: noise, of a usual size that the network takes.

    Raises:
        TypeError: not a module. ValueError: it does not run on the pictures, or on any picture of a usual size.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    model = getattr(model, "_orig_mod", model)
    model = model.module if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) else model
    wanted = remembered(model)
    twin = copy.deepcopy(model).eval()
    there = plugged_in(twin)
    if not there and not wanted:
        return Checkup((), host_class(type(model)).__name__)
    watch = Watch(there)
    answer(twin, watch, pictures)
    elsewhere = {name: moved for name in wanted if name not in there and (moved := moved_to(name, there))}
    names = dict.fromkeys([*(name for name in wanted if name not in elsewhere), *there])
    found = [finding(name, there.get(name), *wanted.get(name, (None, "")), watch, twin, name in elsewhere.values())
             for name in names]
    return Checkup(tuple(found), host_class(type(model)).__name__, watch.asked)


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
            with torch.enable_grad(), torch.random.fork_rng(devices=[]):
                watch.forget()
                twin.zero_grad()
                given = example.map(lambda t: noise(t, like))
                out = twin(*given.args, **given.named)
                ends = [t.float() for t in tensors(out) if t.requires_grad and t.numel()]
                watch.asked = bool(ends)
                if ends:      # of size one: the outputs of a network without training may be of any size
                    sum((t / t.detach().abs().max().clamp_min(1e-30)).square().mean() for t in ends).backward()
            return
        except Exception as error:
            problem = problem or error
    raise ValueError(f"this {type(twin).__name__} could not be run: {type(problem).__name__}: {str(problem).rstrip('.')}. Give "
                     "pictures that it takes: doctor(model, pictures)") from problem


def finding(name: str, module: nn.Module | None, wanted: int | None, start: str, watch: Watch, twin: nn.Module,
            wrapped: bool) -> Finding:
    """What there is to say about one module."""
    if module is None:
        return Finding(name, "-", 0, wanted, complaints=(LOST,))
    runs, finite, change = watch.calls[name], watch.finite.get(name, True), watch.change.get(name)
    weights = list(module.parameters())
    frozen = bool(weights) and not any(p.requires_grad for p in weights)
    gradient = torch.stack([p.grad.double().norm() for p in weights if p.grad is not None]).norm().item() \
        if any(p.grad is not None for p in weights) else None
    silent = watch.silent.get(name, False)
    complaints = [WRAPPED] if wrapped else []
    if not runs:
        complaints.append("does not run: the network goes another way than when it was plugged in (a fused forward, a branch "
                          "that is switched off). Undo that step, or unplug and plug in again after it.")
    elif wanted and runs != wanted:
        complaints.append(f"runs {runs} times for one picture, and {wanted} times when it was plugged in: something else calls "
                          "it, or its place is passed as often. Look for a forward that goes through all that a module holds.")
    if not finite:
        complaints.append("gives numbers that are not finite. Look at what comes in; in half precision try bfloat16 or float32.")
    if runs and weights and watch.asked and not (frozen or gradient or silent):
        complaints.append("no gradient reaches it. Behind it something is detached or multiplies by zero, or its own gate is "
                          "saturated, all 0 or all 1 (weights set anew by net.apply(init) can do that).")
    elif gradient is not None and not torch.isfinite(torch.tensor(gradient)):
        complaints.append("its gradient is not finite. Lower the learning rate, clip, or leave half precision.")
    if in_float(twin, module):
        complaints.append("stays in float while the network around it is prepared for quantisation, and so does what it joined. "
                          "Unplug, prepare, and plug in again.")
    return Finding(name, type(module).__name__, runs, wanted or runs, finite, change, gradient, frozen, silent, start,
                   tuple(complaints))


def in_float(twin: nn.Module, module: nn.Module) -> bool:
    """Is the network prepared for quantisation, or quantised, and the module that this one joined is not?"""
    quantised = [m for m in twin.modules() if "quantiz" in type(m).__module__
                 or (".ao.nn." in type(m).__module__ and not isinstance(m, Plugged))]
    joined = next((m for m in twin.modules() if any(part is module for part in m.children())), None)
    return bool(quantised) and isinstance(joined, Plugged) and isinstance(joined, nn.Conv2d | nn.Linear) \
        and ".ao." not in type(joined)._plugged_host.__module__
