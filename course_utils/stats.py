"""The statistics of the course: a mean with its interval, and a difference paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean


def t_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and confidence interval by Student's t: (mean, low, high). Of one value, low and high are NaN.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    from scipy import stats  # half a second to import, and only a study needs it

    values = [float(v) for v in values]
    if not values:
        raise ValueError("an interval needs values, got none")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    mean = fmean(values)
    if len(values) == 1:
        return mean, math.nan, math.nan
    if len(set(values)) == 1:      # no spread: scipy's quantile of a width of zero is not a number
        return mean, mean, mean
    low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=stats.sem(values))
    return mean, float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Mean difference of two arms, paired by seed, with its 95 % t interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def clear(self) -> bool:
        """The interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        verdict = "" if self.clear else "; no clear difference"
        return f"{self.mean:+.3f} (95 % interval {self.low:+.3f} to {self.high:+.3f}, {self.n} pairs{verdict})"


def difference(ours: Mapping[int, float], control: Mapping[int, float]) -> Difference:
    """ours - control over the seeds that both have; both are seed -> accuracy.

    Raises:
        ValueError: fewer than two common seeds: an interval needs at least two pairs.
    """
    seeds = sorted(ours.keys() & control.keys())
    if len(seeds) < 2:
        raise ValueError(f"an interval needs at least two seeds that both arms have run, got {seeds}")
    mean, low, high = t_interval([ours[s] - control[s] for s in seeds])
    return Difference(mean, low, high, len(seeds))
