"""Any folder of pictures as a data set: of all sizes and kinds, cut to squares of bytes; what cannot be read is named."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .digits import check_split
from .images import Images

if TYPE_CHECKING:
    from PIL import Image

SIZE = 64
SHOWN = 10      # names in one message
LARGE = 16_000_000      # pixels; more than a camera's usual picture has
LIKE_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
WANTED = "Wanted: a folder with one sub-folder a class, and the pictures of that class in it."


def folder(path: str | Path, split: str = "train", size: int = SIZE, test_share: float = 0.2, seed: int = 0,
           device: torch.device | str | None = None) -> Images:
    """Pictures of your own: path/cat/1.jpg, path/dog/7.png, ... -> x (N, 3, size, size) uint8, y (N,), classes ["cat", "dog"].

    Where `path` holds train/ and test/ (or val/), these are the splits. Otherwise a share of each class is kept for testing,
    chosen by the names of the files and the seed: the same on every machine, and a picture that is added moves few others.
    Two shots of one thing may fall on both sides: then make train/ and test/ yourself. The pictures come in a mixed order, so
    that the first hundred are of all classes; classes are in the order of their names.

    Each picture is turned as its camera noted, laid on white where it is transparent, made RGB (grey too), cut to its middle
    square and resized. What cannot be read is left out, with a warning that names it. `counts` of the result says how many
    pictures a class has: where these differ much, report the balanced accuracy (the mean over classes of the accuracy on each).

    Memory: 3 size² bytes a picture, 1.2 GB for 100,000 of 64x64; a split is read anew each time, 10 to 500 pictures a second.

    Args:
        path: files ending as torchvision's ImageFolder wants them (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp), at
            any depth below the folder of their class. What begins with a dot is not looked at.
        split: "train" or "test".
        size: side of the squares, at least 1.
        test_share: of each class, between 0 and 1; at least one picture goes to each side.
        seed: another one chooses other pictures for testing.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no pictures; fewer than two classes; a class with fewer than two pictures (one, in train/ and in test/);
            all pictures of a class unreadable; train/ and test/ differ in their classes; an argument out of range.
    """
    check_split(split)
    check_size(size)
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be between 0 and 1, got {test_share}")
    root = there(path)
    tops, classes = splits(root), class_names(root)
    if tops["train"] != tops["test"]:
        chosen = {part: files(top, classes, seed, 1) for part, top in tops.items()}[split]
    else:
        chosen = files(root, classes, seed, 2)
        kept_back = first_of_each(chosen, test_share)
        chosen = [pair for pair in chosen if (pair in kept_back) == (split == "test")]
    x, kept = squares([file for file, _ in chosen], size)
    y = torch.tensor([chosen[i][1] for i in kept], dtype=torch.int64)
    data = Images(x[kept] if len(kept) < len(x) else x, y, classes)
    if empty := [name for name, count in data.counts.items() if not count]:
        raise ValueError(f"{root}, {split} split: {len(kept)} of {len(chosen)} pictures could be read (see the warning), and "
                         f"none of {quoted(empty)}. Put others in their place, or take the folder of the class away.")
    device = torch.device(device or "cpu")
    return Images(data.x.to(device), data.y.to(device), classes)


def quoted(found: list[str]) -> str:
    """'cat', 'dog' and 3 more"""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(map(repr, found[:SHOWN])) + more


def printable(name: str | Path) -> str:
    """A name as it can be printed and written: bytes that are no UTF-8, as old archives leave them, become \\xe9."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_size(size: int) -> None:
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a whole number of pixels, at least 1, got {size!r}")


def there(path: str | Path) -> Path:
    root = Path(path).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"{root} is not there (looked for {root.absolute()}). {WANTED}")
    if not root.is_dir():
        raise ValueError(f"{root} is a file. {WANTED} Unpack an archive first.")
    return root


def splits(root: Path) -> dict[str, Path]:
    """Split -> the folder that holds its classes: the same one for both, unless there are train/ and test/ or val/."""
    tests = [name for name in ("test", "val") if (root / name).is_dir()]
    own = tests and (root / "train").is_dir()
    return {"train": root / "train", "test": root / tests[0]} if own else {"train": root, "test": root}


