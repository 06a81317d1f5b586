"""The statistics of the course: a mean with its interval, a difference paired by seed, k of n, and how many seeds it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
    """Mean difference of two arms, paired by seed, with its 95 % t-interval."""

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


def difference(ours: Mapping[int, float], control: Mapping[int, float], level: float = 0.95) -> Difference:
    """ours - control over the seeds that both have; both are seed -> accuracy.

    Raises:
        ValueError: fewer than two common seeds: an interval needs at least two pairs.
    """
    seeds = sorted(ours.keys() & control.keys())
    if len(seeds) < 2:
        raise ValueError(f"an interval needs at least two seeds that both arms have run, got {seeds}")
    mean, low, high = t_interval([ours[s] - control[s] for s in seeds], level)
    return Difference(mean, low, high, len(seeds))


COUNTED_OUT, DRAWN = 20, 100_000      # pairs of which all signs are tried; signs that are drawn of more pairs


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of the sign-flip test: if neither arm were better, each difference might as well have the other sign.

    Exact up to 20 pairs; of more, 100,000 of their signs are drawn, the same ones each time. Of n pairs it can be no smaller
    than 2 / 2^n: with five pairs never below 0.06.

    Raises:
        ValueError: no differences.
    """
    from scipy import stats

    values = [float(v) for v in differences]
    if not values:
        raise ValueError("the sign-flip test takes at least one pair, got none")
    if len(values) == 1:
        return 1.0      # scipy asks for two; either sign is as far from zero
    if len(values) > COUNTED_OUT:
        return drawn(values)
    return float(stats.permutation_test((values,), lambda x, axis: x.mean(axis), permutation_type="samples", vectorized=True,
                                        n_resamples=math.inf).pvalue)


def drawn(values: Sequence[float]) -> float:
    """The share of drawn signs whose sum is as far from zero; those that were observed count as one of them."""
    import numpy as np

    draw, far = np.random.default_rng(0), abs(math.fsum(values)) * (1 - 1e-9)      # of the same sum in another order
    as_far = sum((abs(draw.choice((-1.0, 1.0), (1000, len(values))) @ values) >= far).sum() for _ in range(DRAWN // 1000))
    return (int(as_far) + 1) / (DRAWN + 1)


def t_test(differences: Sequence[float]) -> float:
    """Two-sided p of Student's t test on pairs; the interval leaves out zero where it is below 0.05.

    Raises:
        ValueError: fewer than two differences.
    """
    from scipy import stats

    if len(differences) < 2:
        raise ValueError(f"a t test takes at least two pairs, got {len(differences)}")
    if len(set(differences)) == 1:      # no spread: scipy's p is not a number
        return 0.0 if differences[0] else 1.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order of `p`: below 0.05 among them, the chance of one false finding is below 0.05.

    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.

    Raises:
        ValueError: a p that is not between 0 and 1; NaN has no place in the order.
    """
    if strange := [value for value in p if not 0 <= value <= 1]:
        raise ValueError(f"p values lie between 0 and 1, got {strange[0]}")
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = highest
    return adjusted


@dataclass(frozen=True)
class Share:
    """k of n, with the exact interval of Clopper and Pearson."""

    k: int
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.k} of {self.n} (95 % interval {self.low:.2f} to {self.high:.2f})"


def share(k: int, n: int, level: float = 0.95) -> Share:
    """k of n and the interval for the share that they come from, exact (Clopper and Pearson 1934).

    Raises:
        ValueError: n below 1, or k not between 0 and n.
    """
    from scipy import stats

    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"a share is k of n with 0 <= k <= n and n at least 1, got {k} of {n}")
    interval = stats.binomtest(k, n).proportion_ci(level, method="exact")
    return Share(k, n, float(interval.low), float(interval.high))


FAR = 37.0      # standard errors of the mean from zero: further out scipy may give NaN, and only the spread is uncertain


def power(effect: float, pairs: int, level: float = 0.95) -> float:
    """The chance that the t-interval of so many pairs leaves out zero.

    Args:
        effect: the true mean difference divided by the standard deviation of the differences between pairs.
    """
    from scipy import stats

    edge = stats.t.ppf(1 - (1 - level) / 2, pairs - 1)
    shift = abs(effect) * pairs ** 0.5
    if shift > FAR:
        return float(stats.chi2.cdf((pairs - 1) * (shift / edge) ** 2, pairs - 1))
    below = stats.nct.cdf(-edge, pairs - 1, shift) if shift < 5 else 0.0      # below 1e-6 there, and NaN further out
    return float(stats.nct.sf(edge, pairs - 1, shift) + below)


def visible(spread: float, pairs: int, chance: float = 0.8, level: float = 0.95) -> float:
    """The smallest true difference that so many pairs show with that chance; `spread` is the standard deviation of theirs.

    `level` is that of the interval: 1 - 0.05 / m where m comparisons are made, as Bonferroni has it.

    Raises:
        ValueError: fewer than two pairs.
    """
    from scipy import optimize

    if pairs < 2:
        raise ValueError(f"an interval needs at least two pairs, got {pairs}")
    enough = FAR
    while power(enough, pairs, level) < chance:      # of two pairs, among many comparisons
        enough *= 2
    return spread * float(optimize.brentq(lambda effect: power(effect, pairs, level) - chance, 0, enough))


def seeds_needed(difference: float, spread: float, chance: float = 0.8, level: float = 0.95) -> int:
    """How many pairs of runs it takes to see a difference with that chance.

    Args:
        difference: to be seen, such as 0.01 for a point of accuracy.
        spread: the standard deviation of the differences between pairs.

    Raises:
        ValueError: a difference of zero, or a spread that is not above zero; more than 10,000 pairs.
    """
    if not abs(difference) > 0 or not spread > 0:
        raise ValueError(f"needs a difference that is not zero and a spread above zero, got {difference} and {spread}")
    few, many = 2, 2
    while power(difference / spread, many, level) < chance:
        few, many = many, many * 2
        if many > 10_000:
            raise ValueError(f"a difference of {difference} with a spread of {spread} takes more than 10,000 pairs")
    while few < many:      # the smallest that does: power grows with every pair
        middle = (few + many) // 2
        few, many = (few, middle) if power(difference / spread, middle, level) >= chance else (middle + 1, many)
    return many
