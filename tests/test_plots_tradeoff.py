"""Accuracy beside cost: what is drawn is what was given."""

import numpy as np
import pytest

from course_utils import plots
from course_utils.plots.look import FAMILY_COLOURS
from course_utils.stats import t_interval

RESULTS = {"patches": (3.5, {200: 0.93, 201: 0.9, 202: 0.95}), "plain": (40.0, [0.9, 0.92, 0.95])}
DEAREST_FIRST = [[0.9, 0.92, 0.95], [0.93, 0.9, 0.95]]


def parts(fig, name):
    return [artist for ax in fig.axes for artist in ax.get_children() if artist.get_gid() == name]


def test_every_seed_stands_in_its_row_and_none_on_another():
    drawn = parts(plots.tradeoff(RESULTS), "seeds")
    for row, (values, artist) in enumerate(zip(DEAREST_FIRST, drawn, strict=True)):
        across, down = np.array(artist.get_offsets()).T
        assert np.allclose(across, values) and (abs(down - row) < 0.4).all()
        assert len(set(down)) == len(values)


def test_the_bar_is_as_long_as_the_cost():
    drawn = parts(plots.tradeoff(RESULTS), "cost")
    assert [bar.get_width() for bar in drawn] == [40.0, 3.5]


def test_the_interval_is_that_of_the_seeds():
    for values, line in zip(DEAREST_FIRST, parts(plots.tradeoff(RESULTS), "interval"), strict=True):
        assert np.allclose(line.get_xdata(), t_interval(values)[1:])


def test_seeds_in_clumps_are_counted_instead():
    fig = plots.tradeoff(RESULTS, solved=0.92)
    assert not parts(fig, "interval") and "interval" not in fig.alt
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["plain\n1 of 3", "patches\n2 of 3"]
    assert "plain: 40 million multiply-adds per picture, 1 of 3 above 0.92, mean 0.92, lowest 0.90, highest 0.95" in fig.alt


def test_bars_begin_at_zero_and_every_dot_is_inside():
    price, ax = plots.tradeoff(RESULTS).axes
    low, high = price.get_xlim()
    assert price.get_xscale() == "linear" and low == 0 and high > 40
    assert ax.get_xlim()[0] < 0.9 and ax.get_xlim()[1] > 0.95


def test_the_family_gives_the_colour():
    plain, patches = parts(plots.tradeoff(RESULTS), "seeds")
    for artist, family in ((plain, "plain"), (patches, "input")):
        assert np.allclose(artist.get_facecolor()[0, :3], [int(FAMILY_COLOURS[family][i:i + 2], 16) / 255 for i in (1, 3, 5)])


@pytest.mark.parametrize("results", [{}, None, {"a": 0.9}, {"a": (0, [0.5])}, {"a": (1.0, [float("nan")])}, {"a": (1.0, [])}])
def test_results_without_cost_or_values_are_refused(results):
    with pytest.raises(ValueError, match="results"):
        plots.tradeoff(results)
