"""Any folder of pictures: no picture is in both splits, which are the same on every machine; what is wrong with it is said."""

import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from folders import RED, numbered, plain, put, values

from course_utils.tasks import folder, load

# ---- the splits

def test_no_picture_is_in_both_splits_and_none_is_lost(tmp_path):
    numbered(tmp_path, cat=10, dog=30, owl=2)
    train, test = (folder(tmp_path, split, size=4) for split in ("train", "test"))
    assert sorted(values(train) + values(test)) == list(range(42))
    assert train.classes == test.classes == ["cat", "dog", "owl"]
    assert train.counts == {"cat": 8, "dog": 24, "owl": 1} and test.counts == {"cat": 2, "dog": 6, "owl": 1}
    for data in (train, test):
        assert data.x.shape == (len(data.y), 3, 4, 4) and data.x.dtype == torch.uint8 and data.y.dtype == torch.int64
        assert [0 if v < 10 else 1 if v < 40 else 2 for v in values(data)] == data.y.tolist(), "labels and pictures are mixed up"


def test_the_split_is_this_one_on_every_machine(tmp_path):
    """Written down: it rests on names and seed alone, so it may not change from one edition to the next either."""
    numbered(tmp_path, cat=6, dog=6)
    assert values(folder(tmp_path, "test", 4, test_share=0.34)) == [0, 1, 7, 11]


def test_the_split_does_not_depend_on_the_order_of_the_file_system_or_on_the_place(tmp_path, monkeypatch):
    first = numbered(tmp_path / "here", cat=12, dog=12)
    shutil.copytree(first, tmp_path / "and" / "there")
    before = values(folder(first, "test", 4))
    walk, scan = os.walk, os.scandir

    def other_walk(top, **options):
        for place, folders, names in walk(top, **options):
            yield place, folders, random.Random(1).sample(names, len(names))

    def other_list(place):
        with scan(place) as entries:
            return sorted((entry.name for entry in entries), reverse=True)
    monkeypatch.setattr(os, "walk", other_walk)
    monkeypatch.setattr(os, "listdir", other_list)
    monkeypatch.setattr(Path, "iterdir", lambda self: (self / name for name in other_list(self)))
    assert values(folder(tmp_path / "and" / "there", "test", 4)) == before
    assert folder(first, "test", 4).classes == ["cat", "dog"]


def test_seed_and_share_choose_what_is_tested_on(tmp_path):
    numbered(tmp_path, cat=20, dog=20)
    assert set(values(folder(tmp_path, "test", 4))) != set(values(folder(tmp_path, "test", 4, seed=1)))
    assert folder(tmp_path, "test", 4, test_share=0.5).counts == {"cat": 10, "dog": 10}
    assert folder(tmp_path, "train", 4, test_share=0.99).counts == {"cat": 1, "dog": 1}, "a class without a picture to train on"


def test_a_picture_that_is_added_moves_few_others(tmp_path):
    numbered(tmp_path, cat=40, dog=40)
    before = set(values(folder(tmp_path, "test", 4)))
    put(plain((200, 200, 200)), tmp_path / "cat" / "00.png")
    assert len(before - set(values(folder(tmp_path, "test", 4)))) <= 1


def test_the_first_pictures_are_of_all_classes(tmp_path):
    """A trial tests on the first so many."""
    numbered(tmp_path, cat=40, dog=40, owl=40)
    for split in ("train", "test"):
        assert set(folder(tmp_path, split, 4).y[:12].tolist()) == {0, 1, 2}


@pytest.mark.parametrize("name", ["test", "val"])
def test_folders_of_train_and_test_are_the_splits(tmp_path, name):
    for k, place in enumerate(("train/cat/1", "train/dog/deep/1", f"{name}/cat/1", f"{name}/dog/1")):
        put(plain((k, k, k)), tmp_path / f"{place}.png")
    (tmp_path / "notes").mkdir()
    train, test = folder(tmp_path, "train"), folder(tmp_path, "test")
    assert sorted(values(train)) == [0, 1] and sorted(values(test)) == [2, 3]
    assert train.classes == test.classes == ["cat", "dog"]
    assert [v % 2 for v in values(test)] == test.y.tolist()


