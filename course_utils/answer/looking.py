"""What a folder of pictures, or a data set, holds: numbers, sizes, kinds, what cannot be read, is there twice, or leaks."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .. import tasks
from ..studies.material import fingerprints
from ..tasks import pictures
from .survey import Survey, Twins

SIDE = 32      # pictures are compared at this side: the same picture as PNG and as BMP is the same
LONG = 10_000      # pixels of a side from which a picture is named as very large
SURE, MORE = 0.6, 0.2      # a fact of the files tells the class: so often, and so much oftener than the largest class


class Seen(NamedTuple):
    """One picture that could be read."""

    name: str
    split: str
    label: int
    print: bytes
    size: tuple[int, int] = (0, 0)
    file: str = ""      # ending and mode: what the file says without its picture
    kinds: tuple[str, ...] = ()


def look(source: str | Path, root: str | Path | None = None, download: bool = False, seconds: float = 600) -> Survey:
    """Look at the pictures before anything is trained on them.

        survey = look("my_pictures")      # or "fashion_mnist", a name of tasks.DATA_SETS
        print(survey)

    Args:
        source: a folder with one sub-folder a class, or the name of a data set.
        root, download: of a data set, as in `tasks.load`. Nothing is fetched unless you ask for it.
        seconds: to spend on opening pictures; those of a larger folder that are left are counted, and the survey says so.

    Raises:
        FileNotFoundError, ValueError: no such folder; no pictures, one class, a class with fewer than two pictures, all pictures
            of a class unreadable. The message says what to do.
    """
    import torchvision.datasets.folder  # noqa: F401  (takes seconds once, and would count as the reading of pictures)

    began = time.perf_counter()
    if str(source) in tasks.DATA_SETS:
        return of_data_set(str(source), root, download, began)
    return of_folder(Path(str(source).removeprefix(tasks.FOLDER)), seconds, began)


def of_data_set(name: str, root: str | Path | None, download: bool, began: float) -> Survey:
    seen, grey, counts = [], 0, {}
    for split in ("train", "test"):
        data = tasks.load(name, split, root, download)
        counts[split] = data.counts
        grey += len(data.x) if data.x.shape[1] == 1 else int((data.x == data.x[:, :1]).flatten(1).all(1).sum())
        seen += [Seen(f"{split} {i}", split, label, one)
                 for i, (one, label) in enumerate(zip(fingerprints(data.x), data.y.tolist(), strict=True))]
    side = data.x.shape[-1]
    kinds = {"grey": grey} if grey else {}
    return Survey(name, name, tuple(data.classes), counts, True, len(seen), len(seen), (side,) * 3, kinds, (), {},
                  twins_of(seen), (), time.perf_counter() - began, hashlib.sha256(b"".join(s.print for s in seen)).hexdigest())


def listed(root: Path, classes: list[str]) -> tuple[list[tuple[Path, str, int]], bool]:
    """Each picture file with its split ("" where the folder has none) and class, in a mixed order; has it splits of its own?"""
    tops = pictures.splits(root)
    own = tops["train"] != tops["test"]
    found = [(file, split if own else "", label) for split, top in (tops.items() if own else (("", tops["train"]),))
             for file, label in pictures.files(top, classes, 0, 1 if own else 2)]
    return found, own


def fingerprint(root: str | Path) -> str:
    """Of the names and sizes of all pictures: has the folder changed since?"""
    root = pictures.there(root)
    facts = sorted(f"{file.relative_to(root).as_posix()} {file.stat().st_size}"
                   for file, _, _ in listed(root, pictures.class_names(root))[0])
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def of_folder(root: Path, seconds: float, began: float) -> Survey:
    root = pictures.there(root)
    classes = pictures.class_names(root)
    found, own = listed(root, classes)
    classes = list(map(pictures.printable, classes))
    seen, broken, counts = [], [], {split: dict.fromkeys(classes, 0) for split in (("train", "test") if own else ("",))}
    opened = 0
    for file, split, label in found:
        counts[split][classes[label]] += 1
        if time.perf_counter() - began > seconds and seen:      # at least one that can be read: of none nothing can be said
            continue
        opened += 1
        try:
            seen.append(inspect(file, root, split, label))
        except Exception as error:  # a damaged file may end in any of a dozen kinds
            counts[split][classes[label]] -= 1
            broken.append(f"{pictures.printable(file.relative_to(root))} ({type(error).__name__}: {error})")
    empty = [name for count in counts.values() for name in classes if count[name] < (1 if own else 2)]
    if empty:
        raise ValueError(f"{root}: of {pictures.quoted(empty)} too few pictures can be read to train and to test on. Not read: "
                         f"{'; '.join(broken[:pictures.SHOWN])}. Put others in their place, or take the folder of the class "
                         "away.")
    sides = sorted(min(s.size) for s in seen)
    kinds = Counter(kind for s in seen for kind in s.kinds)
    others = Counter(file.suffix.lower() or "no ending" for file in root.rglob("*") if file.is_file()
                     and not any(part.startswith((".", "__")) for part in file.relative_to(root).parts)
                     and file not in {path for path, _, _ in found})
    return Survey(str(root), f"{tasks.FOLDER}{root.absolute()}", tuple(classes), counts, own, len(found), opened,
                  (sides[0], round(median(sides)), sides[-1]), dict(kinds), tuple(broken), dict(others), twins_of(seen),
                  tuple(telling(seen)), time.perf_counter() - began, fingerprint(root))


def inspect(file: Path, root: Path, split: str, label: int) -> Seen:
    """Open and unpack one picture.

    Raises:
        Exception: it cannot be read; of whatever kind Pillow raises.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")      # of many pixels: such a picture is named in the survey
        with Image.open(file) as picture:
            size, mode, frames = picture.size, picture.mode, getattr(picture, "n_frames", 1)
            transparent = mode in ("LA", "PA", "RGBA") or "transparency" in picture.info
        pixels = pictures.read_square(file, SIDE)
    grey = bool((pixels == pixels[..., :1]).all())
    kinds = [kind for kind, so in (("grey", grey), ("16 bits", mode.startswith("I")), ("CMYK", mode == "CMYK"),
                                   ("animated", frames > 1), ("transparent", transparent),
                                   ("very large", max(size) >= LONG)) if so]
    pixels_print, name = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest(), file.relative_to(root).as_posix()
    return Seen(pictures.printable(name), split, label, pixels_print, size, f"{file.suffix.lower()} {mode}", tuple(kinds))


