"""Photographs with boxes, or with a class for every pixel, where their files are there: a check of lesson 15 on real pictures.

    data = tasks.load_scenes("voc", size=128)      data.x (5011, 3, 128, 128) uint8   data.y (5011, K, 5)   data.classes
    batches = tasks.Steps(data, steps=400, augment=False)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import names
from ..paths import own_folder
from ..runtime import data_folder
from .digits import check_split
from .images import Images
from .pictures import check_size
from .real import DataSet, Read, refusal

VOC = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
       "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
BORDER = 255      # pixels of VOC between an object and the ground, which have no class


def pairs(data: Any, x: Tensor) -> Iterator[tuple[int, Image.Image, Any]]:
    """Number, picture and answer of each entry of a data set of torchvision; the picture, stretched to its square, goes into x.

    Raises:
        ValueError: an entry cannot be read; one picture less would be another data set.
    """
    for i in range(len(data)):
        try:
            picture, answer = data[i]
            x[i] = torch.from_numpy(np.array(picture.resize(x.shape[:1:-1], Image.Resampling.BILINEAR))).permute(2, 0, 1)
            yield i, picture, answer
        except Exception as error:
            raise ValueError(f"picture {i + 1} of its list, {type(error).__name__}: {error}") from error


def read_boxes(root: Path, train: bool, download: bool, size: int) -> Read:
    from torchvision import datasets

    data = datasets.VOCDetection(root, "2007", "trainval" if train else "test", download=download)
    x, found = torch.empty(len(data), 3, size, size, dtype=torch.uint8), []
    for _, picture, answer in pairs(data, x):
        boxes = []
        for one in answer["annotation"]["object"]:
            if one.get("difficult", "0") != "1":
                x1, y1, x2, y2 = (float(one["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax"))
                across, down = size / picture.width, size / picture.height      # VOC counts pixels from 1, the last one inside
                boxes.append([VOC.index(one["name"]), (x1 - 1) * across, (y1 - 1) * down, x2 * across, y2 * down])
        found.append(torch.tensor(boxes).view(-1, 5))
    y = torch.tensor([-1.0, 0, 0, 0, 0]).repeat(len(found), max(map(len, found)), 1)
    for i, boxes in enumerate(found):
        y[i, :len(boxes)] = boxes
    return x, y, list(VOC)


def shrunk(answer: Image.Image, size: int) -> Tensor:
    """Classes of pixels in a smaller square: each pixel that of one of the picture, never a mixture; (size, size)."""
    return torch.from_numpy(np.array(answer.resize((size, size), Image.Resampling.NEAREST)))


def read_pixels(root: Path, train: bool, download: bool, size: int) -> Read:
    from torchvision import datasets

    data = datasets.VOCSegmentation(root, "2007", "trainval" if train else "test", download=download)
    x, y = torch.empty(len(data), 3, size, size, dtype=torch.uint8), torch.empty(len(data), size, size, dtype=torch.int64)
    for i, _, answer in pairs(data, x):
        y[i] = shrunk(answer, size)
    return x, y.where(y != BORDER, 0), ["ground", *VOC]


def read_pets(root: Path, train: bool, download: bool, size: int) -> Read:
    from torchvision import datasets

    data = datasets.OxfordIIITPet(root, "trainval" if train else "test", target_types="segmentation", download=download)
    x, y = torch.empty(len(data), 3, size, size, dtype=torch.uint8), torch.empty(len(data), size, size, dtype=torch.int64)
    for i, _, answer in pairs(data, x):
        y[i] = shrunk(answer, size) != 2      # 1 the animal, 2 the ground, 3 the border between them: to the animal
    return x, y, ["ground", "pet"]


SOURCE = "Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010; photographs from Flickr, under its terms"
REAL_SCENES = {
    "voc": DataSet(read_boxes, 20, 128, ("VOCdevkit/VOC2007",), 900, SOURCE),
    "voc_pixels": DataSet(read_pixels, 21, 128, ("VOCdevkit/VOC2007",), 900, SOURCE),
    "pets_pixels": DataSet(read_pets, 2, 128, ("oxford-iiit-pet",), 811,
                           "Parkhi, Vedaldi, Zisserman & Jawahar, Cats and Dogs, CVPR 2012; CC BY-SA 4.0"),
}


def load_scenes(name: str, split: str = "train", root: str | Path | None = None, download: bool = False,
                device: torch.device | str | None = None, size: int | None = None) -> Images:
    """A data set whose answers are boxes or pixels, in memory: x (N, 3, size, size) uint8, the names of its classes, and y.

    name            train    test     y
    "voc"           5,011    4,952    boxes as those of the task `find`, (N, K, 5) float32; PASCAL VOC 2007, without those that
                                      it calls difficult
    "voc_pixels"      422      210    (N, size, size) int64: 0 the ground and the borders, then 20 classes
    "pets_pixels"   3,680    3,669    (N, size, size) int64: 0 the ground, 1 the animal and its border

    Photographs of all sizes are stretched to squares, and the answers with them.

    Args: as those of `load`.

    Raises:
        ValueError: unknown name or split; size below 1; a file is damaged or incomplete.
        FileNotFoundError: the files are not there; the message says where they were looked for and how to get them.
    """
    check_split(split)
    entry = names.find("data set of scenes", name, REAL_SCENES)
    size = entry.size if size is None else size
    check_size(size)
    root = Path(root or data_folder() or own_folder() / "downloads")
    try:
        x, y, classes = entry.read(root, split == "train", download, size)
    except (RuntimeError, ValueError, OSError) as error:
        raise refusal(name, entry, root, download, error, "tasks.load_scenes") from error
    device = torch.device(device or "cpu")
    return Images(x.to(device), y.to(device), classes)
