"""Tasks whose answer is boxes or pixels: tight around the ink, of whole digits that stand free, and the same from a seed."""

import functools

import pytest
import torch
from test_tasks import no_noise  # noqa: F401  (a fixture)

from course_utils import scores, tasks
from course_utils.tasks import SCENES, SPLITS, digits, find, make, stream
from course_utils.tasks.scenes import FREE, INK, MOST, SIDES, SIZE

NAMES = list(SCENES)
PICTURES = 150


def objects(batch):
    """(picture, class, x1, y1, x2, y2) of each digit, as integers."""
    return [(i, *map(int, box)) for i, boxes in enumerate(batch.y.tolist()) for box in boxes if box[0] >= 0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", SPLITS)
def test_shapes_and_types_are_those_of_the_contract(name, split):
    task, (x, y, mask) = find(name), make(name, 3, split)
    assert x.shape == (3, 3, task.size, task.size) and x.dtype == torch.float32
    assert mask.shape == (3, task.size, task.size) and mask.dtype == torch.bool
    if task.asks == "boxes":
        assert y.shape == (3, MOST, 5) and y.dtype == torch.float32
    else:
        assert task.asks == "pixels" and y.shape == mask.shape and y.dtype == torch.int64
        assert torch.equal(y > 0, mask) and 0 <= y.min() and y.max() < task.classes
    assert [len(part) for part in make(name, 1, split)] == [1, 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_pictures_and_a_stream_goes_on(name):
    one, again, other = make(name, 6, seed=3), make(name, 6, seed=3), make(name, 6, seed=4)
    assert all(map(torch.equal, one, again)) and not torch.equal(one.x, other.x) and not torch.equal(one.y, other.y)
    first, second = list(tasks.Stream(name, 2, 6, seed=3))
    assert all(map(torch.equal, first, one)) and not torch.equal(second.x, first.x)


def test_boxes_are_the_tightest_around_the_ink_of_each_digit(no_noise):  # noqa: F811
    """Column by column: x before y, the last pixel inside, the next one outside."""
    batch = make("find", PICTURES, seed=1)
    seen = torch.zeros_like(batch.mask)
    for i, _, x1, y1, x2, y2 in objects(batch):
        inside = batch.mask[i, y1:y2, x1:x2]
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        around = batch.mask[i, max(0, y1 - FREE):y2 + FREE, max(0, x1 - FREE):x2 + FREE]
        assert around.sum() == inside.sum() and batch.x[i, 0, y1:y2, x1:x2][inside].min() >= INK
        assert not seen[i, y1:y2, x1:x2].any(), "two boxes overlap"
        seen[i, y1:y2, x1:x2] = True
    assert not (batch.mask & ~seen).any(), "ink of a digit outside all boxes"


def test_one_to_five_digits_of_all_classes_and_three_sizes_anywhere():
    batch = make("find", 1000, seed=2)
    there = batch.y[..., 0] >= 0
    assert set(there.sum(1).tolist()) == set(range(1, MOST + 1))
    assert (there.int().diff(dim=1) <= 0).all() and not batch.y[~there][:, 1:].any()
    boxes = batch.y[there]
    sides = scores.longer_side(boxes[:, 1:])
    for share in (torch.bincount(boxes[:, 0].long(), minlength=10) / len(boxes) * 10,
                  torch.tensor([((sides > side - 3) & (sides <= side)).float().mean() for side in SIDES]) * 3):
        assert (share - 1).abs().max() < 0.2
    for low, high in scores.SIZES.values():
        assert 0.28 < ((low <= sides) & (sides < high)).float().mean() < 0.39
    middles = (boxes[:, 1:3] + boxes[:, 3:]) / 2
    assert middles.min() < 7 and middles.max() > SIZE - 9 and (middles.mean(0) - SIZE / 2).abs().max() < 1.5
    assert make("find", 1, seed=5).y.device.type == "cpu"


@functools.cache
def tight(split):
    """Every scan in its three sizes, cut to its ink, by the shape that is left: (n, h, w) and (n,) classes."""
    found = {}
    for side in SIDES:
        bank = digits(split, side)
        for image, c in zip(bank.images, torch.arange(10).repeat_interleave(bank.count), strict=True):
            rows, columns = ((image >= INK).any(axis).nonzero() for axis in (1, 0))
            cut = image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
            found.setdefault(tuple(cut.shape), []).append((cut, c))
    return {shape: tuple(map(torch.stack, zip(*cuts, strict=True))) for shape, cuts in found.items()}


@pytest.mark.parametrize("split", SPLITS)
def test_a_person_reads_the_digit_in_the_box(split):
    """The rule: of all digits of that size, the one that looks most like what is in the box."""
    batch = make("find", 100, split, seed=11)
    right = []
    for i, c, x1, y1, x2, y2 in objects(batch):
        cuts, classes = tight(split)[y2 - y1, x2 - x1]
        right.append(classes[(cuts - batch.x[i, :, y1:y2, x1:x2].mean(0)).square().mean((1, 2)).argmin()].item() == c)
    assert len(right) > 200 and sum(right) >= 0.99 * len(right)


def test_strokes_are_everywhere_but_around_digits(no_noise):  # noqa: F811
    x, y, mask = make("find", 500, seed=3)
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])
    near = torch.nn.functional.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0].bool() & ~mask
    assert x[:, 0][near].max() < INK, "a stroke touches a digit"
    outside = (x[:, 0] >= INK) & ~mask
    assert outside.float().mean() > 2 * mask.float().mean(), "too few strokes to hide a digit"
    shows = outside.float().mean(0)
    for half in (shows[:32], shows[32:], shows[:, :32], shows[:, 32:]):
        assert abs(half.mean() / shows.mean() - 1) < 0.15


