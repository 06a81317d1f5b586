"""Real data: read as it is, named when it is missing; augmentation keeps the picture, an epoch keeps them all."""

import gzip
import os
import shutil
from pathlib import Path

import pytest
import torch
from folders import no_mirror  # noqa: F401  (a fixture)

from course_utils.hosts import SmallHost
from course_utils.tasks import Epochs, Images, Steps, crop_and_flip, fashion_mnist, to_batch
from course_utils.tasks.real import VARIABLE
from course_utils.train import fit

ARCHIVES = Path(os.environ.get(VARIABLE, "")) / "FashionMNIST" / "raw"
needs_files = pytest.mark.skipif(
    not (os.environ.get(VARIABLE) and (ARCHIVES / "train-images-idx3-ubyte.gz").is_file()),
    reason=f"set {VARIABLE} to a folder that holds FashionMNIST/raw/*.gz to test with the real files")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A copy of the real files in a place of our own, checked and unpacked by torchvision; no network."""
    raw = tmp_path_factory.mktemp("data") / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in ARCHIVES.glob("*.gz"):
        shutil.copyfile(archive, raw / archive.name)     # without its mode: the original may be read-only
    root = raw.parents[1]
    fashion_mnist(root=root, download=True)
    return root


# ---- Fashion-MNIST

@needs_files
@pytest.mark.parametrize("split, count", [("train", 60_000), ("test", 10_000)])
def test_the_real_pictures_come_from_the_folder_of_the_variable(split, count, unpacked, monkeypatch, no_mirror):  # noqa: F811
    monkeypatch.setenv(VARIABLE, str(unpacked))
    data = fashion_mnist(split)
    assert data.x.shape == (count, 1, 28, 28) and data.x.dtype == torch.uint8
    assert data.y.shape == (count,) and data.y.dtype == torch.int64
    assert data.y.bincount().tolist() == [count // 10] * 10
    assert data.y[0] == 9 and data.classes[9] == "Ankle boot" and len(data.classes) == 10
    assert data.x.min() == 0 and data.x.max() == 255
    assert fashion_mnist(split, download=True).x.shape == data.x.shape
    assert not no_mirror, "the network was asked for files that are there"


@needs_files
def test_pictures_and_labels_are_those_of_the_archive_and_in_its_order(unpacked):
    data = fashion_mnist("test", root=unpacked)
    pixels = gzip.decompress((ARCHIVES / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((ARCHIVES / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert data.x.numpy().tobytes() == pixels and data.y.to(torch.uint8).numpy().tobytes() == labels


@needs_files
def test_the_argument_wins_over_the_variable(unpacked, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert len(fashion_mnist("test", root=str(unpacked)).y) == 10_000


@needs_files
def test_a_damaged_archive_is_not_unpacked(tmp_path, no_mirror):  # noqa: F811
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in ARCHIVES.glob("*.gz"):
        shutil.copyfile(archive, raw / archive.name)
    data = bytearray((raw / "train-labels-idx1-ubyte.gz").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(data)
    with pytest.raises(FileNotFoundError, match="no network here"):
        fashion_mnist(root=tmp_path, download=True)


def idx(array):
    """Bytes of the files of MNIST and its kin: a big-endian header, then the pixels."""
    header = [2048 + array.dim(), *array.shape]
    return b"".join(n.to_bytes(4, "big") for n in header) + array.numpy().tobytes()


def write_small(root):
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(torch.arange(7 * 784).view(7, 28, 28).to(torch.uint8)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(torch.arange(7).to(torch.uint8)))
    return raw


def test_files_that_were_cut_short_are_named_with_what_to_do(tmp_path, no_mirror):  # noqa: F811
    """An unpacking that was stopped leaves such a file, and torchvision then takes it for whole for ever."""
    raw = write_small(tmp_path)
    path = raw / "train-images-idx3-ubyte"
    for length in (100, 0):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises((FileNotFoundError, ValueError), match="(?i)delete|remove") as caught:
            fashion_mnist(root=tmp_path)
        assert str(raw) in str(caught.value)


def test_missing_files_say_where_they_were_looked_for_and_what_to_do(tmp_path, monkeypatch, no_mirror):  # noqa: F811
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist()
    text = str(caught.value)
    assert str(tmp_path / "nowhere" / "FashionMNIST" / "raw") in text
    assert "tasks.load('fashion_mnist', download=True)" in text and VARIABLE in text
    assert not no_mirror and not (tmp_path / "nowhere").exists(), "something was fetched or made unasked"


def test_without_variable_and_argument_the_folder_is_the_courses_own(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    seen = []

    def nothing_there(root, **options):
        seen.append(root)
        raise RuntimeError("Dataset not found")
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", nothing_there)
    with pytest.raises(FileNotFoundError):
        fashion_mnist()
    assert seen == [Path(__file__).resolve().parents[1] / "downloads"]


def test_no_connection_is_told_as_such(tmp_path, no_mirror):  # noqa: F811
    with pytest.raises(FileNotFoundError, match="(?s)no network here.*Without: copy the folder"):
        fashion_mnist(root=tmp_path, download=True)
    assert no_mirror


def test_printed_it_says_what_it_holds_and_not_every_pixel():
    data = Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ["cat", "dog"])
    assert str(data) == "Images(x=(4, 3, 8, 8) uint8, y=(4,), classes=['cat', 'dog'])"


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', got 'valid'"):
        fashion_mnist("valid", root=tmp_path)


# ---- augmentation

def versions(picture, pad):
    """Every shift of a picture by up to `pad` pixels, as it is and mirrored, by nested loops."""
    channels, h, w = picture.shape
    for down in range(-pad, pad + 1):
        for right in range(-pad, pad + 1):
            moved = torch.zeros_like(picture)
            for row in range(h):
                for column in range(w):
                    if 0 <= row - down < h and 0 <= column - right < w:
                        moved[:, row, column] = picture[:, row - down, column - right]
            yield (down, right, False), moved
            yield (down, right, True), moved.flip(2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_crop_and_flip_shows_the_picture_shifted_or_mirrored_and_nothing_else(pad, dtype):
    x = torch.arange(1, 1 + 4 * 2 * 4 * 5).view(4, 2, 4, 5).to(dtype).repeat(25, 1, 1, 1)
    before = x.clone()
    y = crop_and_flip(x, torch.Generator().manual_seed(0), pad)
    assert y.shape == x.shape and y.dtype == dtype and torch.equal(x, before)
    known = [{moved.numpy().tobytes(): how for how, moved in versions(picture, pad)} for picture in x[:4]]
    assert all(len(table) == 2 * (2 * pad + 1) ** 2 for table in known)
    hows = [known[i % 4].get(y[i].contiguous().numpy().tobytes()) for i in range(100)]
    assert None not in hows, "a picture that is no version of its own original"
    # Over a hundred pictures every shift down, every shift to the side and both sides of the mirror come up.
    downs, rights, mirrored = (set(values) for values in zip(*hows, strict=True))
    assert downs == rights == set(range(-pad, pad + 1)) and mirrored == {False, True}
    assert 25 < sum(how[2] for how in hows) < 75
    if pad:
        assert len(set(hows)) > 10, "shift down, shift aside and mirror are not drawn independently"


def test_crop_and_flip_repeats_itself_from_a_seed_and_moves_on():
    x = torch.randint(256, (30, 3, 8, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(1)
    first, second = crop_and_flip(x, g), crop_and_flip(x, g)
    assert torch.equal(crop_and_flip(x, torch.Generator().manual_seed(1)), first)
    assert not torch.equal(first, second)


# ---- epochs

def numbered(n, channels=1):
    """Picture i has the value i + 1 in its middle and the label i."""
    x = torch.zeros(n, channels, 6, 7, dtype=torch.uint8)
    x[:, :, 3, 3] = torch.arange(1, n + 1, dtype=torch.uint8)[:, None]
    return Images(x, torch.arange(n), [str(i) for i in range(n)])


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("n, size", [(23, 5), (20, 5), (4, 10), (6, 1)])
def test_every_picture_comes_once_an_epoch_with_its_own_label(n, size, augment):
    epochs = Epochs(numbered(n), epochs=3, batch_size=size, augment=augment)
    got = list(epochs)
    a_round = -(-n // size)
    assert len(epochs) == len(got) == 3 * a_round
    orders = []
    for epoch in range(3):
        part = got[epoch * a_round:(epoch + 1) * a_round]
        assert [len(b.y) for b in part] == [size] * (n // size) + [n % size] * (n % size > 0)
        for b in part:
            assert torch.equal((b.x.amax((1, 2, 3)) * 255).round().long() - 1, b.y), "labels and pictures are mixed up"
        orders.append(torch.cat([b.y for b in part]).tolist())
        assert sorted(orders[-1]) == list(range(n))
    if n > 4:
        assert orders[0] != list(range(n)) and orders[0] != orders[1] != orders[2], "not shuffled anew"


def test_epochs_repeat_themselves_from_a_seed():
    data = numbered(23)
    first, again, other = (torch.cat([b.x for b in Epochs(data, 2, 5, seed)]) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    epochs = Epochs(data, 2, 5, seed=1)
    list(epochs)
    assert torch.equal(torch.cat([b.x for b in epochs]), first)


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_colour_floats_between_zero_and_one(channels):
    n = 255
    data = numbered(n, channels)
    (b,) = Epochs(data, epochs=1, batch_size=n, augment=False)
    assert b.x.shape == (n, 3, 6, 7) and b.x.dtype == torch.float32
    assert b.x.min() == 0 and b.x.max() == 1
    assert b.y.dtype == torch.int64
    assert b.mask.shape == (n, 6, 7) and b.mask.dtype == torch.bool and b.mask.all()
    torch.testing.assert_close(b.x, data.x[b.y].float().expand(-1, 3, -1, -1) / 255)


def test_colours_keep_their_order():
    x = torch.arange(3, dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert (to_batch(x, torch.zeros(2).long()).x[0, :, 0, 0] * 255).round().tolist() == [0, 1, 2]


def test_augmentation_is_on_unless_switched_off():
    data = numbered(20)
    place = [b.x[:, 0].flatten(1).argmax(1) for b in Epochs(data, 1, 20)]
    still = [b.x[:, 0].flatten(1).argmax(1) for b in Epochs(data, 1, 20, augment=False)]
    assert len(set(place[0].tolist())) > 5 and set(still[0].tolist()) == {3 * 7 + 3}


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": -1}, {"epochs": 1, "batch_size": 0}])
def test_nothing_to_train_on_is_refused(options):
    with pytest.raises(ValueError, match="epochs and batch_size must be at least 1, got"):
        Epochs(numbered(4), **options)


def test_a_last_batch_of_one_picture_does_not_stop_the_training(monkeypatch):
    """The batch norm before the classifier of the host cannot be trained on a single picture."""
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)
    x = torch.randint(256, (9, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = Images(x, torch.arange(9) % 2, ["a", "b"])
    epochs = Epochs(data, epochs=2, batch_size=4)
    assert len(fit(SmallHost(classes=2), epochs, progress=False).loss) == len(epochs)


def test_steps_is_a_budget_and_goes_through_the_set_again():
    batches = list(Steps(numbered(20), steps=5, batch_size=8, augment=False))
    assert len(Steps(numbered(20), 5, 8)) == len(batches) == 5
    first = sorted(y for b in batches[:3] for y in b.y.tolist())
    assert first == list(range(20)), "one whole epoch first"
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Steps(numbered(20), 0)
