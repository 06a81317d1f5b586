"""The tasks: the same from a seed, solved by a person's simple rule, and given away by no window, split or side cue."""

import functools
import io
import itertools

import make_digits
import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, ttest_ind
from sklearn.datasets import load_digits
from torch.nn.functional import one_hot, pad

from course_utils import hosts
from course_utils.tasks import SPLITS, TASKS, Stream, digits, draw, make, stream
from course_utils.tasks.digits import FILE, read

NAMES = list(TASKS)
each = pytest.mark.parametrize("name", NAMES)
both_splits = pytest.mark.parametrize("split", SPLITS)


@functools.cache
def drawn(name, split="train"):
    """A thousand pictures with their noise, drawn once for all tests: to be looked at, not to be changed."""
    return make(name, 1000, split, seed=7)


@pytest.fixture
def no_noise(monkeypatch):
    monkeypatch.setattr(stream, "NOISE", 0.0)


def same(a, b):
    return all(torch.equal(left, right) for left, right in zip(a, b, strict=True))


def bank(split, size):
    """Every scan of a split with its class."""
    scans = digits(split, size)
    return scans.images, torch.arange(10).repeat_interleave(scans.count)


def nearest(patches, split):
    """The class of the scan that each patch (N, size, size) looks most like."""
    images, classes = bank(split, patches.shape[-1])
    return classes[torch.cdist(patches.flatten(1), images.flatten(1)).argmin(1)]


def under(mask, x, side=12):
    """What a box-shaped mask covers: (N, H, W) twice -> (N, side, side)."""
    return x[mask].view(len(x), side, side)


def boxes(top, left, side, size):
    """The masks of squares with the given corners, pixel by pixel."""
    mask = torch.zeros(len(top), size, size, dtype=torch.bool)
    for i, (row, column) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        mask[i, row:row + side, column:column + side] = True
    return mask


def corner(mask):
    """Row and column of the first marked pixel of each mask."""
    return mask.any(2).int().argmax(1), mask.any(1).int().argmax(1)


# ---- what every task promises

@each
@both_splits
def test_shapes_and_types_are_those_of_the_contract(name, split):
    x, y, mask = make(name, 5, split)
    task = TASKS[name]
    assert x.shape == (5, 3, task.size, task.size) and x.dtype == torch.float32
    assert y.shape == (5,) and y.dtype == torch.int64
    assert mask.shape == (5, task.size, task.size) and mask.dtype == torch.bool
    assert 0 <= y.min() and y.max() < task.classes and task.chance == 1 / task.classes
    assert mask.flatten(1).any(1).all() and not mask.flatten(1).all(1).any()
    assert [len(part) for part in make(name, 1, split)] == [1, 1, 1]