def test_paint_has_the_classes_of_find_on_the_same_pictures():
    boxes, pixels = make("find", PICTURES, seed=1), make("paint", PICTURES, seed=1)
    assert torch.equal(boxes.x, pixels.x) and torch.equal(boxes.mask, pixels.mask)
    for i, c, x1, y1, x2, y2 in objects(boxes):
        assert set(pixels.y[i, y1:y2, x1:x2].unique().tolist()) <= {0, c + 1} and (pixels.y[i, y1:y2, x1:x2] > 0).any()


@pytest.mark.parametrize("name", ["what", "where", "nearest", "twins"])
def test_evidence_is_the_mask_of_the_task_on_its_pictures(name):
    plain, painted = make(name, 5, seed=4), make(f"paint_{name}", 5, seed=4)
    assert torch.equal(plain.x, painted.x) and torch.equal(plain.mask, painted.y.bool()) and find(f"paint_{name}").classes == 2


def test_pictures_of_a_split_are_made_of_its_scans_only(no_noise, monkeypatch):  # noqa: F811
    from course_utils.tasks import draw, scenes
    asked = []
    for module in (draw, scenes):
        monkeypatch.setattr(module, "digits", lambda *args: asked.append(args[0]) or digits(*args))
    make("find", 5, "test")
    assert set(asked) == {"test"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("name", ["find", "paint"])
def test_a_gpu_draws_the_same_pictures_up_to_the_noise(name, monkeypatch):
    here, there = make(name, 50, seed=3), make(name, 50, seed=3, device="cuda")
    assert all(part.device.type == "cuda" for part in there)
    assert torch.equal(there.y.cpu(), here.y) and torch.equal(there.mask.cpu(), here.mask)
    monkeypatch.setattr(stream, "NOISE", 0.0)
    torch.testing.assert_close(make(name, 50, seed=3, device="cuda").x.cpu(), make(name, 50, seed=3).x)


def test_a_wrong_name_is_answered_with_the_right_one():
    with pytest.raises(ValueError, match="unknown task 'pant'. Did you mean 'paint'"):
        make("pant", 1)
