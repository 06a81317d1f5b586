"""The statistics: the interval is Student's, and differences are paired by seed."""

import itertools
import math

import pytest
from scipy import stats

from course_utils.stats import difference, holm, power, seeds_needed, share, sign_flip, t_interval, t_test, visible

OURS, CONTROL = {0: 0.9, 1: 0.7, 2: 0.95, 3: 0.6}, {0: 0.3, 1: 0.5, 2: 0.4, 3: 0.45}


def test_difference_is_the_paired_t_interval():
    found = difference(OURS, CONTROL)
    reference = stats.ttest_rel(list(OURS.values()), list(CONTROL.values()))
    low, high = reference.confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (sum(OURS.values()) / 4 - sum(CONTROL.values()) / 4, low, high), abs=1e-5)
    assert found.n == 4
    unpaired = stats.ttest_ind(list(OURS.values()), list(CONTROL.values())).confidence_interval(0.95)
    assert not math.isclose(found.low, unpaired.low, abs_tol=1e-3)


def test_the_interval_is_that_of_the_table():
    """By hand: mean 2, standard deviation 1, and the 97.5 % and 95 % quantiles of Student's t with 2 degrees of freedom."""
    assert t_interval([1, 2, 3]) == pytest.approx((2, 2 - 4.302653 / 3 ** 0.5, 2 + 4.302653 / 3 ** 0.5), abs=1e-6)
    assert t_interval([1, 2, 3], 0.9) == pytest.approx((2, 2 - 2.919986 / 3 ** 0.5, 2 + 2.919986 / 3 ** 0.5), abs=1e-6)


def test_one_value_has_no_interval_and_equal_values_have_none_of_any_width():
    mean, low, high = t_interval([0.3])
    assert mean == 0.3 and math.isnan(low) and math.isnan(high)
    assert t_interval([0.25] * 7) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("values, level, message", [
    ([], 0.95, "an interval needs values, got none"), ([1, 2], 0, "level must lie between 0 and 1, got 0"),
    ([1, 2], 1.0, "level must lie between 0 and 1"), ([1, 2], 95, "level must lie between 0 and 1, got 95"),
])
def test_what_has_no_interval_is_refused(values, level, message):
    with pytest.raises(ValueError, match=message):
        t_interval(values, level)


def test_seeds_are_paired_by_their_number_not_by_their_place():
    shuffled = {seed: CONTROL[seed] for seed in (2, 0, 3, 1)}
    assert difference(OURS, shuffled) == difference(OURS, CONTROL)
    assert difference({**OURS, 17: 0.0}, {**CONTROL, 18: 1.0}) == difference(OURS, CONTROL)


def test_no_clear_difference_is_said_in_words():
    clear = difference({0: 0.9, 1: 0.91, 2: 0.92}, {0: 0.3, 1: 0.3, 2: 0.3})
    worse = difference({0: 0.3, 1: 0.3, 2: 0.3}, {0: 0.9, 1: 0.91, 2: 0.92})
    unclear = difference({0: 0.9, 1: 0.3}, {0: 0.5, 1: 0.5})
    assert clear.clear and worse.clear and not unclear.clear
    assert clear.mean == -worse.mean and clear.low == pytest.approx(-worse.high)
    assert "no clear difference" in str(unclear) and "no clear" not in str(clear)
    assert str(clear).startswith("+0.610 (95 % interval +0.5") and "3 pairs" in str(clear)


def test_equal_arms_give_a_difference_of_exactly_nothing():
    nothing = difference(OURS, OURS)
    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0) and not nothing.clear


# ---- sign flip, t, Holm

@pytest.mark.parametrize("values", [
    [0.3, -0.1, 0.2, 0.4, 0.05], [0.1] * 8, [-0.2, 0.2, 0.7], [0.0, 0.1, 0.2, -0.4, 0.9, 0.33, 0.3]])
def test_sign_flip_is_the_share_of_all_signs_that_are_as_far_from_zero(values):
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True)))
            for signs in itertools.product((1, -1), repeat=len(values))]
    as_far = sum(total >= abs(sum(values)) - 1e-12 for total in sums) / len(sums)
    assert sign_flip(values) == pytest.approx(as_far)


def test_eight_pairs_of_one_sign_are_two_of_256():
    assert sign_flip([0.01 * k for k in range(1, 9)]) == 2 / 256 and sign_flip([0.4]) == 1
    with pytest.raises(ValueError, match="at least one pair, got none"):
        sign_flip([])


def test_of_more_pairs_than_can_be_counted_out_signs_are_drawn():
    """25 pairs: of equal size, the p is that of the binomial distribution; of 20 it is close to the exact one."""
    up = [0.01] * 17 + [-0.01] * 8
    assert sign_flip(up) == pytest.approx(stats.binomtest(17, 25).pvalue, abs=0.005) and sign_flip(up) == sign_flip(up)
    assert sign_flip([0.0] * 25) == 1 and 0 < sign_flip([0.1] * 25) < 1e-4