@each
def test_the_same_seed_gives_the_same_pictures(name):
    torch.manual_seed(1)
    first = make(name, 6, seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert same(make(name, 6, seed=3), first)
    assert torch.equal(torch.get_rng_state(), before), "the global generator was used"


@each
def test_another_seed_changes_the_choices_not_only_the_noise(name, no_noise):
    a, b = make(name, 40, seed=3), make(name, 40, seed=4)
    assert all(not torch.equal(left, right) for left, right in zip(a, b, strict=True))
    assert len({picture.numpy().tobytes() for picture in a.x}) == 40


@each
def test_noise_is_there_and_is_not_shared(name, monkeypatch):
    noisy, other = make(name, 40, seed=3).x, make(name, 40, seed=4).x
    monkeypatch.setattr(stream, "NOISE", 0.0)
    noise, other = noisy - make(name, 40, seed=3).x, other - make(name, 40, seed=4).x
    assert (noise - other).std() > 0.05, "every batch has the same noise"
    assert abs(noise.std() - 0.05) < 0.001 and abs(noise.mean()) < 0.001
    for axis in range(4):      # no picture, colour, row or column has the noise of its neighbour
        a, b = noise.narrow(axis, 0, 2).unbind(axis)
        assert (a - b).std() > 0.05


@each
def test_a_stream_repeats_itself_and_never_a_batch(name):
    batches = Stream(name, steps=4, batch_size=3, seed=5)
    first, again = list(batches), list(batches)
    assert len(batches) == len(first) == len(again) == 4 and len(first[0].y) == 3
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    for a, b in itertools.combinations(first, 2):
        assert not torch.equal(a.x, b.x)
    assert not same(first[0], next(iter(Stream(name, steps=4, batch_size=3, seed=6))))


@each
def test_a_generator_goes_on_from_where_it_is(name):
    g = torch.Generator().manual_seed(5)
    for batch in Stream(name, steps=3, batch_size=3, split="test", seed=5):
        assert same(make(name, 3, "test", g), batch)


@each
@both_splits
def test_answers_are_balanced(name, split):
    y, classes = drawn(name, split).y, TASKS[name].classes
    p = 1 / classes
    tolerance = 5 * (len(y) * p * (1 - p)) ** 0.5
    assert ((y.bincount(minlength=classes) - len(y) * p).abs() < tolerance).all(), y.bincount()


@each
def test_the_bank_of_scans_is_left_alone(name):
    before = {(split, size): digits(split, size).images.clone() for split in SPLITS for size in (10, 12)}
    make(name, 20), make(name, 20, "test")
    assert all(torch.equal(digits(*key).images, images) for key, images in before.items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@each
def test_a_gpu_draws_the_same_pictures_up_to_the_noise(name, monkeypatch):
    here, there = make(name, 50, seed=3), make(name, 50, seed=3, device="cuda")
    assert all(part.device.type == "cuda" for part in there)
    assert torch.equal(there.y.cpu(), here.y) and torch.equal(there.mask.cpu(), here.mask)
    assert (there.x.cpu() - here.x).abs().max() < 2 * 7 * stream.NOISE
    monkeypatch.setattr(stream, "NOISE", 0.0)
    torch.testing.assert_close(make(name, 50, seed=3, device="cuda").x.cpu(), make(name, 50, seed=3).x)


# ---- what: one of three digits, chosen by the frame

def frame_colour(x):
    return x[:, :, :3].mean((2, 3)).argmax(1)


def asked_digit(x):
    """As a person does it: the frame's colour, then the one place where that colour has ink. (N, 12, 12)"""
    i = torch.arange(len(x))
    middle = x[i, frame_colour(x), 16:40, 16:40]
    cells = middle.unfold(1, 12, 12).unfold(2, 12, 12).flatten(1, 2)                     # (N, 4, 12, 12)
    return cells[i, cells.sum((2, 3)).argmax(1)]


@both_splits
def test_what_is_solved_by_the_rule_of_a_person(split):
    x, y, _ = make("what", 500, split, seed=11)
    assert (nearest(asked_digit(x), split) == y).all()


def test_what_marks_the_box_of_the_digit_asked_for_and_no_other(no_noise):
    x, _, mask = make("what", 300)
    inside = x[:, :, 3:-3, 3:-3]
    assert (inside.flatten(2).amax(2) > 0.5).all(), "a digit is missing"
    asked = one_hot(frame_colour(x), 3).bool()
    marked = mask[:, None, 3:-3, 3:-3].expand_as(inside)
    assert (inside[asked] * ~marked[asked]).sum() == 0, "the digit asked for sticks out of its mask"
    assert (inside[~asked] * marked[~asked]).sum() == 0, "the mask covers another digit"
    top, left = corner(mask)
    assert torch.equal(mask, boxes(top, left, 12, 56))
    assert set(zip(top.tolist(), left.tolist(), strict=True)) == set(itertools.product((16, 28), repeat=2))
    assert torch.equal(under(mask, x[torch.arange(300), frame_colour(x)]), asked_digit(x))


def test_what_has_a_whole_frame_of_one_colour(no_noise):
    x = make("what", 50).x
    rim = torch.ones(56, 56, dtype=torch.bool)
    rim[3:-3, 3:-3] = False
    colour = one_hot(frame_colour(x), 3).float()                                         # (N, 3)
    assert torch.equal(x[:, :, rim], colour[..., None].expand(-1, -1, int(rim.sum())))


def test_what_shows_three_different_digits_in_three_places(no_noise):
    x = make("what", 200).x[:, :, 16:40, 16:40]
    cells = x.unfold(2, 12, 12).unfold(3, 12, 12).flatten(2, 3)                          # (N, 3, 4, 12, 12)
    place = cells.sum((3, 4)).argmax(2)                                                  # (N, 3)
    patches = cells[torch.arange(200)[:, None], torch.arange(3), place]                  # (N, 3, 12, 12)
    assert ((cells.amax((3, 4)) > 0).sum(2) == 1).all(), "a digit is not in one place"
    classes = nearest(patches.flatten(0, 1), "train").view(200, 3)
    for values in (place, classes):
        assert (values.sort(1).values.diff(dim=1) > 0).all()


# ---- where: one digit among strokes

@both_splits
def test_where_has_the_digit_of_the_answer_under_its_mask(split):
    x, y, mask = make("where", 500, split, seed=11)
    assert torch.equal(mask, boxes(*corner(mask), 12, 64))
    assert (nearest(under(mask, x.mean(1)), split) == y).all()


def test_where_leaves_the_digit_free_of_strokes_and_fills_the_rest(no_noise):
    x, _, mask = make("where", 300)
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])
    top, left = corner(mask)
    clear = boxes(top - 2, left - 2, 16, 64)
    assert ((x[:, 0] * (clear & ~mask)).flatten(1).amax(1) == 0).all(), "a stroke touches the digit"
    assert top.min() == 2 and top.max() == 50 and left.min() == 2 and left.max() == 50
    outside = (x[:, 0] > 0.3) & ~mask
    assert (outside.flatten(1).sum(1) > 2 * 144).all(), "too few strokes to hide a digit"
    shows = outside.float().mean(0)                          # share of pictures with ink at a pixel
    for half in (shows[:32], shows[32:], shows[:, :32], shows[:, 32:]):
        assert abs(half.mean() / shows.mean() - 1) < 0.1, "strokes gather on one side"


