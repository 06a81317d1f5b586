"""How a check talks: what is right, what was got and wanted, and the likely cause, found by trying known mistakes.

What an answer does is nobody's trouble but its own: it runs on copies, under a time limit, and whatever it raises becomes
feedback (guard.py). A cause is named only if that mistake gives what the answer gives in all cases of the check.
"""

from __future__ import annotations

import math
import numbers as kinds
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from . import guard
from .guard import Stopped, TimeIsUp, is_placeholder, limited, shown, told, undisturbed
from .often import KINDS, no_number, often


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the check must reject, and what to tell whoever gives it."""

    cause: str
    answer: Any


class NotAttempted(Exception):
    """The answer is still the placeholder."""


class Rejected(Exception):
    """The answer is wrong; everything to say is in the report."""


@dataclass
class Report:
    """Lines of feedback on one answer.

    While `following`, nothing is judged: the values that an answer gives in all cases are collected in `seen`, to be compared
    with those of a known mistake.
    """

    mistakes: Sequence[Mistake]
    lines: list[str] = field(default_factory=list)
    following: bool = False
    seen: list[Any] = field(default_factory=list)
    unexplained: bool = False
    guess: str = ""
    differentiated: bool = False

    def right(self, text: str) -> None:
        self.lines.append(f"  right  {text}")

    def word(self, text: str) -> None:
        """Something to say that is not for or against the answer."""
        self.lines.append(f"         {text}")

    def wrong(self, text: str, cause: str = "", guess: str = "") -> None:
        """Add what is wrong and end the check. Without a cause the known mistakes are tried; `guess` if none of them fits."""
        self.lines.append(f"  WRONG  {text}")
        if self.following:
            self.seen.append(text)
        self.unexplained, self.guess = not cause, guess
        if cause:
            self.lines.append(f"         Likely cause: {cause}")
        raise Rejected

    def call(self, function: Callable, *args: Any, what: str = "your function",
             silent: str = "the return at its end is missing, or stands in one branch only.") -> Any:
        """Call the learner's code: an error in it, a forgotten return (`silent` is its cause) or a placeholder is feedback."""
        if not callable(function):
            self.wrong(f"a function was expected, got {type(function).__name__} {shown(function)}",
                       "its name was used for something else after the def, or it was called: pass the name without brackets.")
        try:
            value = function(*args)
        except (TimeIsUp, Stopped, Rejected, NotAttempted):
            raise
        except BaseException as error:
            if isinstance(error, NotImplementedError) and not error.args:
                raise NotAttempted from None
            self.wrong(f"{what} stopped with {told(error)}", guess=often(error))
        if value is ... or value is None and is_placeholder(function):
            raise NotAttempted
        if value is None:
            self.wrong(f"{what} returned None", silent)
        return value

    def tensor(self, got: Any, shape: tuple[int, ...], what: str = "the result") -> Tensor:
        """A dense tensor of real numbers of that shape, on the processor as what it was given, or feedback."""
        if not isinstance(got, Tensor):
            self.wrong(f"{what} should be a tensor, got {type(got).__name__}", KINDS.get(type(got).__name__, ""))
        if got.layout != torch.strided or got.is_quantized:
            self.wrong(f"{what} should be an ordinary, dense tensor, got {'quantised' if got.is_quantized else got.layout}")
        if got.device.type != "cpu":
            self.wrong(f"{what} is on the device {got.device.type!r}; it should be where its input is, on 'cpu'",
                       "a tensor was made or moved with a device of its own; take that of the input: device=x.device.")
        if got.is_complex():
            self.wrong(f"{what} should hold real numbers, got {got.dtype}")
        if tuple(got.shape) != shape:
            if self.following:
                self.seen.append(got.detach())
            self.wrong(f"{what} should have shape {shape}, got {tuple(got.shape)}", guess=self.shape_cause(got, shape))
        return got

    @staticmethod
    def shape_cause(got: Tensor, shape: tuple[int, ...]) -> str:
        if got.ndim == len(shape) and sorted(got.shape) == sorted(shape):
            return "two dimensions are swapped, or a mean or sum runs over the wrong one."
        if got.ndim == len(shape) == 4 and all(a in (1, b) for a, b in zip(got.shape, shape, strict=True)):
            return "it has dimensions of size 1, as a gate has: is x still to be multiplied by it?"
        if got.ndim < len(shape):
            return ("a mean or sum runs over too many dimensions (the positions are the last two), or a dimension of size 1 is "
                    "missing (keepdim, None).")
        if got.ndim > len(shape):
            return "a dimension is left over: a mean or sum runs over too few dimensions, or keepdim is not wanted here."
        return ""

    def same(self, got: Tensor, wanted: Tensor, what: str, layer: bool = True) -> None:
        """The numbers agree to rounding. `layer`: such numbers go on to another layer, which wants its own type."""
        if layer and got.is_floating_point() and got.dtype != wanted.dtype:
            self.word(f"(in {str(got.dtype)[6:]}; the layer behind it would want {str(wanted.dtype)[6:]})")
        got = got.detach().to(wanted.dtype)
        if self.following:
            self.seen.append(got)
        elif torch.allclose(got, wanted, rtol=1e-4, atol=1e-6):
            self.right(what)
        else:
            worst = int((got - wanted).abs().nan_to_num(float("inf")).argmax())
            self.wrong(f"{what}: got {got.flatten()[worst]:.4f} where {wanted.flatten()[worst]:.4f} was expected")

    def number(self, got: Any, what: str, integer: bool = False) -> Any:
        """A number of Python's, from any kind of real number (numpy's, a fraction, a tensor without dimensions), or feedback."""
        value = plain_number(got, integer)
        if value is None:
            self.wrong(f"{what} should be {'an integer' if integer else 'a number'}, got {type(got).__name__} {shown(got)}",
                       no_number(got, integer))
        return value

    def agree(self, got: Any, wanted: Any, call: str, near: float = 1e-6) -> None:
        """Numbers, or lists of numbers, that are the same up to `near`, wide enough for float32; `call` says what was asked,
        such as "f(3)"."""
        if self.following:
            self.seen.append(got)
        elif not alike(got, wanted, near):
            short, wished = shown(brief(got)), shown(brief(wanted))
            self.wrong(f"{call}: got {short if short != wished else shown(got)}, expected {wished}")
        else:
            self.right(f"{call}: {shown(brief(wanted))}")


