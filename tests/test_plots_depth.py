"""What comes out against the place: every seed and every mean at its own place, in order."""

import numpy as np
import pytest

from course_utils import plots

LINES = {"ECA": {"input": {1: 0.9, 2: 0.8}, "post 1": {1: 0.6}, "post 2": [0.3, 0.1, 0.2]},
         "SE": {"input": [0.7], "post 2": [0.5, 0.3]}}


def parts(fig, name):
    (ax,) = fig.axes
    return [artist for artist in ax.get_children() if artist.get_gid() == name]


def test_every_seed_and_every_mean_stands_at_its_place():
    fig = plots.depth(LINES)
    wanted = [(label, place, list(v.values()) if isinstance(v, dict) else v)
              for label, line in LINES.items() for place, v in line.items()]
    shift = {"ECA": -0.14, "SE": 0.14}
    for (label, place, values), artist in zip(wanted, parts(fig, "seeds"), strict=True):
        x = ["input", "post 1", "post 2"].index(place) + shift[label]
        assert np.allclose(artist.get_offsets(), [(x, v) for v in values])
    eca, se = parts(fig, "mean")
    assert np.allclose(eca.get_xydata(), [(-0.14, 0.85), (0.86, 0.6), (1.86, 0.2)])
    assert np.allclose(se.get_xydata(), [(0.14, 0.7), (2.14, 0.4)]), "a place that was not tried moves the others"
    assert eca.get_linestyle() != se.get_linestyle()
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == list(LINES["ECA"])


def test_marks_of_two_lines_of_one_family_differ():
    """Catches squares of SE among squares of ECA that nobody can tell apart."""
    lines = LINES | {"spatial gate": {"input": [0.4]}}
    eca, *_, se, _, spatial = (artist.get_facecolor()[0, :3].tolist() for artist in parts(plots.depth(lines), "seeds"))
    assert se == [1, 1, 1] and eca != se and spatial not in (se, eca)
    titles = [plots.depth(which).axes[0].get_title("left") for which in (lines, {"ECA": LINES["ECA"]})]
    assert "empty: SE" in titles[0] and "empty" not in titles[1]


def test_an_order_of_ones_own_moves_seeds_means_and_names():
    fig = plots.depth({"ECA": {"b": [0.2], "a": [0.9]}}, order=["a", "x", "b"])
    (mean,) = parts(fig, "mean")
    assert sorted(map(tuple, mean.get_xydata())) == [(0.0, 0.9), (2.0, 0.2)]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["a", "x", "b"] and "from a to b" in fig.alt
    assert mean.get_xydata()[0][0] == 0, "the line runs in the order of the places"


def test_the_words_say_places_means_and_how_many_seeds():
    said = plots.depth(LINES, title="Early", reference=1 / 3, reference_label="a guess").alt
    assert "Early. " in said and "from input to post 2" in said and "Dashed line: a guess at 0.33." in said
    assert "ECA: mean at input 0.85, post 1 0.60, post 2 0.20; 1 to 3 seeds." in said
    assert "SE: mean at input 0.70, post 2 0.40; 1 to 2 seeds." in said


@pytest.mark.parametrize("lines, message", [
    ({}, "wanted label"), ({"ECA": {}}, "wanted label"), ([1], "wanted label"),
    ({"ECA": {"input": [1.0]}, "SE": {"post 9": [0.5]}}, "place 'post 9' is not among those in order: input"),
    ({"ECA": {"input": [float("nan")]}}, "input"),
])
def test_what_cannot_be_drawn_is_refused(lines, message):
    with pytest.raises(ValueError, match=message):
        plots.depth(lines)