# ---- relate: two digits, far apart

def halves(mask):
    """The upper and the lower box of each mask."""
    upper = torch.arange(48)[:, None].expand(48, 48) < 24
    return mask & upper, mask & ~upper


@both_splits
def test_relate_is_solved_by_reading_both_digits(split):
    x, y, mask = make("relate", 500, split, seed=11)
    first, second = (nearest(under(part, x.mean(1)), split) for part in halves(mask))
    assert set(first.tolist()) == set(second.tolist()) == {0, 1}
    assert torch.equal((first == second).long(), y)


def test_relate_marks_both_digits_and_nothing_else_is_drawn(no_noise):
    x, _, mask = make("relate", 300)
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])
    assert (x[:, 0] * ~mask).sum() == 0
    for part in halves(mask):
        assert torch.equal(part, boxes(*corner(part), 12, 48))
        assert (under(part, x[:, 0]).flatten(1).amax(1) > 0.5).all()


# ---- twins: nine rings, one with a gap

def rings_with_gaps(split):
    """Every zero of a split five times: a gap at the top, right, bottom, left, and whole. (5, Z, 10, 10)"""
    images, classes = bank(split, 10)
    rings = images[classes == 0].repeat(5, 1, 1, 1)
    rings[0, :, :5, 4:6] = 0
    rings[1, :, 4:6, 5:] = 0
    rings[2, :, 5:, 4:6] = 0
    rings[3, :, 4:6, :5] = 0
    return rings


def read_rings(x, split):
    """The best of all rings at all places of each cell: (N, 48, 48) -> three of (N, 9).

    Kind (0 to 3: the side of the gap, 4: whole), top row and left column.
    """
    rings = rings_with_gaps(split)
    templates = rings.flatten(0, 1).flatten(1)                                           # (5 Z, 100)
    cells = x.unfold(1, 16, 16).unfold(2, 16, 16).flatten(1, 2)                          # (N, 9, 16, 16)
    patches = cells.unfold(2, 10, 1).unfold(3, 10, 1).flatten(2, 3).flatten(3)           # (N, 9, 49, 100)
    # Least squares over the whole cell: |cell - ring|^2 = |cell|^2 - 2 patch.ring + |ring|^2
    score = 2 * patches @ templates.T - templates.square().sum(1)                        # (N, 9, 49, 5 Z)
    best = score.flatten(2).argmax(2)
    place, kind = best // len(templates), best % len(templates) // rings.shape[1]
    cell = torch.arange(9)
    return kind, 16 * (cell // 3) + place // 7, 16 * (cell % 3) + place % 7


@both_splits
def test_twins_is_solved_by_looking_for_the_one_gap(split):
    x, y, _ = make("twins", 60, split, seed=11)
    kind, _, _ = read_rings(x.mean(1), split)
    assert ((kind != 4).sum(1) == 1).all(), "not exactly one ring with a gap"
    assert torch.equal(kind.min(1).values, y)


def test_twins_marks_the_gap_and_only_the_gap(no_noise):
    x, y, mask = make("twins", 60, "test")
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])
    kind, top, left = read_rings(x[:, 0], "test")
    gaps = {0: (slice(0, 5), slice(4, 6)), 1: (slice(4, 6), slice(5, 10)),
            2: (slice(5, 10), slice(4, 6)), 3: (slice(4, 6), slice(0, 5))}
    for i in range(60):
        ring = int((kind[i] != 4).int().argmax())
        expected = torch.zeros(48, 48, dtype=torch.bool)
        expected[top[i, ring]:, left[i, ring]:][:10, :10][gaps[y[i].item()]] = True
        assert torch.equal(mask[i], expected)
    assert (x[:, 0] * mask).sum() == 0