def test_a_class_may_be_called_train(tmp_path):
    assert folder(numbered(tmp_path, bus=2, train=2)).classes == ["bus", "train"]


def test_what_jupyter_and_macos_leave_behind_is_no_class_and_no_picture(tmp_path):
    """A copy in .ipynb_checkpoints would be the same picture in both splits."""
    numbered(tmp_path, cat=3, dog=3)
    for stray in (".ipynb_checkpoints/1.png", "__MACOSX/1.png", "cat/.ipynb_checkpoints/1.png", "cat/._1.png"):
        put(plain(RED), tmp_path / stray)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    train, test = folder(tmp_path), folder(tmp_path, "test")
    assert train.classes == ["cat", "dog"] and sorted(values(train) + values(test)) == list(range(6))


def test_a_folder_has_a_name_as_the_data_sets_have(tmp_path):
    numbered(tmp_path, a=5, b=5)
    assert torch.equal(load(f"folder:{tmp_path}", "test", size=16).x, folder(tmp_path, "test", 16).x)
    assert load(f"folder:{tmp_path}").x.shape[2:] == (64, 64)


# ---- what is wrong with it

def build(root, *paths):
    for path in paths:
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
        elif path.endswith(".png"):
            put(plain(RED), root / path)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("no picture")


@pytest.mark.parametrize("paths, error, words", [
    ([], ValueError, "no sub-folder.*Wanted: a folder with one sub-folder a class"),
    (["1.png", "2.png"], ValueError, "no sub-folder.*Wanted"),
    (["cat/", "dog/"], ValueError, "no pictures in its sub-folders 'cat', 'dog'.*must end in .jpg, .*convert others"),
    (["cat/1.gif", "dog/1.gif"], ValueError, "no pictures.*convert others"),
    (["cat/1.png", "cat/2.png"], ValueError, "one class, 'cat'.*at least two.*inside 'cat'"),
    (["cat/1.png", "cat/2.png", "dog/1.png"], ValueError, r"'dog \(1\)'; each needs at least two.*Add some, or take"),
    (["cat/1.png", "cat/2.png", "dog/"], ValueError, r"'dog \(0\)'"),
    (["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"], ValueError, "differ in their classes: 'dog'"),
    (["train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/"], ValueError, r"test has too few.*'dog \(0\)'.*one\."),
    (["train/cat/1.png", "train/dog/1.png", "validation/cat/1.png"], ValueError, "splits and no classes. Call them train"),
    (["Train/a/1.png", "Train/b/1.png", "Test/a/1.png", "Test/b/2.png"], ValueError, "splits and no classes"),
])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_that_cannot_be_used_says_what_to_do(tmp_path, paths, error, words, split):
    build(tmp_path, *paths)
    with pytest.raises(error, match=words) as caught:
        folder(tmp_path, split)
    assert str(tmp_path) in str(caught.value)


def test_a_path_that_is_no_folder_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not there .looked for .*Wanted") as caught:
        folder("nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)
    (tmp_path / "file.zip").touch()
    with pytest.raises(ValueError, match="is a file.*Unpack"):
        folder("file.zip")


@pytest.mark.parametrize("options, words", [
    ({"split": "valid"}, "split must be one of 'train', 'test', got 'valid'"), ({"size": 0}, "size.*at least 1, got 0"),
    ({"size": 1.5}, "size.*whole number"), ({"test_share": 0}, "between 0 and 1, got 0"),
    ({"test_share": 1.0}, "between 0 and 1"),
])
def test_arguments_out_of_range_are_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        folder(numbered(tmp_path, a=2, b=2), **options)
