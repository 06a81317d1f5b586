"""Files of pictures: every kind is read as a person sees it, and what cannot be read is named and left out."""

import warnings

import numpy as np
import pytest
import torch
from folders import BLUE, GREEN, RED, WHITE, numbered, plain, put, values
from PIL import Image

from course_utils.tasks import folder


def one(root, picture, name="1.png", size=8, **options):
    """That picture as `folder` reads it: (3, size, size). The rest of the folder is blue."""
    for other in ("train/b/1.png", "test/a/1.png", "test/b/1.png"):
        put(plain(BLUE), root / other)
    put(picture, root / "train" / "a" / name, **options)
    data = folder(root, "train", size)
    return data.x[data.y == 0][0]


# ---- kinds of pictures

def halves(left, right, mode="RGB", size=8):
    picture = plain(left, mode, (size, size))
    picture.paste(right, (size // 2, 0, size, size))
    return picture


def sides(x):
    """Colour of the left and of the right edge."""
    return tuple(x[:, 4, 0].tolist()), tuple(x[:, 4, -1].tolist())


PALETTE = halves(RED, GREEN).convert("P", palette=Image.Palette.ADAPTIVE)
HOLE = halves((255, 0, 0, 255), (0, 0, 0, 0), "RGBA")
DEEP = Image.fromarray(np.repeat(np.array([[0] * 4 + [30_000] * 4], np.uint16), 8, 0))


@pytest.mark.parametrize("name, picture, left, right", [
    ("1.png", halves(RED, GREEN), RED, GREEN),
    ("1.png", halves(10, 200, "L"), (10,) * 3, (200,) * 3),
    ("1.png", halves(0, 1, "1"), (0,) * 3, WHITE),
    ("1.png", PALETTE, RED, GREEN),
    ("1.png", HOLE, RED, WHITE),
    ("1.png", halves((10, 255), (0, 0), "LA"), (10,) * 3, WHITE),
    ("1.tif", halves((0, 255, 255, 0), (0, 0, 0, 255), "CMYK"), RED, (0,) * 3),
    ("1.png", DEEP, (0,) * 3, (30_000 // 257,) * 3),
    ("1.webp", halves(RED, RED), None, None),
    ("1.bmp", halves(RED, GREEN), RED, GREEN),
    ("1.JPG", halves(BLUE, BLUE), None, None),
], ids=["RGB", "grey", "1 bit", "palette", "RGBA", "grey and alpha", "CMYK", "16 bit", "webp", "bmp", "JPG"])
def test_every_kind_of_picture_is_read_as_it_looks(tmp_path, name, picture, left, right):
    x = one(tmp_path, picture, name)
    assert x.shape == (3, 8, 8) and x.dtype == torch.uint8
    if left is not None:
        assert sides(x) == (left, right)
    else:      # these formats lose a little
        want = np.array(picture.getpixel((0, 0)))[:, None, None]
        assert np.abs(x.numpy().astype(int) - want).max() < 12


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path):
    dark = halves((255, 0, 0), (0, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert sides(one(tmp_path, dark, transparency=dark.getpixel((7, 0)))) == (RED, WHITE)


def test_a_camera_held_sideways_is_turned(tmp_path):
    picture = halves(RED, GREEN)
    exif = picture.getexif()
    exif[0x0112] = 6      # turn by 90 degrees clockwise to look at it: left comes to the top
    x = one(tmp_path, picture, exif=exif)
    assert x[:, 0, 4].tolist() == list(RED) and x[:, -1, 4].tolist() == list(GREEN)


@pytest.mark.parametrize("wide", [True, False])
def test_the_middle_square_is_kept_in_its_proportions(tmp_path, wide):
    """90x30: the outer thirds go, and what is a square in the picture stays one."""
    a = np.zeros((30, 90, 3), np.uint8)
    a[:, :30], a[:, 30:60], a[:, 60:] = RED, GREEN, BLUE
    a[9:21, 39:51] = WHITE
    x = one(tmp_path, Image.fromarray(a if wide else a.transpose(1, 0, 2).copy()), size=10)[:, 1:-1, 1:-1]
    assert (x[1] == 255).all(), "something of the outer thirds"
    assert torch.equal(x, x.mT) and torch.equal(x, x.flip(1)) and torch.equal(x, x.flip(2))
    assert (x[0, 3:5, 3:5] == 255).all() and (x[0, 0] == 0).all()


def test_a_picture_that_is_made_smaller_is_averaged(tmp_path):
    """A board of single black and white pixels becomes grey: taking every eighth pixel would make it black or white."""
    board = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    x = one(tmp_path, board).float()
    assert (x - 127.5).abs().max() < 10


# ---- what is wrong with it

def test_a_broken_picture_is_named_and_left_out(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    numbered(tmp_path, cat=8, dog=8)
    put(noise, tmp_path / "cat" / "cut.jpg")
    whole = (tmp_path / "cat" / "cut.jpg").read_bytes()
    (tmp_path / "cat" / "cut.jpg").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "dog" / "text.png").write_text("no picture")
    (tmp_path / "dog" / "empty.png").touch()
    put(plain(0.5, "F"), tmp_path / "dog" / "floats.tif")
    got, said = [], []
    for split in ("train", "test"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = folder(tmp_path, split, 8)
        got += values(data)
        assert [0 if v < 8 else 1 for v in values(data)] == data.y.tolist(), "what was left out has shifted the labels"
        said += [str(w.message) for w in caught if "left out" in str(w.message)]
    assert sorted(got) == list(range(16))
    for name in ("cut.jpg", "text.png", "empty.png", "floats.tif"):
        assert sum(name in text for text in said) == 1, name


def test_a_picture_with_far_too_many_pixels_is_not_unpacked(tmp_path, monkeypatch):
    numbered(tmp_path, cat=14, dog=14)
    put(plain(RED, size=(300, 300)), tmp_path / "cat" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.warns(UserWarning, match="bomb.png .DecompressionBombError"):
        for split in ("train", "test"):
            folder(tmp_path, split, 8)


def test_a_class_of_which_nothing_can_be_read_is_refused(tmp_path):
    numbered(tmp_path, cat=4, dog=4)
    for path in tmp_path.glob("dog/*"):
        path.write_text("no picture")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="3 of 6 pictures could be read.*'dog'"):
        folder(tmp_path)
    for path in tmp_path.glob("cat/*"):
        path.write_text("no picture")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="0 of 6 .* none of 'cat', 'dog'"):
        folder(tmp_path)