@both_splits
def test_every_zero_has_ink_where_a_gap_can_be(split):
    """A zero open by nature would be a second ring with a gap; a gap where no ink was would not be seen."""
    *cut, whole = rings_with_gaps(split)
    for one in cut:
        assert ((whole - one).flatten(1).amax(1) > 5 * stream.NOISE).all()
        assert ((whole - one).flatten(1).norm(dim=1) > 10 * stream.NOISE).all()


# ---- no way around

def seen(mask, window, positions):
    """Which windows see a marked pixel: (N, H, W) -> (N, P, P)."""
    before = -window.start
    after = window.span(positions - 1)[1] + 1 - mask.shape[-1]
    padded = pad(mask.float(), (before, after, before, after))
    return padded.unfold(1, window.size, window.step).unfold(2, window.size, window.step).amax((3, 4)) > 0


def windows(size):
    host = hosts.SmallHost()
    return hosts.receptive_field(host), host.eval().features(torch.zeros(1, 3, size, size)).shape[-1]


def test_no_window_of_the_host_sees_frame_and_digit_of_what(no_noise):
    x = make("what", 300).x
    rim = torch.ones(1, 56, 56, dtype=torch.bool)
    rim[:, 3:-3, 3:-3] = False
    ink = ((x.amax(1) > 0) & ~rim).any(0, keepdim=True)
    assert ink[0, 16:40].any(1).all() and ink[0, :, 16:40].any(0).all(), "300 pictures should reach every row"
    frame, digit = (seen(mask, *windows(56)) for mask in (rim, ink))
    assert frame.any() and digit.any() and seen(torch.ones(1, 56, 56), *windows(56)).all()
    assert not (frame & digit).any()


def test_no_window_of_the_host_sees_both_digits_of_relate():
    first, second = (seen(part, *windows(48)) for part in halves(drawn("relate").mask))
    assert first.flatten(1).any(1).all() and second.flatten(1).any(1).all()
    assert not (first & second).any()


def assert_independent(a, b):
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a.numpy(), b.numpy()), 1)
    table = table[table.any(1)][:, table.any(0)]
    assert min(table.shape) > 1, "one of the two never changes"
    assert chi2_contingency(table).pvalue > 1e-3, table


@both_splits
def test_the_colour_of_the_frame_does_not_give_the_answer_of_what_away(split):
    x, y, _ = drawn("what", split)
    assert_independent(frame_colour(x), y)
    assert ((frame_colour(x).bincount() - 1000 / 3).abs() < 5 * (1000 * 2 / 9) ** 0.5).all()


