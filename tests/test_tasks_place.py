"""The tasks that ask for a place: `nearest` and `search` say what they promise, and leave no way around."""

import itertools

import pytest
import torch
from test_tasks import boxes, corner, drawn, no_noise, seen, under  # noqa: F401  (no_noise is a fixture)
from test_tasks import nearest as looks_like

from course_utils.hosts import SmallHost, receptive_field
from course_utils.tasks import SPLITS, make

both_splits = pytest.mark.parametrize("split", SPLITS)
CELLS = list(itertools.product((19, 33), repeat=2))


def dot_corner(x):
    """Which corner of the picture is bright: 0 to 3, row by row."""
    grey = x.mean(1)
    return torch.stack([grey[:, a, b].mean((1, 2)) for a in (slice(0, 5), slice(-5, None))
                        for b in (slice(0, 5), slice(-5, None))], 1).argmax(1)


# ---- nearest

@both_splits
def test_nearest_is_solved_by_the_rule_of_a_person(split):
    """Find the bright corner, then read the digit in that quarter."""
    x, y, _ = make("nearest", 500, split, seed=11)
    places = torch.tensor(CELLS)[dot_corner(x)]
    digit = torch.stack([p[r:r + 12, c:c + 12] for p, (r, c) in zip(x.mean(1), places.tolist(), strict=True)])
    assert (looks_like(digit, split) == y).all()


def test_nearest_marks_the_digit_nearest_to_the_dot_and_no_other(no_noise):  # noqa: F811
    x, _, mask = make("nearest", 200)
    top, left = corner(mask)
    assert torch.equal(mask, boxes(top, left, 12, 64))
    assert torch.equal(torch.stack([top, left], 1), torch.tensor(CELLS)[dot_corner(x)])


def test_nearest_shows_four_different_digits_a_dot_and_nothing_else(no_noise):  # noqa: F811
    x = make("nearest", 100).x
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2]), "colour would tell the digits apart"
    rest = x[:, 0].clone()
    digits = []
    for row, column in CELLS:
        digits.append(rest[:, row:row + 12, column:column + 12].clone())
        rest[:, row:row + 12, column:column + 12] = 0
    classes = torch.stack([looks_like(d, "train") for d in digits], 1)
    assert (classes.sort(1).values.diff(dim=1) > 0).all()
    for i, at in enumerate(dot_corner(x).tolist()):
        rows, columns = (slice(0, 5), slice(59, 64))[at // 2], (slice(0, 5), slice(59, 64))[at % 2]
        assert (rest[i, rows, columns] == 1).all()
        rest[i, rows, columns] = 0
    assert rest.abs().sum() == 0


def test_no_window_of_the_host_sees_dot_and_digit_of_nearest():
    window = receptive_field(SmallHost())
    dots, digits = torch.zeros(4, 64, 64, dtype=torch.bool), torch.zeros(1, 64, 64, dtype=torch.bool)
    for k, (rows, columns) in enumerate(itertools.product((slice(0, 5), slice(59, 64)), repeat=2)):
        dots[k, rows, columns] = True
    for row, column in CELLS:
        digits[:, row:row + 12, column:column + 12] = True
    assert not (seen(dots, window, 16) & seen(digits, window, 16)).any()


def test_the_dot_does_not_give_the_answer_away_and_is_in_every_corner():
    x, y, _ = drawn("nearest")
    at = dot_corner(x)
    assert ((at.bincount(minlength=4) - 250).abs() < 5 * (1000 * 3 / 16) ** 0.5).all()
    for k in range(4):
        assert y[at == k].bincount(minlength=10).min() > 5


# ---- search

@both_splits
def test_search_is_solved_by_reading_the_red_digit(split):
    x, y, mask = make("search", 200, split, seed=11)
    assert torch.equal(mask, boxes(*corner(mask), 12, 128))
    assert (looks_like(under(mask, x[:, 0]), split) == y).all()


def test_search_has_one_red_digit_and_23_white_ones(no_noise):  # noqa: F811
    x, _, mask = make("search", 60)
    red = x[:, 0] - x[:, 1]
    assert torch.equal(x[:, 1], x[:, 2]) and (red >= 0).all()
    assert (red * ~mask).sum() == 0 and (under(mask, red).flatten(1).amax(1) > 0.5).all()
    assert (x[:, 1] * mask).sum() == 0, "a white digit covers the red one"
    cells = x[:, 1].unfold(1, 16, 16).unfold(2, 16, 16).flatten(1, 2).amax((2, 3)) > 0.3      # (N, 64)
    assert (cells.sum(1) == 23).all()


def test_the_small_copy_of_search_shows_where_the_red_digit_is():
    """What patch selection relies on: on a copy four times smaller the reddest place is the one to read."""
    x, _, mask = make("search", 200, "test", seed=3)
    redness = torch.nn.functional.avg_pool2d(x[:, 0] - x[:, 1], 4).flatten(1).argmax(1)
    row, column = 4 * (redness // 32), 4 * (redness % 32)
    hit = [m[r:r + 4, c:c + 4].any().item() for m, r, c in zip(mask, row.tolist(), column.tolist(), strict=True)]
    assert sum(hit) >= 198
