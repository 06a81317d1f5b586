"""The harder forms of two tasks: `crowd` is `where` in a larger field, `alike` is `twins` seen badly."""
import torch
from test_tasks import boxes, corner, no_noise  # noqa: F401  (no_noise is a fixture)

from course_utils.tasks import make


def test_crowd_is_as_dense_as_where_and_has_one_digit_in_more_field(no_noise):  # noqa: F811
    small, large = make("where", 300), make("crowd", 300)
    assert large.x.shape[-2:] == (80, 80) and (large.mask.sum((1, 2)) == 144).all()
    inks = [(b.x[:, 0] > 0.3).float().mean().item() for b in (small, large)]
    assert abs(inks[0] - inks[1]) < 0.15 * inks[0], "another density would be another task"
    assert torch.equal(large.mask, boxes(*corner(large.mask), 12, 80))


def test_no_stroke_touches_the_digit_of_crowd(no_noise):  # noqa: F811
    x, _, mask = make("crowd", 200)
    for picture, (top, left) in zip(x[:, 0], torch.stack(corner(mask), 1).tolist(), strict=True):
        ring = picture[top - 2:top + 14, left - 2:left + 14].clone()
        ring[2:-2, 2:-2] = 0
        assert not ring.any()


def test_alike_is_twins_at_half_the_size(no_noise):  # noqa: F811
    small, full = make("alike", 50, seed=3), make("twins", 50, seed=3)
    assert torch.equal(small.y, full.y) and small.x.shape == (50, 3, 24, 24)
    clean = torch.nn.functional.avg_pool2d(full.x, 2)
    assert 0.05 < (small.x - clean).std() < 0.15, "noise of 0.1 and nothing else"
    covered = torch.nn.functional.max_pool2d(full.mask[:, None].float(), 2)[:, 0].bool()
    assert torch.equal(small.mask, covered)


def test_alike_has_noise_of_its_own_for_every_picture_channel_and_seed():
    one, two = make("alike", 4, seed=0).x, make("alike", 4, seed=1).x
    assert not torch.equal(one, two) and torch.equal(one, make("alike", 4, seed=0).x)
    noise = (one - one.mean(1, keepdim=True)).flatten(1)
    assert (torch.corrcoef(noise).triu(1).abs() < 0.2).all()
