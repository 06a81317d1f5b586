"""Clutter: as much of it as the name says, one digit that can be read, and a colour that says which where it should."""

import pytest
import torch
from test_tasks import boxes, corner, nearest, no_noise, under  # noqa: F401  (no_noise is a fixture)

from course_utils.tasks import CLUTTER, find, make


def test_the_name_says_size_strokes_and_colour():
    assert len(CLUTTER) == 16 and find("clutter_96_15_red") is CLUTTER["clutter_96_15_red"]
    assert {find(name).size for name in CLUTTER} == {48, 96} and all(task.classes == 10 for task in CLUTTER.values())
    with pytest.raises(ValueError, match="unknown task 'clutter_64_15'. Did you mean 'clutter_"):
        find("clutter_64_15")


@pytest.mark.parametrize("name", CLUTTER)
def test_the_digit_under_the_mask_is_the_one_drawn_and_lies_anywhere(name, no_noise):  # noqa: F811
    x, y, mask = make(name, 200, seed=1)
    size = find(name).size
    assert x.shape == (200, 3, size, size) and torch.equal(mask, boxes(*corner(mask), 12, size))
    top, left = corner(mask)
    assert top.min() < 4 and left.min() < 4 and top.max() > size - 16 and left.max() > size - 16, "it may touch the rim"
    if "_0" in name:
        assert (nearest(under(mask, x[:, 0]), "train") == y).all() and not x.amax(1)[~mask].any()


@pytest.mark.parametrize("size", [48, 96])
def test_more_strokes_are_more_ink_and_the_same_strokes_are_as_much_in_any_size(size, no_noise):  # noqa: F811
    inks = [(make(f"clutter_{size}_{pieces}", 200).x[:, 0] > 0.3).float().sum((1, 2)).mean() for pieces in (0, 15, 30, 60)]
    assert all(more > 1.2 * less for less, more in zip(inks, inks[1:], strict=False))


@pytest.mark.parametrize("name", [name for name in CLUTTER if name.endswith("red")])
def test_red_is_the_digit_and_nothing_else(name, no_noise):  # noqa: F811
    x, _, mask = make(name, 200)
    red = x[:, 0] - x[:, 1]
    assert not red[~mask].any() and torch.equal(x[:, 1], x[:, 2])
    assert (red.flatten(1).amax(1) > 0.1).float().mean() > 0.97, "it is covered whole"


@pytest.mark.parametrize("name", ["clutter_48_0_red", "clutter_96_15_red", "clutter_96_30_red"])
def test_a_person_reads_what_is_red(name):
    """The rule: look at what is red. Where strokes cover it, part of it is missing, so not all can be read."""
    x, y, mask = make(name, 500, "test", seed=11)
    read = nearest(under(mask, (x[:, 0] - x[:, 1]).clamp(min=0)) / 0.6, "test")
    assert (read == y).float().mean() > 0.8


@pytest.mark.parametrize("name", [name for name in CLUTTER if not name.endswith("red")])
def test_without_red_the_three_colours_are_the_same(name, no_noise):  # noqa: F811
    x = make(name, 50).x
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])


def test_a_red_picture_is_the_white_one_with_a_red_digit(no_noise):  # noqa: F811
    """One seed gives both with the same strokes and the same digit: what differs is the colour."""
    red, white = make("clutter_96_30_red", 50, seed=5), make("clutter_96_30", 50, seed=5)
    assert torch.equal(red.x[:, 0], white.x[:, 0]) and torch.equal(red.y, white.y) and torch.equal(red.mask, white.mask)


@pytest.mark.parametrize("name", ["clutter_48_15", "clutter_96_60_red"])
def test_the_same_seed_gives_the_same_pictures_and_another_split_other_scans(name):
    assert torch.equal(make(name, 8, seed=3).x, make(name, 8, seed=3).x)
    assert not torch.equal(make(name, 8, "test", seed=3).x, make(name, 8, "train", seed=3).x)
