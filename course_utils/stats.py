"""The one statistic of the course: a mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean, stdev


def t_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and confidence interval by Student's t: (mean, low, high). Of one value, low and high are NaN.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    from scipy.stats import t  # half a second to import, and only a study needs it

    values = [float(v) for v in values]
    if not values:
        raise ValueError("an interval needs values, got none")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    mean = fmean(values)
    if len(values) == 1:
        return mean, math.nan, math.nan
    half = t.ppf((1 + level) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half
