"""Data sets by name: what the files hold, in their order; checked before they are unpickled; what is missing or damaged is said.

The files are small ones of our own, written as the official ones are, with their own checksums in the place of the official ones.
"""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import no_mirror  # noqa: F401  (a fixture)
from PIL import Image
from torchvision import datasets

from course_utils import tasks
from course_utils.tasks import real
from course_utils.tasks.real import SUBSET, VARIABLE

CIFAR = {"cifar10": (datasets.CIFAR10, "labels", 10), "cifar100": (datasets.CIFAR100, "fine_labels", 100)}
SHIPPED = Path(os.environ.get(VARIABLE, "")) / SUBSET
NAMES = list(tasks.DATA_SETS)


def store(path, value):
    """A pickle, and its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol=2))
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar(name, root, monkeypatch, count=12, parts=2):
    """Files as those of CIFAR; returns split -> (pixels, labels)."""
    kind, key, classes = CIFAR[name]
    folder, rng, wrote = root / kind.base_folder, np.random.default_rng(0), {}
    for split, files in (("train", [f"part_{i}" for i in range(parts)]), ("test", ["part_test"])):
        pixels, labels, sums = [], [], []
        for file in files:
            rows = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
            numbers = rng.integers(0, classes, count).tolist()
            sums.append([file, store(folder / file, {"data": rows, key: numbers, "coarse_labels": [0] * count})])
            pixels.append(rows)
            labels += numbers
        monkeypatch.setattr(kind, f"{split}_list", sums)
        wrote[split] = np.concatenate(pixels), labels
    words = {kind.meta["key"]: [f"class {i}" for i in range(classes)]}
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": store(folder / kind.meta["filename"], words)})
    return wrote


PETS = {"trainval": ["Birman_1", "Birman_2", "basset_hound_7"] * 4, "test": ["Birman_3", "basset_hound_1"]}


def pets(root):
    """Files as those of Oxford-IIIT Pet: 60x20 with red, green and blue thirds; the green is as bright as its number."""
    for part in ("images", "annotations"):
        (root / "oxford-iiit-pet" / part).mkdir(parents=True)
    for split, found in PETS.items():
        lines = []
        for k, pet in enumerate(found):
            a = np.zeros((20, 60, 3), np.uint8)
            a[:, :20, 0], a[:, 20:40, 1], a[:, 40:, 2] = 255, 100 + 10 * k, 255
            file = f"{pet.rsplit('_', 1)[0]}_{k}{split}"
            Image.fromarray(a).save(root / "oxford-iiit-pet" / "images" / f"{file}.jpg", quality=95)
            lines.append(f"{file} {1 if pet.startswith('B') else 2} 1 1\n")
        (root / "oxford-iiit-pet" / "annotations" / f"{split}.txt").write_text("".join(lines))
    return root / "oxford-iiit-pet"


def subset(root, **other):
    """A file as the subset of CIFAR-10."""
    rng = np.random.default_rng(1)
    arrays = {"classes": np.array([f"class {i}" for i in range(10)])}
    for part, count in (("train", 10_000), ("test", 2_000)):
        arrays[f"x_{part}"] = np.broadcast_to(rng.integers(0, 256, (count, 1, 1, 1), dtype=np.uint8), (count, 3, 32, 32))
        arrays[f"y_{part}"] = rng.integers(0, 10, count)
    np.savez_compressed(root / SUBSET, **{**arrays, **other})
    return arrays


# ---- what is read

@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", CIFAR)
def test_cifar_is_what_its_files_hold_in_their_order(name, split, tmp_path, monkeypatch, no_mirror):  # noqa: F811
    pixels, labels = cifar(name, tmp_path, monkeypatch)[split]
    data = tasks.load(name, split, root=tmp_path)
    assert data.x.shape == (len(labels), 3, 32, 32) and data.x.dtype == torch.uint8 and data.x.is_contiguous()
    assert data.x.numpy().tobytes() == pixels.tobytes(), "the official rows are channel, row, column already"
    assert data.y.tolist() == labels and data.y.dtype == torch.int64
    assert data.classes == [f"class {i}" for i in range(CIFAR[name][2])]
    assert not no_mirror


def test_pets_are_middle_squares_in_a_mixed_order_with_their_own_labels(tmp_path, no_mirror):  # noqa: F811
    pets(tmp_path)
    data = tasks.load("pets", root=tmp_path, size=16)
    assert data.x.shape == (12, 3, 16, 16) and data.x.dtype == torch.uint8 and data.classes == ["Birman", "Basset Hound"]
    inner = data.x[:, :, 2:-2, 2:-2].float()
    assert inner[:, [0, 2]].mean() < 12, "the outer thirds, red and blue, are in it"
    numbers = ((inner[:, 1].mean((1, 2)) - 100) / 10).round().int().tolist()
    assert sorted(numbers) == list(range(12)) and numbers != sorted(numbers)
    assert data.y.tolist() == [int(PETS["trainval"][k].startswith("basset")) for k in numbers]
    assert torch.equal(tasks.load("pets", root=tmp_path, size=16).x, data.x), "another order each time"
    test = tasks.load("pets", "test", root=tmp_path)
    assert test.x.shape == (2, 3, 64, 64) and sorted(test.y.tolist()) == [0, 1]


@pytest.mark.parametrize("split, count", [("train", 10_000), ("test", 2_000)])
def test_the_subset_is_read_from_its_file(split, count, tmp_path):
    wrote = subset(tmp_path)
    data = tasks.load("cifar10_subset", split, root=tmp_path)
    assert np.array_equal(data.x.numpy(), wrote[f"x_{split}"]) and data.y.tolist() == wrote[f"y_{split}"].tolist()
    assert data.y.dtype == torch.int64 and data.classes == wrote["classes"].tolist() and type(data.classes[0]) is str


def test_without_its_file_the_subset_is_the_first_pictures_of_the_whole_set(tmp_path, monkeypatch):
    wrote = cifar("cifar10", tmp_path, monkeypatch, count=5_100)
    for split, count in (("train", 10_000), ("test", 2_000)):
        data = tasks.load("cifar10_subset", split, root=tmp_path)
        assert data.x.numpy().tobytes() == wrote[split][0][:count].tobytes() and data.y.tolist() == wrote[split][1][:count]


@pytest.mark.skipif(not (os.environ.get(VARIABLE) and SHIPPED.is_file()), reason=f"{VARIABLE} names no folder with {SUBSET}")
def test_the_real_subset_shows_what_cifar_begins_with():
    train, test = tasks.load("cifar10_subset"), tasks.load("cifar10_subset", "test")
    assert [train.classes[i] for i in train.y[:4]] == ["frog", "truck", "truck", "deer"]
    assert [test.classes[i] for i in test.y[:4]] == ["cat", "ship", "ship", "airplane"]
    assert min(test.counts.values()) == 185 and max(test.counts.values()) == 217


def test_another_size_is_made_of_the_same_pictures(tmp_path):
    wrote = subset(tmp_path)
    data = tasks.load("cifar10_subset", "test", root=tmp_path, size=12)
    assert data.x.shape == (2_000, 3, 12, 12) and data.x.dtype == torch.uint8
    assert np.array_equal(data.x[:, 0, 5, 5].numpy(), wrote["x_test"][:, 0, 5, 5])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_before_reading_is_what_is_said_of_the_set(name):
    entry = tasks.DATA_SETS[name]
    assert tasks.outline(name) == (entry.classes, entry.size) and entry.megabytes and entry.source
    assert f'"{name}"' in real.load.__doc__ and name not in tasks.TASKS


def test_the_argument_wins_over_the_variable_and_the_variable_over_the_courses_folder(tmp_path, monkeypatch):
    subset(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert len(tasks.load("cifar10_subset", "test").y) == 2_000
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        tasks.load("cifar10_subset", root=tmp_path / "elsewhere")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(FileNotFoundError, match="downloads"):
        monkeypatch.setattr(real, "own_folder", lambda: tmp_path / "course")
        tasks.load("cifar10_subset")


# ---- what is wrong

@pytest.mark.parametrize("name", NAMES)
def test_missing_files_say_where_they_were_looked_for_and_how_to_get_them(name, tmp_path, no_mirror):  # noqa: F811
    with pytest.raises(FileNotFoundError) as caught:
        tasks.load(name, root=tmp_path / "nowhere")
    text, entry = str(caught.value), tasks.DATA_SETS[name]
    assert all(str(tmp_path / "nowhere" / place) in text for place in entry.places)
    assert f"tasks.load({name!r}, download=True), {entry.megabytes} MB" in text and VARIABLE in text
    assert not no_mirror and not (tmp_path / "nowhere").exists(), "something was fetched or made unasked"


@pytest.mark.parametrize("name", NAMES)
def test_no_connection_is_told_as_such(name, tmp_path, no_mirror):  # noqa: F811
    with pytest.raises(FileNotFoundError, match="(?s)no network here.*Without: copy the folder"):
        tasks.load(name, root=tmp_path, download=True)
    assert no_mirror


class Trap:
    """Unpickled, it makes a file: whoever loads a foreign pickle runs what stands in it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("victim", ["part_1", "part_test", "meta"])
