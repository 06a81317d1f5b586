"""What lessons' checks are made of: numbers, functions of tensors and modules, each tried so that nothing goes unnoticed.

A check written tomorrow has all of it by using these: copies for the answer and the truth computed beforehand, a second call, a
gradient to everything, training and evaluation mode, weights that are not those that the learner began with.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .core import Mistake, NotAttempted, Rejected, Report, exercise
from .slopes import partly_cut, partly_cut_in

__all__ = ["Mistake", "NotAttempted", "Rejected", "Report", "built", "close_number", "compare", "compare_module", "exercise",
           "integer", "noise_in", "numbers", "own_class", "rough_number", "steady", "untouched", "whole_gradient"]

IN_PLACE = "an in-place operation, such as x *= gate or x[mask] = 0; make a new tensor: x * gate."
CUT = "it is cut off: detach, item, tolist, numpy or no_grad."
PARTLY = "one of the ways back is cut off, by detach or no_grad, while another still works."


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Random numbers that are the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- numbers

def close_number(report: Report, answer: Any, wanted: float, what: str, tolerance: float = 1e-6,
                 reach: float | None = None) -> None:
    """Check a single number; a known mistake with the same value, up to `reach` (None: the tolerance), gives the cause."""
    value = report.number(answer, what)
    reach = tolerance if reach is None else reach
    if not abs(value - wanted) <= tolerance:      # not a number is never within reach
        near = [m.cause for m in report.mistakes if isinstance(m.answer, int | float) and abs(m.answer - value) <= reach]
        if not near and 0 < wanted < 1 < value <= 100:
            near = ["a share is asked for, a number between 0 and 1: 50 % is 0.5."]
        elif not near and value and any(value == round(wanted, digits) for digits in range(1, 6)):
            near = ["that is rounded too far: give more digits."]
        report.wrong(f"{what}: got {value:g}" + (f", which is {'more' if value > wanted else 'less'} than expected"
                                                 if value == value else ", which is not a number"), *near[:1])
    report.right(f"{what}: {value:g}")


def rough_number(report: Report, answer: Any, wanted: float, what: str, tolerance: float) -> None:
    """A number of which the size matters. Causes are told apart by their share: they differ by powers of ten."""
    value = report.number(answer, what)
    if not math.isfinite(value):
        report.wrong(f"{what}: got {value}", "something was divided by zero, or grew too large to be counted.")
    close_number(report, value, wanted, what, tolerance, abs(value) / 100)


def integer(report: Report, got: Any, wanted: int, call: str) -> None:
    """An integer that a function has returned."""
    report.agree(report.number(got, call, integer=True), wanted, call)


# ---- functions of tensors

def compare(report: Report, answer: Callable, arguments: tuple, wanted: Tensor, what: str, gradient: bool = True) -> None:
    """Call the learner's function on copies: a tensor of that shape, the same numbers twice, the arguments as they were.

    In the first case of a check it is also asked whether a gradient reaches each argument; `gradient=False` for scores, of
    which none is wanted. `wanted` is a tensor, computed before.
    """
    given = copies(arguments)
    got = report.call(answer, *given)
    untouched(report, given, arguments)
    report.same(report.tensor(got, tuple(wanted.shape), f"the result for {what}"), wanted, f"values for {what}",
                layer=gradient and any(isinstance(a, Tensor) and a.is_floating_point() for a in arguments))
    if report.following:
        return
    again = report.call(answer, *copies(arguments))
    if not torch.equal(report.tensor(again, tuple(wanted.shape)).detach(), got.detach()):
        report.wrong(f"a second call for {what} gives something else",
                     "something is kept from call to call, or drawn at random.")
    if gradient and not report.differentiated and any(isinstance(a, Tensor) and a.is_floating_point() for a in arguments):
        report.differentiated = True
        reaches(report, answer, arguments)


def copies(arguments: Sequence[Any]) -> list[Any]:
    """What the answer gets: tensors that nobody has written to, other things of its own; functions as they are."""
    return [a.clone() if isinstance(a, Tensor) else a if callable(a) else copy.deepcopy(a) for a in arguments]


def untouched(report: Report, given: Sequence[Any], before: Sequence[Any]) -> None:
    """Nothing was written into what the answer got; torch counts writing, even of numbers that stay the same."""
    for now, was in zip(given, before, strict=True):
        if isinstance(was, Tensor):
            if now._version or not torch.equal(now, was):
                report.wrong("your function changed what it was given", IN_PLACE)
        elif not callable(was) and now != was:
            report.wrong("your function changed what it was given",
                         "a method such as sort or pop, which works in place; make a new one: sorted(p), p[:-1].")


def reaches(report: Report, answer: Callable, arguments: tuple) -> None:
    """Does a gradient reach each argument?"""
    given = copies(arguments)
    leaves = {i: a.requires_grad_() for i, a in enumerate(given) if isinstance(a, Tensor) and a.is_floating_point()}

    def slopes() -> tuple:
        y = answer(*given)
        if not y.requires_grad:
            return (None,) * len(leaves)
        return torch.autograd.grad((y * numbers(*y.shape, seed=7)).sum(), list(leaves.values()), allow_unused=True)
    for i, slope in zip(leaves, report.call(slopes), strict=True):
        if slope is None or not slope.any():
            report.wrong(f"no gradient reaches {argument(answer, i)}, so what stands before it could not learn", CUT)

    def double(*floats: Tensor) -> Tensor:
        given = [a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in copies(arguments)]
        for i, value in zip(leaves, floats, strict=True):
            given[i] = value
        return answer(*given)
    if cut := partly_cut(double, [arguments[i] for i in leaves]):
        name = argument(answer, list(leaves)[cut[0]])
        report.wrong(f"the gradient that reaches {name} is not the slope of the result: a part is lost", PARTLY)


def argument(function: Callable, i: int) -> str:
    """What the learner calls the i-th argument."""
    try:
        return list(inspect.signature(function).parameters)[i]
    except (TypeError, ValueError, IndexError):
        return f"argument {i + 1}"


# ---- modules

def own_class(report: Report, answer: Any) -> type:
    """The learner's class, not an instance of it."""
    if not isinstance(answer, type):
        report.wrong(f"the class itself was expected, got {type(answer).__name__}: pass its name without brackets, not a "
                     "finished module")
    return answer


