"""The proof that plug_in asks of itself: each new module runs as often as its place, and at the start nothing has changed."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import torch
from torch import Tensor, nn

from .places import Place
from .probe import Example, copied, run, unnoticed
from .record import tensors

SMALL = 64      # pixels a side: enough to see a difference, where the network takes it


def check_reached(model: nn.Module, example: Example, names: tuple[str, ...], places: tuple[Place, ...]) -> None:
    """Run a copy of the new network: is all that is new called, each as often as its place?

    Raises:
        ValueError: it is not, or the network does not run any more.
    """
    try:
        done = run(model, example, plain=False)
    except Exception:
        filled = example.filled()
        try:
            done = run(model, filled, weights=True, plain=False)
        except Exception as error:
            raise ValueError(f"this {type(model).__name__} ran before, and does not with {names[0]} in it: "
                             f"{type(error).__name__}: {str(error).rstrip('.')}. Its forward depends on what its modules are or "
                             "hold; choose other places with layers=... or another socket.") from error
    called = Counter(call.name for call in done.calls)
    # A module that has several names is called by the first.
    first = {module: name for name, module in model.named_modules()}
    for name, place in zip(names, places, strict=True):
        times, where = called[first[model.get_submodule(name)]], f"{place.side} {place.module}"
        if not times:
            raise ValueError(f"{name} would never be used: the network does not call the module that it joined, or calls what "
                             "it replaced from a plain list. Register modules in nn.ModuleList or nn.Sequential, or choose "
                             "others with layers=...")
        if times != place.calls:
            joined = model.get_submodule(name.rpartition(".")[0])
            raise ValueError(f"{name} would be run {times} times for one picture, and its place, {where}, is passed "
                             f"{place.calls} times: the forward of {type(joined).__name__.removeprefix('Plugged')} goes through "
                             "all that it holds, and through the attention with it. Choose other places with layers=..., or "
                             "another socket.")


class Witness:
    """What the network gave before, to be held against what it gives with attention in it, on a picture of noise.

    Small where the network takes a small one. A network that cannot run where it is says so in `reason`, as on the meta device.
    """

    def __init__(self, model: nn.Module, example: Example, given: bool):
        like = next(model.parameters())
        self.twin = None if like.is_meta else copied(model, weights=True)
        self.examples = [] if like.is_meta else [e.map(lambda t: noise(t, like)) for e in self.sizes(example, given)]
        self.reason = "the network has no numbers yet" if like.is_meta else ""

    @staticmethod
    def sizes(example: Example, given: bool) -> list[Example]:
        """A small picture and the one that the network is known to take; or what the user gave."""
        if given or max(example.size[1:]) <= SMALL:
            return [example]
        return [example.map(lambda t: t.new_empty((1, t.shape[1], *(min(SMALL, side) for side in t.shape[2:])))), example]

    def check(self, model: nn.Module, attention: str) -> str:
        """Compare; returns why it could not be done, or nothing.

        Raises:
            ValueError: the outputs are not what they were.
        """
        if self.twin is None:
            return self.reason
        now, problem = copied(model, weights=True), None
        for example in self.examples:
            try:
                before, after = answers(self.twin, example), answers(now, example)
            except Exception as error:      # too small for this network, or it cannot run in this format on this device
                problem = problem or error
                continue
            if not any(t.numel() for t in (*before, *after)):
                return "they hold no number, or are of a class that only the network knows"
            if not alike(before, after):
                if not alike(before, answers(self.twin, example)):
                    return "they differ from run to run"
                self.refuse(now, example, attention, before, after)
            return ""
        return f"{type(problem).__name__}: {problem}"

    def refuse(self, now: nn.Module, example: Example, attention: str, before: list[Tensor], after: list[Tensor]) -> None:
        """Once more in double precision, where only what is wrong is left.

        Raises:
            ValueError: still different.
        """
        with suppress(Exception):
            exact = example.map(lambda t: t.double() if t.is_floating_point() else t)
            rough, before, after = before, answers(self.twin.double(), exact), answers(now.double(), exact)
            # A network that makes much of little: as far as rounding alone moves it, sums in another order may.
            if difference(before, after, rounding=1e-6) <= 10 * difference(rough, before, rounding=0):
                return
        far = difference(before, after)
        off = f"off by {far:.1%}" if far < 1e3 else "others altogether"
        raise ValueError(f"with {attention} in it, which changes nothing at its start, the outputs of this network are {off}. "
                         "Its forward treats a module differently once something has joined it (it asks for its exact class, or "
                         "goes through what it holds), so another network would be trained. Choose other places with layers=... "
                         "or another socket; or start='as_made', where outputs are not compared, if you know why.")


def noise(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy of the tensor, on the network's device; noise where it has only a shape."""
    if not tensor.is_meta:
        return tensor.detach().to(like.device, copy=True)
    g = torch.Generator().manual_seed(0)
    return torch.rand(tensor.shape, generator=g, device="cpu").to(like.device, tensor.dtype)


def answers(net: nn.Module, example: Example) -> list[Tensor]:
    """All that the network gives; one that writes into its picture does so in a copy."""
    example = example.map(torch.clone)
    with unnoticed(net):
        return [t.clone() for t in tensors(net(*example.args, **example.named))]


def alike(before: list[Tensor], after: list[Tensor]) -> bool:
    """The same, up to the rounding of sums that run in another order."""
    return difference(before, after) == 0


def difference(before: list[Tensor], after: list[Tensor], rounding: float | None = None) -> float:
    """The largest |difference| by the largest |output|; 0 within rounding, infinite where shapes differ."""
    if [t.shape for t in before] != [t.shape for t in after]:
        return float("inf")
    worst = 0.0
    for a, b in zip(before, after, strict=True):
        if not a.is_floating_point() or not a.numel():
            worst = max(worst, 0.0 if torch.equal(a, b) else float("inf"))
            continue
        limit = torch.finfo(a.dtype).eps ** 0.5 if rounding is None else rounding
        a, b = (t.cpu().double().nan_to_num() for t in (a, b))      # Apple's GPU has no float64
        far = (a - b).abs().max().item() / max(a.abs().max().item(), torch.finfo(torch.float32).tiny)
        worst = max(worst, far if far > limit else 0.0)
    return worst