def plain_number(value: Any, integer: bool = False) -> Any:
    """An int or a float, or None: what is no real number is no number here, nor are True and False."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):      # of numpy or torch
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, kinds.Real) and type(value).__name__ != "Decimal":
        return None
    try:
        return operator.index(value) if integer or isinstance(value, int) else float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
    except TypeError:
        return None


def brief(value: Any) -> Any:
    """Numbers to six digits or three decimals, so that 0.1 + 0.2 is told as 0.3; alone or in lists."""
    if isinstance(value, list | tuple):
        return [brief(one) for one in value]
    return (float(f"{value:.6g}") if abs(value) < 1000 else round(value, 3)) if isinstance(value, float) else value


def alike(one: Any, other: Any, near: float = 1e-6) -> bool:
    """The same to rounding: tensors of one shape, numbers, lists of such, texts."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.allclose(one, other.to(one.dtype), rtol=1e-4, atol=1e-6, equal_nan=True)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(alike(a, b, near) for a, b in zip(one, other, strict=True))
    a, b = plain_number(one), plain_number(other)
    if a is None or b is None:
        return type(one) is type(other) and isinstance(one, str) and one == other
    return a == b or a != a and b != b or math.isclose(a, b, rel_tol=near, abs_tol=near)


def follow(body: Callable, answer: Any, mistakes: Sequence[Mistake]) -> list[Any]:
    """What an answer gives in all cases of a check."""
    report = Report(mistakes, following=True)
    try:
        with undisturbed():
            body(report, answer)
    except (Rejected, NotAttempted, Exception):      # it was seen as far as it went
        pass
    return report.seen


def cause_of(body: Callable, answer: Any, mistakes: Sequence[Mistake]) -> str:
    """That of the known mistake which does the same as the answer in all cases; empty if there is none."""
    seen = follow(body, answer, mistakes)
    return next((m.cause for m in mistakes if seen and alike(seen, follow(body, m.answer, mistakes))), "")


def exercise(title: str, mistakes: Sequence[Mistake]):
    """Turn `body(report, answer)` into a check: prints feedback, returns True or False, never raises for an answer.

    The check keeps its known mistakes in `.mistakes`; the tests feed each of them in.
    """
    def decorate(body: Callable[[Report, Any], None]) -> Callable[[Any], bool]:
        def judge(report: Report, answer: Any) -> str:
            """The verdict; what there is to say is in the report."""
            try:
                with limited(guard.LIMIT), undisturbed():
                    try:
                        if answer is ... or answer is None:
                            raise NotAttempted
                        body(report, answer)
                        return "all right"
                    except Rejected:
                        cause = (cause_of(body, answer, mistakes) or report.guess) if report.unexplained else ""
                        report.lines += [f"         Likely cause: {cause}"] if cause else []
            except NotAttempted:
                report.lines.clear()
                return "not attempted yet. Write your answer above, run it, run this again."
            except TimeIsUp:
                report.lines.append(f"  WRONG  it ran for {guard.LIMIT:g} seconds and was stopped: does each of its loops end?")
            except Stopped:
                raise KeyboardInterrupt from None
            except BaseException as error:
                report.lines.append(f"  WRONG  your answer stopped with {told(error)}")
            return "not yet"

        @wraps(body)
        def check(answer: Any) -> bool:
            report = Report(mistakes)
            verdict = judge(report, answer)
            print("\n".join([f"{title}: {verdict}", *report.lines]))
            return verdict == "all right"
        check.mistakes = list(mistakes)
        check.body = body
        check.__annotations__ = {"answer": Any, "return": bool}
        return check
    return decorate
