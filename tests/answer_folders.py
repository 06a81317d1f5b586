"""What the tests of the command `answer` share: folders that are wrong in all ways, photographs, plans without a machine.

    python tests/answer_folders.py photographs FOLDER      60 photographs in three classes, cut from two of scikit-learn's
    python tests/answer_folders.py cifar NPZ FOLDER        the subset of CIFAR-10 as a folder of PNGs
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.answer.measure import Timing
from course_utils.answer.plan import Plan
from course_utils.answer.survey import Survey, Twins
from course_utils.studies import Result

# Class -> the photograph, and the part of its height that is cut from.
PARTS = {"flower": ("flower.jpg", 0.0, 1.0), "roof": ("china.jpg", 0.0, 0.6), "square": ("china.jpg", 0.6, 1.0)}


def photographs(root, each=20, seed=0):
    """Cuttings of 120 to 200 pixels from two photographs, as JPEG."""
    from sklearn.datasets import load_sample_image
    chance = random.Random(seed)
    for name, (source, top, bottom) in PARTS.items():
        picture = Image.fromarray(load_sample_image(source))
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            side = chance.randint(120, 160)
            x = chance.randint(0, picture.width - side)
            y = chance.randint(round(top * picture.height), round(bottom * picture.height) - side)
            picture.crop((x, y, x + side, y + side)).save(root / name / f"{i:02d}.jpg", quality=90)
    return root


def cifar(archive, root):
    """The subset as root/train/CLASS/NUMBER.png and root/test/..."""
    with np.load(archive, allow_pickle=False) as data:
        names = [str(name) for name in data["classes"]]
        for split in ("train", "test"):
            for i, (pixels, label) in enumerate(zip(data[f"x_{split}"], data[f"y_{split}"], strict=True)):
                folder = root / split / names[label]
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{i:05d}.png", compress_level=1)
    return root


def noise(size=(24, 24), seed=0, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def pictures(root, seed=0, **counts):
    """Class -> so many pictures of noise, all different."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            seed += 1
            noise(seed=seed).save(root / name / f"{i}.png")
    return root


def survey(**changes):
    entry = dict(source="pets", task="folder:/pets", classes=("cat", "dog"), counts={"": {"cat": 400, "dog": 400}},
                 own_split=False, listed=800, opened=800, sides=(64, 64, 64), kinds={}, broken=(), others={}, twins=Twins(),
                 telling=(), seconds=1.0, print="")
    return Survey(**{**entry, **changes})


TIMING = Timing(0.0, 0.1, 0.05, 0.001, 1000, 1e6, 0.01)
ARMS = {"plain": {}, "SE at post": {"mechanism": "se", "at": "post"}, "wider": {"host": "wide_resnet"}}


def plan(minutes=3.0, seeds=5, **changes):
    asked = {"source": "pets", "host": "small_resnet", "minutes": minutes, "pretrained": False, "size": None, "lr": None,
             "seed": 0}
    base = {"task": "folder:/pets", "host": "small_resnet", "steps": 100, "test_size": 160, "batch_size": 16}
    entry = dict(asked=asked, survey=survey(), base=base, arms=ARMS, left_out={}, timings=dict.fromkeys(ARMS, TIMING),
                 outcome="accuracy", seeds=seeds, spent=10.0, workers=1, spread=0.01, spread_from="the tests")
    return Plan(**{**entry, **changes})


def results(plan, seeds=5, wall=6.0, **gains):
    """Arm -> what it has more than the plain host, by seed; the plain host has 0.7 and a little of its own each time."""
    gains = {name.replace("_", " "): gain for name, gain in gains.items()}
    study = plan.study()
    found = []
    for seed in range(seeds):
        for arm in plan.arms:
            gain = gains.get(arm, (0.0,) * seeds)[seed]
            found.append(Result(study.trial(arm, seed), accuracy=0.7 + 0.01 * seed + gain, balanced=0.6, seconds=wall, wall=wall,
                                parameters=1000, words="all is well" if arm == "SE at post" and seed == 0 else ""))
    return found


if __name__ == "__main__":
    if sys.argv[1] == "photographs":
        photographs(Path(sys.argv[2]))
    else:
        cifar(Path(sys.argv[2]), Path(sys.argv[3]))
