"""Accuracy against cost: what is drawn is what was given."""

import numpy as np
import pytest

from course_utils import plots
from course_utils.plots.look import FAMILY_COLOURS
from course_utils.stats import t_interval

RESULTS = {"plain": (40.0, [0.9, 0.92, 0.95]), "patches": (3.5, {200: 0.93, 201: 0.9, 202: 0.95})}


def parts(fig, name):
    (ax,) = fig.axes
    return [artist for artist in ax.get_children() if artist.get_gid() == name]


def test_every_seed_stands_at_its_cost():
    drawn = parts(plots.tradeoff(RESULTS), "seeds")
    for (cost, values), artist in zip(RESULTS.values(), drawn, strict=True):
        values = list(values.values()) if isinstance(values, dict) else values
        assert np.allclose(artist.get_offsets(), [(cost, v) for v in values])


def test_the_interval_is_that_of_the_seeds():
    for (_, values), line in zip(RESULTS.values(), parts(plots.tradeoff(RESULTS), "interval"), strict=True):
        values = list(values.values()) if isinstance(values, dict) else values
        assert np.allclose(line.get_ydata(), t_interval(values)[1:])


def test_cost_is_on_a_logarithmic_axis_and_every_dot_inside():
    fig = plots.tradeoff(RESULTS)
    (ax,) = fig.axes
    low, high = ax.get_xlim()
    assert ax.get_xscale() == "log" and low < 3.5 and high > 40
    assert ax.get_ylim()[0] < 0.9 and ax.get_ylim()[1] > 0.95


def test_the_family_gives_the_colour():
    plain, patches = parts(plots.tradeoff(RESULTS), "seeds")
    for artist, family in ((plain, "plain"), (patches, "input")):
        assert np.allclose(artist.get_facecolor()[0, :3], [int(FAMILY_COLOURS[family][i:i + 2], 16) / 255 for i in (1, 3, 5)])


@pytest.mark.parametrize("results", [{}, None, {"a": 0.9}, {"a": (0, [0.5])}, {"a": (1.0, [float("nan")])}, {"a": (1.0, [])}])
def test_results_without_cost_or_values_are_refused(results):
    with pytest.raises(ValueError, match="results"):
        plots.tradeoff(results)
