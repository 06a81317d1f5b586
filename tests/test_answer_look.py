"""What `look` says of pictures: everything that is wrong with a folder has its words, and nothing is lost."""

import io
import os
import shutil
import sys

import numpy as np
import pytest
import torch
from answer_folders import noise, pictures
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from course_utils import tasks
from course_utils.answer import look
from course_utils.answer.survey import Survey
from course_utils.studies.material import alike, divided
from course_utils.tasks import Images


def said(root):
    return " ".join(look(root).words)


def test_a_plain_folder_is_counted_and_nothing_is_complained_of(tmp_path):
    found = look(pictures(tmp_path, cat=6, dog=8))
    assert found.total == 14 and found.of_class == {"cat": 6, "dog": 8} and found.split == "by_seed" and not found.own_split
    assert not found.warnings and not found.broken and not found.kinds and found.sides == (24, 24, 24)
    assert found.tests == 3 and "steps of 33.3 points" in said(tmp_path)
    assert "cat" in found._repr_html_() and str(found).startswith("class")


@pytest.mark.parametrize("make, words", [
    (lambda root: root.mkdir(), "no sub-folder"),
    (lambda root: pictures(root, cat=3), "one class, 'cat'; a classifier needs at least two"),
    (lambda root: (root / "cat").mkdir(parents=True) or (root / "dog").mkdir(), "has no pictures in its sub-folders"),
    (lambda root: pictures(root, cat=3, dog=1), r"too few pictures in 1 of its 2 classes: 'dog \(1\)'"),
    (lambda root: pictures(root / "train", cat=3, dog=1) and pictures(root / "test", cat=1), "differ in their classes"),
], ids=["empty", "one class", "no pictures", "one picture in a class", "a class in one split only"])
def test_a_folder_that_cannot_be_used_is_refused_in_words(make, words, tmp_path):
    make(tmp_path / "p")
    with pytest.raises(ValueError, match=words):
        look(tmp_path / "p")