@each
def test_the_place_of_the_evidence_does_not_give_the_answer_away(name):
    """Places are told apart as the task does: cells of `what`, `nearest` and `twins`, diagonals of `relate`."""
    _, y, mask = drawn(name)
    cell = {"what": 28, "where": 22, "crowd": 27, "nearest": 32, "search": 32, "relate": 24, "twins": 16, "alike": 8}[name]
    top, left = corner(mask if name != "relate" else halves(mask)[0])
    assert_independent(4 * (top // cell) + left // cell, y)


def test_neither_one_digit_nor_the_ink_gives_the_answer_of_relate_away():
    x, y, mask = drawn("relate")
    for part in halves(mask):
        assert_independent(nearest(under(part, x.mean(1)), "train"), y)
    ink = x.mean((1, 2, 3))
    assert ttest_ind(ink[y == 0], ink[y == 1]).pvalue > 1e-3


# ---- the digits

def test_the_shipped_digits_are_those_of_scikit_learn():
    arrays, source = read(), load_digits()
    assert (arrays["images"] == source.images).all() and (arrays["labels"] == source.target).all()


def test_train_and_test_share_no_scan():
    assert len({scan.tobytes() for scan in read()["images"]}) == 1797, "the source repeats a scan"
    train, test = ({scan.numpy().tobytes() for scan in digits(split, 8).images} for split in SPLITS)
    assert not train & test and len(train | test) == 1797


@both_splits
def test_scans_keep_their_class_and_every_class_is_there(split):
    arrays, found = read(), digits(split, 8)
    chosen = arrays["test"] == (split == "test")
    share = 0.2 if split == "test" else 0.8
    for c in range(10):
        members = arrays["labels"] == c
        expected = {scan.tobytes() for scan in arrays["images"][members & chosen].astype(np.float32) / 16}
        block = found.images[found.first[c]:found.first[c] + found.count[c]]
        assert {scan.numpy().tobytes() for scan in block} == expected
        assert abs(len(block) - share * members.sum()) < 1
    assert found.images.min() == 0 and found.images.max() == 1


@each
@both_splits
def test_pictures_of_a_split_are_made_of_its_scans_only(name, split, no_noise, monkeypatch):
    asked = []
    monkeypatch.setattr(draw, "digits", lambda *args: asked.append(args[0]) or digits(*args))
    x, _, mask = make(name, 200, split)
    assert set(asked) == {split}
    if name not in ("twins", "alike"):     # their rings are cut: read_rings looks at them
        known = {scan.numpy().tobytes() for scan in digits(split, 12).images}
        ink = x[torch.arange(200), frame_colour(x)] if name == "what" else x[:, 0]
        for part in halves(mask) if name == "relate" else [mask]:
            assert {patch.numpy().tobytes() for patch in under(part, ink)} <= known


def test_every_scan_of_a_class_can_come_up():
    """An index that is off by one leaves the last scan of each class out, or takes one of the next class."""
    classes = torch.arange(10).repeat(400, 1)
    scans = draw.scans(classes, "test", 8, torch.Generator().manual_seed(0), torch.device("cpu"))
    images, labels = bank("test", 8)
    for c in range(10):
        expected = {scan.numpy().tobytes() for scan in images[labels == c]}
        assert {scan.numpy().tobytes() for scan in scans[:, c]} == expected


# ---- bad input and damaged files

@pytest.mark.parametrize("call, message", [
    (lambda: make("waht", 1), r"unknown task 'waht'\. Did you mean 'what'\? Known: what, where, crowd, nearest, search, rel"),
    (lambda: make("TWINS", 1), r"unknown task 'TWINS'\. Did you mean 'twins'\?"),
    (lambda: make("zzzz", 1), r"unknown task 'zzzz'\. Known: what"),
    (lambda: make(None, 1), "unknown task None.*Known: what"),
    (lambda: Stream("relat", 3), r"unknown task 'relat'\. Did you mean 'relate'\?"),
    (lambda: make("what", 1, "tset"), "split must be one of 'train', 'test', got 'tset'"),
    (lambda: make("what", 1, "validation"), "split must be one of 'train', 'test', got 'validation'"),
    (lambda: digits("all", 8), "split must be one of 'train', 'test', got 'all'"),
    (lambda: make("what", 0), "n must be at least 1, got 0"),
    (lambda: make("what", -3), "n must be at least 1, got -3"),
])
def test_wrong_arguments_are_refused_with_the_right_ones(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def archive(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def with_flipped_byte(data, share):
    at = int(share * len(data))
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:]


DAMAGE = {
    "empty": lambda data: b"",
    "ten bytes": lambda data: data[:10],
    "truncated": lambda data: data[:len(data) // 2],
    "last byte missing": lambda data: data[:-1],
    "a flipped byte": lambda data: with_flipped_byte(data, 0.3),
    "another flipped byte": lambda data: with_flipped_byte(data, 0.6),
    "an error page instead": lambda data: b"<html>404</html>",
    "a Git LFS pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "no labels": lambda data: archive(images=np.zeros((1797, 8, 8)), test=np.zeros(1797)),
    "too few": lambda data: archive(images=np.zeros((9, 8, 8)), labels=np.zeros(9), test=np.zeros(9)),
    "pickled objects": lambda data: archive(images=np.full((1797, 8, 8), None), labels=np.full(1797, None),
                                            test=np.full(1797, None)),
}


def assert_says_how_to_get_it_back(text, path):
    assert str(path) in text
    assert "git checkout -- data/digits.npz" in text and "python tools/make_digits.py" in text


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_digits_says_how_to_get_it_back(damage, tmp_path):
    path = tmp_path / "digits.npz"
    path.write_bytes(DAMAGE[damage](FILE.read_bytes()))
    with pytest.raises(ValueError) as caught:
        read(path)
    assert_says_how_to_get_it_back(str(caught.value), path)


def test_a_missing_file_of_digits_says_how_to_get_it_back(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read(tmp_path / "digits.npz")
    assert_says_how_to_get_it_back(str(caught.value), tmp_path / "digits.npz")


def test_the_file_of_digits_can_be_made_anew(tmp_path, capsys):
    """NumPy may draw another split in a later version; the scans and the share of each class stay."""
    make_digits.main(tmp_path / "digits.npz")
    made, shipped = read(tmp_path / "digits.npz"), read()
    assert (made["images"] == shipped["images"]).all() and (made["labels"] == shipped["labels"]).all()
    made_share, shipped_share = (np.bincount(arrays["labels"][arrays["test"]]) for arrays in (made, shipped))
    assert (made_share == shipped_share).all()