def folders(top: Path) -> list[str]:
    """Jupyter and macOS leave folders such as .ipynb_checkpoints and __MACOSX: they are no classes."""
    return sorted(entry.name for entry in top.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def class_names(path: str | Path) -> list[str]:
    """The classes of a folder in their order, by listing it; no picture is read.

    Raises:
        FileNotFoundError, ValueError: as `folder`, for what can be seen without reading.
    """
    root = there(path)
    tops = splits(root)
    classes, others = folders(tops["train"]), folders(tops["test"])
    if len(classes) < 2:
        got = f"one class, {classes[0]!r}" if classes else "no sub-folder"
        inside = f" If the classes are inside {classes[0]!r}, give that folder." if classes else ""
        raise ValueError(f"{tops['train']} has {got}; a classifier needs at least two classes. {WANTED}{inside}")
    if classes != others:
        differ = sorted(set(classes) ^ set(others))
        raise ValueError(f"{tops['train']} and {tops['test']} differ in their classes: {quoted(differ)} in only one of them. "
                         "Give both the same sub-folders.")
    if {name.lower() for name in classes} <= LIKE_SPLITS:
        raise ValueError(f"{root} has the sub-folders {quoted(classes)}: these are splits and no classes. Call them train and "
                         "test, in small letters.")
    return classes


def files(top: Path, classes: list[str], seed: int, least: int) -> list[tuple[Path, int]]:
    """Each picture file with the number of its class, in an order that its name and the seed decide, and nothing else."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset  # takes seconds to import

    endings = f"Files must end in {', '.join(IMG_EXTENSIONS)}; convert others (.gif, .heic) first."
    numbers = {name: i for i, name in enumerate(classes)}
    listed = [(Path(file), label) for file, label in make_dataset(top, numbers, IMG_EXTENSIONS, allow_empty=True)]
    hidden = {file for file, _ in listed if any(part.startswith(".") for part in file.relative_to(top).parts)}
    listed = [(file, label) for file, label in listed if file not in hidden]
    if not listed:
        raise ValueError(f"{top} has no pictures in its sub-folders {quoted(classes)}. {WANTED} {endings}")
    counts = Counter(label for _, label in listed)
    if few := [f"{name} ({counts[i]})" for i, name in enumerate(classes) if counts[i] < least]:
        need = "two: one to train and one to test on" if least == 2 else "one"
        raise ValueError(f"{top} has too few pictures in {len(few)} of its {len(classes)} classes: {quoted(few)}; each needs at "
                         f"least {need}. Add some, or take the folder of the class away. {endings}")

    def lot(pair: tuple[Path, int]) -> str:
        name = unicodedata.normalize("NFC", pair[0].relative_to(top).as_posix())      # macOS may store é as e and an accent
        return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).hexdigest()
    return sorted(listed, key=lot)


def first_of_each(listed: list[tuple[Path, int]], share: float) -> set[tuple[Path, int]]:
    """That share of each class, its first ones; at least one, and never all."""
    of_class: dict[int, list[tuple[Path, int]]] = {}
    for pair in listed:
        of_class.setdefault(pair[1], []).append(pair)
    return {pair for same in of_class.values() for pair in same[:min(max(round(share * len(same)), 1), len(same) - 1)]}


def squares(paths: list[Path], size: int) -> tuple[Tensor, list[int]]:
    """All pictures as (N, 3, size, size) uint8, and the indices of those that could be read; a warning names the others."""
    x = torch.zeros(len(paths), 3, size, size, dtype=torch.uint8)
    kept, broken = [], []
    for i, path in enumerate(paths):
        try:
            x[i] = torch.from_numpy(read_square(path, size)).permute(2, 0, 1)
            kept.append(i)
        except Exception as error:  # a damaged file may end in any of a dozen kinds, and so does one that is far too large
            broken.append(f"{printable(path)} ({type(error).__name__}: {error})")
    if broken:
        more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        warnings.warn(f"{len(broken)} of {len(paths)} pictures cannot be read and {'was' if len(broken) == 1 else 'were'} left "
                      f"out: {'; '.join(broken[:SHOWN])}{more}", stacklevel=3)
    return x, kept


def read_square(path: Path, size: int) -> np.ndarray:
    """One picture file as (size, size, 3) uint8. Pillow's limit on the number of pixels stays as it is.

    A large JPEG is unpacked at an eighth to half of its side, so that a panorama takes little memory; other formats cannot do
    that, and a picture of theirs beyond the limit at which Pillow warns is refused.
    """
    from PIL import Image

    with Image.open(path) as picture:
        if picture.size[0] * picture.size[1] > LARGE:
            picture.draft("RGB", (2 * size, 2 * size))
        wide, high = picture.size
        if Image.MAX_IMAGE_PIXELS and wide * high > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"{wide}x{high} pixels would be unpacked whole: save it smaller, or as JPEG")
        return square(picture, size)


def square(picture: Image.Image, size: int) -> np.ndarray:
    """A picture of Pillow: its middle square, resized, as (size, size, 3) uint8 in RGB."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise ValueError("its pixels are floats, and nothing says which of them is white")
    if picture.mode.startswith("I"):      # 16 bits of grey; Pillow's own conversion cuts them off at 255
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:      # what is under it is often black
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return np.array(ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BILINEAR))