def test_a_class_of_which_too_few_can_be_read_is_refused_and_the_files_are_named(tmp_path):
    pictures(tmp_path, cat=3, dog=2)
    (tmp_path / "dog" / "1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="of 'dog' too few pictures can be read.*dog/1.png.*UnidentifiedImageError"):
        look(tmp_path)


def unusual(root):
    """One picture of every unusual kind, in folders whose names are not plain ASCII."""
    pictures(root, **{"grüne Äpfel": 4, "кошки 猫": 4})
    here = root / "grüne Äpfel"
    Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30) * 72).save(here / "sixteen bits.png")
    noise(seed=90, mode="CMYK").save(here / "printer's.jpg")
    noise(seed=91).save(here / "läuft.webp", save_all=True, append_images=[noise(seed=92)], lossless=True)
    noise(seed=93, mode="L").save(here / "grey.png")
    transparent = noise(seed=94).convert("RGBA")
    transparent.putalpha(40)
    transparent.save(here / "glass.png")
    noise((20_000, 400), seed=95).save(here / "panorama.jpg", quality=30)
    whole = io.BytesIO()
    noise((300, 300), seed=96).save(whole, "JPEG")
    (here / "half.jpg").write_bytes(whole.getvalue()[:len(whole.getvalue()) // 2])
    (root / "кошки 猫" / "film.gif").write_bytes(b"GIF89a")
    return root


def test_unusual_pictures_are_named_and_read_as_they_are_said_to_be(tmp_path):
    found = look(unusual(tmp_path))
    assert found.kinds == {"16 bits": 1, "CMYK": 1, "animated": 1, "grey": 2, "transparent": 1, "very large": 1}
    assert len(found.broken) == 1 and "half.jpg" in found.broken[0] and found.of_class == {"grüne Äpfel": 10, "кошки 猫": 4}
    words = " ".join(found.words)
    for part in ("of 16 bits, brought to 8", "CMYK", "of several frames, of which the first", "laid on white", "1 .gif",
                 "1 cannot be read and is left out: grüne Äpfel/half.jpg", "10,000 pixels or more", "balanced accuracy"):
        assert part in words, part
    with pytest.warns(UserWarning, match="half.jpg"):
        data = [tasks.folder(tmp_path, split, 32) for split in ("train", "test")]
    assert sum(len(part.y) for part in data) == found.total, "what is trained on is what was counted"


def test_a_panorama_is_unpacked_small(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((1200, 20_000, 3), np.uint8)).save(tmp_path / "wide.jpg")
    unpacked, load = [], JpegImageFile.load
    monkeypatch.setattr(JpegImageFile, "load", lambda self: unpacked.append(self.size) or load(self))
    assert tasks.pictures.read_square(tmp_path / "wide.jpg", 64).shape == (64, 64, 3)
    assert set(unpacked) == {(2500, 150)}, "an eighth of each side"


def test_a_huge_picture_that_would_be_unpacked_whole_is_named_and_left_out(tmp_path, monkeypatch):
    pictures(tmp_path, cat=3, dog=3)
    noise((200, 200), seed=99).save(tmp_path / "cat" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)      # Pillow warns there, and refuses at twice as many
    found = look(tmp_path)
    assert found.total == 6 and "huge.png" in found.broken[0] and "save it smaller, or as JPEG" in found.broken[0]


# ---- leaks

def test_a_test_picture_that_is_trained_on_is_found_whatever_it_is_called(tmp_path):
    pictures(tmp_path / "train", cat=5, dog=5)
    pictures(tmp_path / "test", seed=50, cat=2, dog=2)
    assert not look(tmp_path).warnings
    Image.open(tmp_path / "train" / "cat" / "0.png").save(tmp_path / "test" / "cat" / "another name.bmp")
    found = look(tmp_path)
    assert found.twins.leaking == 1
    assert found.warnings[0].startswith("Leak: 1 of 5 test pictures (20.0%) are among the training pictures too, such as ")
    assert "another name.bmp" in found.warnings[0] and "0.png" in found.warnings[0]


def test_a_picture_under_two_labels_is_found(tmp_path):
    pictures(tmp_path, cat=5, dog=5)
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "dog" / "x.png")
    assert any("2 pictures are there under two labels" in line and "cat/0.png" in line for line in look(tmp_path).warnings)


def test_copies_never_stand_on_both_sides(tmp_path):
    x = torch.arange(40, dtype=torch.uint8).repeat(3)[:, None, None, None].expand(-1, 3, 4, 4)
    data = Images(x, torch.cat([torch.arange(40) % 2] * 3), ["a", "b"])
    groups = alike(data)
    assert [len(group) for group in groups] == [20, 20]
    for seed in range(20):
        places = divided(groups, seed)
        train, test = ({int(x[i, 0, 0, 0]) for i in places[split]} for split in ("train", "test"))
        assert not train & test and len(places["train"]) + len(places["test"]) == 120 and len(test) == 8
    assert divided(groups, 0) == divided(groups, 0) != divided(groups, 1)


@pytest.mark.parametrize("how", ["size", "kind"])
def test_a_label_that_the_file_itself_tells_is_a_leak(how, tmp_path):
    pictures(tmp_path, cat=8, dog=8)
    assert not look(tmp_path).telling
    for i in range(8):
        file = tmp_path / "dog" / f"{i}.png"
        picture = Image.open(file).copy()
        file.unlink()
        picture.resize((40, 40)).save(file) if how == "size" else picture.save(file.with_suffix(".bmp"))
    assert len(look(tmp_path).telling) == 1
    words = {"size": "the size in pixels alone tells the class of 100% of the pictures (a guess at the largest class: 50%)",
             "kind": "the kind of the file alone"}[how]
    assert any(line.startswith("Label leak: ") and words in line for line in look(tmp_path).warnings)


def test_sizes_that_no_other_picture_has_tell_nothing(tmp_path):
    pictures(tmp_path, cat=8, dog=8)
    for i, file in enumerate(sorted(tmp_path.rglob("*.png"))):
        noise((30 + i, 30 + i), seed=i).save(file)
    assert not look(tmp_path).telling


# ---- the rest

def test_a_survey_keeps_all_it_holds_as_a_file(tmp_path):
    import json
    from dataclasses import asdict
    found = look(unusual(tmp_path))
    assert Survey.from_dict(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
def test_names_that_are_no_utf_8_are_read_and_can_be_written(tmp_path):
    """What an archive from an old Windows machine leaves."""
    pictures(tmp_path, cat=6, dog=6)
    old = os.fsencode(tmp_path) + b"/caf\xe9"
    os.rename(tmp_path / "cat", old)
    os.rename(old + b"/0.png", old + b"/\xfcber.png")
    with open(old + b"/z\xe9ro.png", "wb") as file:
        file.write(b"no picture")
    shutil.copy(old + b"/\xfcber.png", tmp_path / "dog" / "copy.png")
    found = look(tmp_path)
    assert found.of_class == {r"caf\xe9": 6, "dog": 7} and found.broken[0].startswith(r"caf\xe9/z\xe9ro.png (UnidentifiedImage")
    assert r"caf\xe9/\xfcber.png" in found.twins.clashes[0]
    str(found).encode("utf-8")
    with pytest.warns(UserWarning, match=r"z\\xe9ro.png"):
        assert sum(len(tasks.folder(tmp_path, split, 8).y) for split in ("train", "test")) == 13


def test_looking_ends_in_time_and_says_what_it_has_not_opened(tmp_path):
    pictures(tmp_path, cat=6, dog=6)
    found = look(tmp_path, seconds=0)
    assert found.opened == 1 and found.total == 12 and "Opened were 1 of 12" in " ".join(found.words)


def test_looking_in_no_time_goes_on_to_the_first_that_can_be_read(tmp_path):
    pictures(tmp_path, cat=30, dog=30)
    for file in [*tmp_path.rglob("*.png")]:
        if int(file.stem) > 1:
            file.write_bytes(b"no picture")
    found = look(tmp_path, seconds=0)
    assert found.opened == len(found.broken) + 1 > 1 and found.sides == (24, 24, 24)


def test_the_fingerprint_changes_with_the_files(tmp_path):
    before = look(pictures(tmp_path, cat=3, dog=3)).print
    assert look(tmp_path).print == before
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "9.png")
    assert look(tmp_path).print != before