@pytest.mark.parametrize("name", CIFAR)
def test_a_foreign_pickle_is_not_loaded(name, victim, tmp_path, monkeypatch):
    cifar(name, tmp_path, monkeypatch)
    kind = CIFAR[name][0]
    store(tmp_path / kind.base_folder / (kind.meta["filename"] if victim == "meta" else victim), Trap(tmp_path / "sprung"))
    for split in tasks.SPLITS:
        with pytest.raises(ValueError, match="damaged or incomplete.*Delete the folder, then copy it again or call") as caught:
            tasks.load(name, split, root=tmp_path)
        assert str(tmp_path / kind.base_folder) in str(caught.value)
    assert not (tmp_path / "sprung").exists(), "what stands in the file was run"


def test_a_pickle_in_the_place_of_the_subset_is_not_loaded(tmp_path):
    store(tmp_path / SUBSET, Trap(tmp_path / "sprung"))
    with pytest.raises(ValueError, match="damaged.*Delete the file"):
        tasks.load("cifar10_subset", root=tmp_path)
    subset(tmp_path, y_train=np.array([Trap(tmp_path / "sprung")] * 10_000))
    with pytest.raises(ValueError, match="damaged"):
        tasks.load("cifar10_subset", root=tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("other", [{"x_test": np.zeros((2_000, 32, 32, 3), np.uint8)}, {"y_test": np.zeros(5)},
                                   {"x_test": np.zeros((2_000, 3, 32, 32))}])
def test_a_subset_of_another_form_is_refused(other, tmp_path):
    subset(tmp_path, **other)
    with pytest.raises(ValueError, match=r"wanted uint8 \(2000, 3, 32, 32\)"):
        tasks.load("cifar10_subset", "test", root=tmp_path)


def test_pets_that_are_not_whole_are_refused_and_not_fewer(tmp_path):
    folder = pets(tmp_path)
    victim = folder / "images" / "Birman_1trainval.jpg"
    whole = victim.read_bytes()
    for spoil in (lambda: victim.write_bytes(whole[:400]), victim.unlink, (folder / "annotations" / "trainval.txt").unlink):
        spoil()
        with pytest.raises(ValueError, match="pets in .*damaged or incomplete.*Delete the folder"):
            tasks.load("pets", root=tmp_path)


@pytest.mark.parametrize("options, words", [
    ({"name": "cifar11"}, "unknown data set 'cifar11'. Did you mean 'cifar10'. Known: .*cifar10, .*folder:PATH"),
    ({"name": None}, "unknown data set None"), ({"name": ["pets"]}, "unknown data set"),
    ({"split": "valid"}, "split must be one of 'train', 'test', got 'valid'"), ({"size": 0}, "size.*at least 1, got 0"),
])
def test_arguments_that_are_not_known_are_refused(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tasks.load(**{"name": "cifar10", "root": tmp_path, **options})