def test_the_t_test_is_below_five_percent_where_the_interval_leaves_out_zero():
    values = [OURS[s] - CONTROL[s] for s in OURS]
    assert t_test(values) == pytest.approx(stats.ttest_rel(list(OURS.values()), list(CONTROL.values())).pvalue)
    assert t_test([0.2, 0.2]) == 0 and t_test([0.0, 0.0, 0.0]) == 1
    with pytest.raises(ValueError, match="at least two pairs, got 1"):
        t_test([0.1])
    for shift in (0.0, 0.1, 0.2, 0.3, 0.4):
        low, high = t_interval([v - shift for v in values])[1:]
        assert (t_test([v - shift for v in values]) < 0.05) == (low > 0 or high < 0)


def test_holm_by_hand():
    """Smallest first: times 4, 3, 2, 1, and never below the one before. Bonferroni would give 0.04, 0.12, 0.16, 0.8."""
    assert holm([0.01, 0.04, 0.03, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.2])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([]) == []
    for strange in (float("nan"), 1.2, -0.1):      # the 0.01 would come out as 1
        with pytest.raises(ValueError, match=f"between 0 and 1, got {strange}"):
            holm([0.04, strange, 0.01])


def test_holm_rejects_what_the_steps_reject():
    """Enumerated from the definition: go up from the smallest, stop at the first that is not below 0.05 / (m - rank)."""
    for p in itertools.product((0.001, 0.011, 0.013, 0.02, 0.049, 0.3), repeat=4):
        rejected, order = set(), sorted(range(4), key=lambda i: p[i])
        for rank, i in enumerate(order):
            if p[i] > 0.05 / (4 - rank):
                break
            rejected.add(i)
        assert {i for i, q in enumerate(holm(p)) if q <= 0.05} == rejected, p


# ---- k of n, power

def test_the_share_is_clopper_and_pearson():
    """From the quantiles of the beta distribution, as their paper has it."""
    for k, n in ((0, 8), (3, 8), (8, 8), (1, 1), (17, 40)):
        found = share(k, n)
        low = stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0
        high = stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert str(share(8, 8)) == "8 of 8 (95 % interval 0.63 to 1.00)"
    for k, n in ((1, 0), (-1, 3), (4, 3)):
        with pytest.raises(ValueError, match=f"got {k} of {n}"):
            share(k, n)


@pytest.mark.parametrize("effect, pairs", [(0.5, 34), (0.8, 15), (1.0, 10), (0.2, 199)])
def test_seeds_are_those_of_the_tables(effect, pairs):
    """Cohen's tables, and every program for power since: pairs for a two-sided t test at 5 % with power 0.8."""
    assert seeds_needed(effect, 1.0) == seeds_needed(-effect / 100, 0.01) == pairs
    assert power(effect, pairs) >= 0.8 > power(effect, pairs - 1)
    assert visible(1.0, pairs) == pytest.approx(effect, rel=0.03) and power(visible(2.0, pairs) / 2, pairs) == pytest.approx(0.8)


@pytest.mark.parametrize("effect, pairs, comparisons", [(30, 2, 6), (70, 2, 6), (26, 3, 20), (30, 3, 20)])
def test_two_pairs_are_not_certain_of_a_large_effect_among_many_comparisons(effect, pairs, comparisons):
    """The mean may be forty standard errors from zero: their own estimate has one degree of freedom."""
    import numpy as np
    level = 1 - 0.05 / comparisons
    draws = np.random.default_rng(0).normal(effect, 1, (50_000, pairs))
    half = stats.t.ppf(1 - (1 - level) / 2, pairs - 1) * draws.std(1, ddof=1) / pairs ** 0.5
    assert power(effect, pairs, level) == pytest.approx((abs(draws.mean(1)) > half).mean(), abs=0.01)
    assert power(visible(0.01, pairs, level=level) / 0.01, pairs, level) == pytest.approx(0.8, abs=1e-6)


def test_power_is_how_often_the_interval_leaves_out_zero():
    import numpy as np
    draws = np.random.default_rng(0).normal(0.9, 1, (20_000, 8))
    half = stats.t.ppf(0.975, 7) * draws.std(1, ddof=1) / 8 ** 0.5
    assert power(0.9, 8) == pytest.approx((abs(draws.mean(1)) > half).mean(), abs=0.01)
    assert power(0, 8) == pytest.approx(0.05) and power(30, 20) == pytest.approx(1) and power(-0.9, 8) == power(0.9, 8)


@pytest.mark.parametrize("difference, spread, message", [
    (0, 1, "a difference that is not zero"), (0.1, 0, "a spread above zero"), (1e-6, 1, "more than 10,000 pairs"),
    (float("nan"), 1, "a difference that is not zero"), (0.1, float("nan"), "a spread above zero"),
])
def test_what_no_number_of_seeds_shows_is_refused(difference, spread, message):
    with pytest.raises(ValueError, match=message):
        seeds_needed(difference, spread)
    with pytest.raises(ValueError, match="at least two pairs, got 1"):
        visible(0.1, 1)
