"""The statistics: the interval is Student's, and differences are paired by seed."""

import math

import pytest
from scipy import stats

from course_utils.stats import difference, t_interval

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
