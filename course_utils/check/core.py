"""How a check talks: what is right, what was got and wanted, and the likely cause, found by trying known mistakes.

What several lessons need is here too: numbers to try an answer on, and a learner's class, built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the check must reject, and what to tell whoever gives it."""

    cause: str
    answer: Any


class NotAttempted(Exception):
    """The answer is still the placeholder."""


class Rejected(Exception):
    """The answer is wrong; everything to say has been printed."""


@dataclass
class Report:
    """Lines of feedback on one answer."""

    mistakes: Sequence[Mistake]
    lines: list[str] = field(default_factory=list)

    def right(self, text: str) -> None:
        self.lines.append(f"  right  {text}")

    def wrong(self, text: str, cause: str = "") -> None:
        """Add what is wrong and end the check."""
        self.lines.append(f"  WRONG  {text}")
        if cause:
            self.lines.append(f"         Likely cause: {cause}")
        raise Rejected

    def call(self, function: Callable, *args: Any, what: str = "your function") -> Any:
        """Call the learner's code: an error in it, or a placeholder, becomes feedback."""
        try:
            value = function(*args)
        except NotImplementedError:
            raise NotAttempted from None
        except Exception as error:
            self.wrong(f"{what} stopped with {type(error).__name__}: {error}")
        if value is None or value is ...:
            raise NotAttempted
        return value

    def tensor(self, got: Any, shape: tuple[int, ...], what: str = "the result") -> Tensor:
        """A tensor of that shape, or feedback."""
        if not isinstance(got, Tensor):
            self.wrong(f"{what} should be a tensor, got {type(got).__name__}")
        if tuple(got.shape) != shape:
            self.wrong(f"{what} should have shape {shape}, got {tuple(got.shape)}", self.shape_cause(got, shape))
        return got

    @staticmethod
    def shape_cause(got: Tensor, shape: tuple[int, ...]) -> str:
        if got.ndim == len(shape) and sorted(got.shape) == sorted(shape):
            return "two dimensions are swapped, or a mean or sum runs over the wrong one."
        if got.ndim < len(shape):
            return "a mean or sum runs over too many dimensions (dim=(2, 3) are the positions), or keepdim is missing."
        if got.ndim > len(shape):
            return "a dimension is left over: a mean or sum runs over too few dimensions, or keepdim is not wanted here."
        return ""

    def same(self, got: Tensor, wanted: Tensor, what: str, wrong_values: Callable[[Any], Any] | None = None) -> None:
        """The numbers agree to rounding; otherwise name the known mistake that gives exactly these numbers.

        wrong_values: computes what a mistake's answer gives on the same input.
        """
        got = got.detach().to(wanted.dtype)
        if torch.allclose(got, wanted, rtol=1e-4, atol=1e-6):
            self.right(what)
            return
        worst = int((got - wanted).abs().nan_to_num(float("inf")).argmax())
        self.wrong(f"{what}: got {got.flatten()[worst]:.4f} where {wanted.flatten()[worst]:.4f} was expected",
                   self.cause_of(got, wrong_values))

    def cause_of(self, got: Tensor, wrong_values: Callable[[Any], Any] | None) -> str:
        for mistake in self.mistakes if wrong_values else ():
            try:
                value = wrong_values(mistake.answer)
            except Exception:      # this mistake cannot be made on this input
                continue
            if isinstance(value, Tensor) and value.shape == got.shape and torch.allclose(
                    got, value.detach().to(got.dtype), rtol=1e-4, atol=1e-6):
                return mistake.cause
        return ""


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Random numbers that are the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def exercise(title: str, mistakes: Sequence[Mistake]):
    """Turn `body(report, answer)` into a check: prints feedback, returns True or False, never raises for an answer.

    The check keeps its known mistakes in `.mistakes`; the tests feed each of them in.
    """
    def decorate(body: Callable[[Report, Any], None]) -> Callable[[Any], bool]:
        @wraps(body)
        def check(answer: Any) -> bool:
            report = Report(mistakes)
            try:
                if answer is ... or answer is None:
                    raise NotAttempted
                body(report, answer)
                ok, verdict = True, "all right"
            except NotAttempted:
                ok, verdict, report.lines = False, "not attempted yet. Write your answer above, run it, run this again.", []
            except Rejected:
                ok, verdict = False, "not yet"
            print("\n".join([f"{title}: {verdict}", *report.lines]))
            return ok
        check.mistakes = list(mistakes)
        check.__annotations__ = {"answer": Any, "return": bool}
        return check
    return decorate


def close_number(report: Report, answer: Any, wanted: float, what: str, tolerance: float = 1e-6,
                 reach: float | None = None) -> None:
    """Check a single number; a known mistake with the same value, up to `reach` (None: the tolerance), gives the cause."""
    reach = tolerance if reach is None else reach
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        report.wrong(f"{what} should be a number, got {type(answer).__name__} {answer!r}")
    if not abs(answer - wanted) <= tolerance:      # not a number is never within reach
        cause = next((m.cause for m in report.mistakes
                      if isinstance(m.answer, int | float) and abs(m.answer - answer) <= reach), "")
        report.wrong(f"{what}: got {answer:g}, which is {'more' if answer > wanted else 'less'} than expected", cause)
    report.right(f"{what}: {answer:g}")


def rough_number(report: Report, answer: float, wanted: float, what: str, tolerance: float) -> None:
    """A number of which the size matters. Causes are told apart by their share: they differ by powers of ten."""
    number = isinstance(answer, int | float) and not isinstance(answer, bool)
    if number and not math.isfinite(answer):
        report.wrong(f"{what}: got {answer}", "something was divided by zero, or grew too large to be counted.")
    close_number(report, answer, wanted, what, tolerance, abs(answer) / 100 if number else None)


def built(report: Report, answer, *args) -> nn.Module:
    """An instance of the learner's class, or feedback."""
    if not isinstance(answer, type):
        report.wrong(f"the class itself was expected, got {type(answer).__name__}: pass the class "
                     "(its name without brackets), not a finished module")
    module = report.call(answer, *args, what=f"{answer.__name__}{args}")
    if not isinstance(module, nn.Module):
        report.wrong(f"{answer.__name__} should be a torch.nn.Module")
    return module


def compare(report: Report, answer: Callable, arguments: tuple, wanted: Tensor, what: str,
            wrong_values: Callable[[Any], Any] | None = None) -> None:
    """Call the learner's function on copies: a tensor of that shape, the arguments untouched, the same numbers.

    A known mistake is named as well where its result has another shape.
    """
    if wrong_values is None:
        def wrong_values(wrong):
            return wrong(*arguments)
    copies = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
    got = report.call(answer, *copies)
    if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(arguments, copies, strict=True)):
        report.wrong("your function changed what it was given", "an in-place operation such as x *= gate; write x * gate.")
    shape = tuple(wanted.shape)
    if isinstance(got, Tensor) and tuple(got.shape) != shape:
        report.wrong(f"the result for {what} should have shape {shape}, got {tuple(got.shape)}",
                     report.cause_of(got.detach(), wrong_values) or report.shape_cause(got, shape))
    report.same(report.tensor(got, shape, f"the result for {what}"), wanted, f"values for {what}", wrong_values)
