"""Checks of lesson 11, each with the wrong answers that it rejects."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count as numbers_from

from .report import Mistake, Report, exercise, integer, rough_number

MOST_CALLS = 10_000


@exercise("What both leave of the signal", [
    Mistake("that is one gate at each layer; at both there are two, one before and one after.", 0.5 ** 4),
    Mistake("that is one layer with its two gates; there are four layers.", 0.5 ** 2),
    Mistake("that is a single gate; there are eight in a row.", 0.5),
    Mistake("gates in a row multiply; you added them.", 0.5 * 8),
    Mistake("gates in a row multiply; you took one eighth.", 1 / 8),
    Mistake("that is how many times smaller the signal becomes; asked is what remains, so one divided by it.", 2 ** 8),
    Mistake("that is what is lost; asked is what remains.", 1 - 0.5 ** 8),
    Mistake("that is one gate more than there are: four layers with two each are eight.", 0.5 ** 9),
    Mistake("that is one gate fewer than there are: four layers with two each are eight.", 0.5 ** 7),
    Mistake("that is in percent; asked is a share between 0 and 1.", 100 * 0.5 ** 8),
    Mistake("that is small and not nothing: multiply one half by itself eight times.", 0.0),
])
def gated_signal(report: Report, answer: float) -> None:
    """Four layers, two gates of one half each: 0.5 to the eighth power."""
    rough_number(report, answer, 0.5 ** 8, "what remains of the signal", 1e-4)


def first(fits: Callable[[int], bool], start: int = 1, step: int = 1) -> int:
    return next(width for width in numbers_from(start, step) if fits(width))


def smallest(count: Callable[[int], int], target: float) -> int:
    return first(lambda width: count(width) >= target)


def nearest(count: Callable[[int], int], target: float) -> int:
    above = smallest(count, target)
    return min((w for w in (above - 1, above) if w > 0), key=lambda w: abs(count(w) - target))


CASES = [("10 w + 3", lambda w: 10 * w + 3, 1000), ("9 w^2 + 20 w", lambda w: 9 * w * w + 20 * w, 13061),
         ("10 w + 3", lambda w: 10 * w + 3, 994), ("27 w + 100", lambda w: 27 * w + 100, 50.5),
         ("3 w^2 + w", lambda w: 3 * w * w + w, 2_000_000), ("4 w", lambda w: 4 * w, 12_003)]


@exercise("A width with as many parameters", [
    Mistake("that is the largest width that stays below the target; a control should have at least as many parameters.",
            lambda count, target: max(1, smallest(count, target) - 1)),
    Mistake("that is the largest width that stays within the target; a control should have at least as many parameters.",
            lambda count, target: max(1, first(lambda w: count(w) > target) - 1)),
    Mistake("one too many: the width is raised once more after the target has been reached.",
            lambda count, target: smallest(count, target) + 1),
    Mistake("a width that hits the target exactly is enough: compare with >=, not with >.",
            lambda count, target: first(lambda w: count(w) > target)),
    Mistake("that is the width whose count is nearest; it may stay below the target.", nearest),
    Mistake("that is the first power of two; other widths are allowed.",
            lambda count, target: 2 ** first(lambda e: count(2 ** e) >= target, 0)),
    Mistake("that is the first multiple of 8; other widths are allowed.",
            lambda count, target: first(lambda w: count(w) >= target, 8, 8)),
    Mistake("a network needs at least one channel: begin at a width of 1, not 0.",
            lambda count, target: first(lambda w: count(w) >= target, 0)),
    Mistake("the count does not grow in proportion to the width: try the widths one after the other.",
            lambda count, target: max(1, -int(-target // count(1)))),
    Mistake("that is the count; asked is the width.", lambda count, target: count(smallest(count, target))),
    Mistake("your search ends at a fixed largest width.", lambda count, target: min(256, smallest(count, target))),
    Mistake("your search ends at a fixed largest width.", lambda count, target: min(999, smallest(count, target))),
])
def matched_width(report: Report, answer) -> None:
    """(count, target) -> the smallest width from 1 on with count(width) >= target."""
    for formula, count, target in CASES:
        calls = []

        def limited(width, count=count, calls=calls):
            calls.append(width)
            if len(calls) > MOST_CALLS:
                raise RuntimeError(f"it has asked for {MOST_CALLS} widths, the last of them {width}: does its loop end?")
            return count(width)

        call = f"count(w) = {formula}, target {target}"
        got = report.call(answer, limited, target)
        integer(report, got, smallest(count, target), call)