def twins_of(seen: Iterable[Seen]) -> Twins:
    """Pictures that are there more than once: at all, on both sides of the split, under two labels."""
    groups = defaultdict(list)
    for one in seen:
        groups[one.print].append(one)
    many = [group for group in groups.values() if len(group) > 1]

    def names(chosen: list[list[Seen]]) -> tuple[str, ...]:
        return tuple(" = ".join(one.name for one in group[:3]) for group in chosen[:pictures.SHOWN])
    leaks = [group for group in many if len({one.split for one in group}) > 1]
    clashes = [group for group in many if len({one.label for one in group}) > 1]
    leaking = sum(one.split == "test" for group in leaks for one in group)
    return Twins(sum(len(group) - 1 for group in many), leaking, names(leaks), sum(map(len, clashes)), names(clashes))


def telling(seen: list[Seen]) -> list[str]:
    """What the files alone tell of the class: a network may read that instead of the picture."""
    labels = Counter(one.label for one in seen)
    guess, told = max(labels.values()) / len(seen), []
    for what, fact in (("the size in pixels", lambda one: one.size), ("the kind of the file", lambda one: one.file)):
        groups = defaultdict(Counter)
        for one in seen:
            groups[fact(one)][one.label] += 1
        # Each picture is guessed by the others with the same fact: one that is alone tells nothing.
        right = sum(n for counts in groups.values() for label, n in counts.items()
                    if n - 1 > max((m for other, m in counts.items() if other != label), default=0))
        share = right / len(seen)
        if share > SURE and share > guess + MORE:
            told.append(f"{what} alone tells the class of {share:.0%} of the pictures (a guess at the largest class: "
                        f"{guess:.0%})")
    return told
