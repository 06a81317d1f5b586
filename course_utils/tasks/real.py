"""Real data sets by name, through torchvision: read once into memory, as bytes; nothing is fetched unless you ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import names
from ..paths import own_folder
from ..runtime import DATA_VARIABLE as VARIABLE
from ..runtime import data_folder
from .digits import check_split
from .images import Images
from .pictures import SIZE, check_size, class_names, folder, square

FOLDER = "folder:"      # begins the name of a folder of pictures
SUBSET = "cifar10_train10k_test2k.npz"
Read = tuple[Tensor, Tensor, list[str]]      # (N, C, H, W) uint8, (N,) int64, names of the classes


@dataclass(frozen=True)
class DataSet:
    """A data set: how it is read, and what is known of it before it is."""

    read: Callable[[Path, bool, bool, int], Read]      # of root, train or test, download, side
    classes: int
    size: int                # H = W in pixels
    places: tuple[str, ...]      # what is looked for in the root
    megabytes: int           # to fetch
    source: str              # and licence


# torchvision takes seconds to import, and the tasks of digits do without it: each reader imports it for itself.

def read_fashion(root: Path, train: bool, download: bool, size: int) -> Read:
    from torchvision import datasets

    data = datasets.FashionMNIST(root, train=train, download=download)
    return data.data[:, None], data.targets, data.classes


def read_cifar(root: Path, train: bool, download: bool, size: int, kind: str = "CIFAR10") -> Read:
    """torchvision unpickles these files, and a pickle may run any code: its constructor compares the checksum of each file with
    that of the official one first (`_check_integrity`, and `_load_meta` for the names), and refuses all others."""
    from torchvision import datasets

    data = getattr(datasets, kind)(root, train=train, download=download)
    return torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(data.targets), data.classes


def read_subset(root: Path, train: bool, download: bool, size: int) -> Read:
    """From the one file if it is there, from the whole set if not: the pictures are the same."""
    part, count = ("train", 10_000) if train else ("test", 2_000)
    if not (root / SUBSET).is_file():
        x, y, classes = read_cifar(root, train, download, size)
        return x[:count].clone(), y[:count].clone(), classes
    try:
        with np.load(root / SUBSET, allow_pickle=False) as archive:
            x, y, classes = (archive[key] for key in (f"x_{part}", f"y_{part}", "classes"))
    except Exception as error:  # zipfile, zlib and NumPy each have their own for a damaged file
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if x.shape != (count, 3, 32, 32) or x.dtype != np.uint8 or y.shape != (count,) or len(classes) != 10:
        raise ValueError(f"x {x.dtype} {x.shape}, y {y.shape}; wanted uint8 ({count}, 3, 32, 32) and ({count},)")
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)), list(map(str, classes))


def read_pets(root: Path, train: bool, download: bool, size: int) -> Read:
    """Photographs of all sizes, cut to squares; the files list them by class, and here they come in a mixed order."""
    from torchvision import datasets

    data = datasets.OxfordIIITPet(root, "trainval" if train else "test", download=download)
    x = torch.empty(len(data), 3, size, size, dtype=torch.uint8)
    y = torch.empty(len(data), dtype=torch.int64)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
    for place, i in enumerate(order):
        try:
            picture, y[place] = data[i]
            x[place] = torch.from_numpy(square(picture, size)).permute(2, 0, 1)
        except Exception as error:  # one picture less would be another data set: nothing is left out here
            raise ValueError(f"picture {i + 1} of its list, {type(error).__name__}: {error}") from error
    return x, y, data.classes


DATA_SETS = {
    "fashion_mnist": DataSet(read_fashion, 10, 28, ("FashionMNIST/raw",), 31,
                             "Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747; MIT licence"),
    "cifar10": DataSet(read_cifar, 10, 32, ("cifar-10-batches-py",), 170,
                       "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images; no licence stated"),
    "cifar10_subset": DataSet(read_subset, 10, 32, (SUBSET, "cifar-10-batches-py"), 170,
                              "the first 10,000 and 2,000 pictures of cifar10, not quite balanced; as cifar10"),
    "cifar100": DataSet(partial(read_cifar, kind="CIFAR100"), 100, 32, ("cifar-100-python",), 169,
                        "Krizhevsky 2009, as cifar10; the 100 fine classes"),
    "pets": DataSet(read_pets, 37, SIZE, ("oxford-iiit-pet",), 811,
                    "Parkhi, Vedaldi, Zisserman & Jawahar, Cats and Dogs, CVPR 2012; CC BY-SA 4.0"),
}


def load(name: str, split: str = "train", root: str | Path | None = None, download: bool = False,
         device: torch.device | str | None = None, size: int | None = None) -> Images:
    """A data set in memory: x (N, C, H, W) uint8, y (N,) int64, the names of its classes.

    name               train    test    picture    source and licence: DATA_SETS[name].source
    "fashion_mnist"    60,000   10,000  1x28x28    clothes
    "cifar10"          50,000   10,000  3x32x32    things and animals
    "cifar10_subset"   10,000    2,000  3x32x32    the first of them
    "cifar100"         50,000   10,000  3x32x32    100 classes of them
    "pets"              3,680    3,669  3x64x64    37 breeds; middle squares of photographs, half a minute to read
    "folder:PATH"                       3x64x64    your own, see `folder`, which has more arguments

    Args:
        split: "train" or "test".
        root: the folder that holds what DATA_SETS[name].places says; by default the environment variable COURSE_DATA, else
            downloads/ in the course's folder; in the current folder if the course was installed from a wheel. A folder of
            pictures has its own path, and `root` and `download` say nothing about it.
        download: fetch the files if they are not there. Nothing is fetched unless you ask for it.
        size: another side of the pictures, which are resized to it.

    Raises:
        ValueError: unknown name or split; size below 1.
        FileNotFoundError: the files are not there; the message says where they were looked for and how to get them.
        ValueError: a file is damaged or incomplete; the message says what to delete.
    """
    check_split(split)
    if str(name).startswith(FOLDER):
        return folder(name.removeprefix(FOLDER), split, SIZE if size is None else size, device=device)
    entry = find(name)
    size = entry.size if size is None else size
    check_size(size)
    root = Path(root or data_folder() or own_folder() / "downloads")
    try:
        x, y, classes = entry.read(root, split == "train", download, size)
    except (RuntimeError, ValueError, IndexError, EOFError, OSError) as error:
        raise refusal(name, entry, root, download, error) from error
    if x.shape[-1] != size:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    device = torch.device(device or "cpu")
    return Images(x.to(device), y.to(device), list(classes))


def find(name: str) -> DataSet:
    """The entry of that name.

    Raises:
        ValueError: no such data set; the message lists the names and the closest one.
    """
    if isinstance(name, str) and name in DATA_SETS:
        return DATA_SETS[name]
    raise names.unknown("data set", name, [*DATA_SETS, f"{FOLDER}PATH"])


def refusal(name: str, entry: DataSet, root: Path, download: bool, error: Exception, call: str = "tasks.load") -> Exception:
    """The error to raise for one of torchvision's: the files are not there, or not what they should be; and what to do."""
    places = [root / place for place in entry.places]
    present = next((place for place in places if place.exists()), None)
    again = f"{call}({name!r}, download=True)"
    # torchvision says "not found" for a missing file, and CIFAR "not found or corrupted" for both; with download it says why a
    # file could not be fetched.
    unfetched = download and not isinstance(error, (ValueError, IndexError, EOFError, FileNotFoundError))
    missing = "not found" in str(error) and not ("corrupted" in str(error) and present)
    if unfetched or missing or present is None:
        return FileNotFoundError(f"{name} is not in {' or '.join(map(str, places))} ({error}). With a connection: {again}, "
                                 f"{entry.megabytes} MB. Without: copy the folder there, or set {VARIABLE} to the folder that "
                                 f"holds {' or '.join(entry.places)}.")
    kind = "file" if present.is_file() else "folder"
    return ValueError(f"{name} in {present} is damaged or incomplete ({error}). Delete the {kind}, then copy it again or call "
                      f"{again}.")


def outline(name: str) -> tuple[int, int]:
    """Number of classes and side of the pictures of a data set or "folder:PATH", before it is read.

    Raises:
        ValueError, FileNotFoundError: no such data set; no such folder, or one without classes.
    """
    if str(name).startswith(FOLDER):
        return len(class_names(name.removeprefix(FOLDER))), SIZE
    return find(name).classes, find(name).size


def fashion_mnist(split: str = "train", root: str | Path | None = None, download: bool = False,
                  device: torch.device | str | None = None) -> Images:
    """Fashion-MNIST: load("fashion_mnist", ...)."""
    return load("fashion_mnist", split, root, download, device)