def built(report: Report, answer: Any, *args: Any) -> nn.Module:
    """An instance of the learner's class, or feedback."""
    own_class(report, answer)
    module = report.call(answer, *args, what=f"{answer.__name__}{args if len(args) != 1 else f'({args[0]!r})'}")
    if not isinstance(module, nn.Module):
        report.wrong(f"{answer.__name__} should be a torch.nn.Module")
    if "_parameters" not in vars(module):
        report.wrong(f"{answer.__name__} has no place for parameters", "super().__init__() is missing at the start of __init__.")
    if not module.training:
        report.wrong(f"{answer.__name__} is in evaluation mode as it is made", "a call of eval() in __init__; whoever trains or "
                     "evaluates the network says which mode it is.")
    return module


def noise_in(module: nn.Module, size: float = 0.5, seed: int = 3) -> None:
    """Every parameter somewhere else than at its start: zeros and large biases hide what is behind them."""
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            p.copy_(size * numbers(*p.shape, seed=seed + k))


def compare_module(report: Report, module: nn.Module, x: Tensor, wanted: Callable[[Tensor], Tensor], what: str) -> None:
    """The learner's module gives what `wanted` gives: in both modes, for a second input, again for the first; and it learns.

    `wanted` knows the module's weights; norms must not be inside, since they do different things in the two modes.
    """
    def run(x: Tensor, note: str = "") -> Tensor:
        given, expected = x.clone(), wanted(x).detach()
        got = report.call(module, given, what="forward")
        if given._version or not torch.equal(given, x):
            report.wrong("your forward changed x itself", IN_PLACE)
        got = report.tensor(got, tuple(expected.shape), f"the result for {what}{note}")
        quiet = Report(report.mistakes) if note else report
        quiet.following, quiet.seen = report.following, report.seen
        try:
            quiet.same(got, expected, f"{what}{note}")
        except Rejected:
            report.lines += quiet.lines if note else []
            report.unexplained, report.guess = True, odd(x, got)
            raise
        return got

    def odd(x: Tensor, got: Tensor) -> str:
        """What can be said of a wrong result without a known mistake."""
        if torch.equal(got, x):
            return "what comes out is x itself: nothing was done to it."
        again = report.call(module, x.clone(), what="forward")
        if again.shape == got.shape and not torch.allclose(again, got, rtol=1e-4, atol=1e-6, equal_nan=True):
            return "a second call gives something else: layers are made, or numbers drawn, in forward. Make layers in __init__."
        return ""
    was = module.training
    module.train()
    run(x)
    report.call(module.eval, what="eval()")
    run(x, ", in evaluation mode")
    other = 0.5 * x.flip(0) + 0.3
    run(other, ", for other numbers")
    run(x, ", called again")
    module.train(was)
    if not report.following:
        learns(report, module, x)


def learns(report: Report, module: nn.Module, x: Tensor) -> None:
    """A gradient reaches x and every parameter."""
    given, own = x.clone().requires_grad_(), dict(module.named_parameters())

    def slopes() -> tuple:
        y = module(given)
        if not y.requires_grad:
            return (None,) * (len(own) + 1)
        return torch.autograd.grad((y * numbers(*y.shape, seed=7)).sum(), [given, *own.values()], allow_unused=True)
    reached = dict(zip(["x", *own], report.call(slopes, what="a training step"), strict=True))
    if cut := [name for name, slope in reached.items() if slope is None]:
        report.wrong(f"no gradient arrives at {', '.join(cut[:4])}", CUT)
    whole_gradient(report, module, x)
    report.right("a gradient arrives at x and at every parameter")


def whole_gradient(report: Report, module: nn.Module, x: Tensor) -> None:
    """What arrives is the slope of what comes out, and not a part of it."""
    if cut := partly_cut_in(module, x):
        report.wrong(f"the gradient that arrives at {', '.join(cut[:4])} is not the slope of what comes out: a part is lost",
                     PARTLY)


def steady(report: Report, module: nn.Module, x: Tensor, forward: str = "") -> Tensor:
    """What comes out of two calls, or feedback: it is another thing each time (`forward`, the cause), or it is x."""
    y, again = (report.call(module, x.clone(), what="forward").detach() for _ in range(2))
    if y.shape == again.shape and not torch.allclose(y, again, rtol=1e-4, atol=1e-6):
        report.wrong("a second call with the same map gives something else", guess=forward)
    if torch.equal(y, x):
        report.wrong("what comes out is x itself, whatever the weights", "there is no gate in it, or one that is always 1.")
    return y
